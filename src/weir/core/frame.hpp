// The bones of a waiting program: frames, boundaries, waits and task headers, linked so that anyone
// can walk from a task to the place where it waits, in every build. The hard idea: the pointer that
// continues a coroutine is the same pointer that makes the async stack, so the stack costs nothing.
//
//   task_header (a boundary)            a spawned task's root: never a coroutine, owns the first
//   frame
//     ^ parent|1
//   frame_base  of serve()              a coroutine's promise begins with one: two words
//     ^ parent
//   with_scope (a boundary)             not a coroutine either: decides what an end or a
//   cancellation means
//     ^ parent|1
//   frame_base  of echo()  <-- leaf     awaits something that can't be resumed yet: a `wait`
//
// Invariants:
//   (1) a task has at most one wait, and its leaf is the frame (or boundary) that resumes when the
//   wait ends; (2) a cancelled wait has left its resource before the frames above it are destroyed;
//   (3) frames are destroyed innermost first, up to the nearest boundary, which decides what
//   happens next; (4) running_leaf is the innermost frame of the task that runs, so that a crash
//   shows the whole async stack: the thread's own stack holds the last of these frames only.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/time.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <source_location>

namespace weir {

class loop;
class scope;

namespace detail {

struct task_header;
struct boundary;

/// First part of every coroutine promise. Kept at 16 bytes, since a program has millions of them:
/// the place names the function, too; the task is the one that runs; and an error takes the room of
/// the place, which nobody asks for once the coroutine has ended.
struct frame_base {
  static constexpr std::uintptr_t boundary_bit = 1;  // the parent is a boundary
  static constexpr std::uintptr_t value_bit = 2;     // it ended with a value
  static constexpr std::uintptr_t failed_bit = 4;    // it ended with `failure`
  static constexpr std::uintptr_t bits = 7;

  std::uintptr_t parent = 0;  // frame_base* of the awaiting coroutine, or boundary*; and the bits
  union {
    std::source_location here;  // where it awaits now; before its first await, where it is declared
    std::exception_ptr failure;
  };

  explicit frame_base(std::source_location declared) noexcept : here(declared) {}
  frame_base(const frame_base&) = delete;
  frame_base& operator=(const frame_base&) = delete;
  ~frame_base() {
    if (has_failed()) [[unlikely]]
      failure.~exception_ptr();
  }

  bool has_value() const noexcept { return (parent & value_bit) != 0; }
  bool has_failed() const noexcept { return (parent & failed_bit) != 0; }
  /// The error in flight is what it ended with.
  void fail() noexcept;
  bool parent_is_boundary() const noexcept { return (parent & boundary_bit) != 0; }
  boundary* parent_boundary() const noexcept;
  frame_base* parent_frame() const noexcept {
    return reinterpret_cast<frame_base*>(parent & ~bits);
  }
};
static_assert(sizeof(frame_base) == 16);

/// The task whose step runs on this thread; null outside of steps.
extern constinit thread_local task_header* running_task;
/// The frame or boundary of that task in which the thread is now (4), as in task_header::leaf.
extern constinit thread_local std::uintptr_t running_leaf;

// Every promise derives from frame_base first and is aligned to at most 16, so one cast serves all
// coroutines.
inline std::coroutine_handle<> handle_of(frame_base* frame) noexcept {
  return std::coroutine_handle<frame_base>::from_promise(*frame);
}

/// A place in the await chain where an end or a cancellation of what is below is decided: a task's
/// root, a scope, a shield, as_result. Each of the three verbs returns the coroutine to resume
/// next.
struct boundary {
  /// The body ended with a value or an exception.
  virtual std::coroutine_handle<> child_done(frame_base& body) noexcept = 0;
  /// The body was cancelled: destroy its frames, decide. Null: the boundary waited by itself.
  virtual std::coroutine_handle<> child_stopped(frame_base* body) noexcept = 0;
  /// This boundary itself was the leaf of the wait.
  virtual std::coroutine_handle<> resumed() noexcept;
  virtual const char* label() const noexcept = 0;  // for the async stack: "scope", "task"

 protected:
  ~boundary() = default;
};

/// A boundary inside an awaiting frame: all but a task's root.
struct inner_boundary : boundary {
  frame_base* above = nullptr;

 protected:
  /// Goes on in the coroutine that awaits this boundary.
  std::coroutine_handle<> resume_above() const noexcept {
    running_leaf = reinterpret_cast<std::uintptr_t>(above);  // (4)
    return handle_of(above);
  }
  ~inner_boundary() = default;
};

inline boundary* frame_base::parent_boundary() const noexcept {
  return reinterpret_cast<boundary*>(parent & ~bits);
}
inline std::uintptr_t as_parent(boundary* b) noexcept {
  return reinterpret_cast<std::uintptr_t>(b) | frame_base::boundary_bit;
}

/// Receives text piece by piece; safe to use inside a signal handler.
class text_sink {
 public:
  virtual void put(const char* text, std::size_t size) noexcept = 0;
  void put(const char* text) noexcept { put(text, __builtin_strlen(text)); }
  void put_number(std::uint64_t number) noexcept;
  /// "1.5 s", "20 ms".
  void put_duration(duration length) noexcept;
  /// "src/file.cpp:12".
  void put_place(const std::source_location& place) noexcept;

 protected:
  ~text_sink() = default;
};

struct wait;
struct timer;

/// What all waits of one kind have in common: a hand-made vtable, so that a wait is two words.
struct wait_kind {
  const char* name;                // "sleep", "receive", "scope join"
  void (*cancel)(wait&) noexcept;  // leave the resource (now or soon); null: can't be cancelled
  void (*describe)(const wait&,
                   text_sink&) noexcept = nullptr;  // "until 12 s", "fd 7"; may be null
  void (*fire)(timer&) noexcept = nullptr;          // of a wait that is a timer: its time has come
  /// The task that alone can end the wait, such as a lock's holder. Only to be compared with the
  /// tasks that live: it may have ended.
  const task_header* (*held_by)(const wait&) noexcept = nullptr;
};

struct wait_branch;

/// Base of every awaiter that suspends. It lives in the awaiting frame.
struct wait {
  const wait_kind* kind;  // with the low bit set: a wait_branch*, while it is part of a select
  task_header* task = nullptr;

  explicit wait(const wait_kind& of) noexcept : kind(&of) {}
  wait(wait&& other) noexcept
      : kind(other.kind), task(other.task) {}  // only before it begins, e.g. into as_result()
  wait& operator=(wait&&) = delete;

  /// Suspends the task on this wait: from await_suspend.
  inline void begin() noexcept;
  /// The wait is over: the task becomes ready.
  void complete() noexcept;
  /// The wait was cancelled and has left its resource: the task becomes ready to end its frames.
  void complete_cancelled() noexcept;

  bool is_branch() const noexcept { return (reinterpret_cast<std::uintptr_t>(kind) & 1) != 0; }
  /// What kind of wait it is, also while it is part of a select.
  const wait_kind& own_kind() const noexcept { return is_branch() ? branch_kind() : *kind; }

 private:
  const wait_kind& branch_kind() const noexcept;
};

enum class task_state : std::uint8_t { ready, running, waiting, done };

struct error_trace;

enum class task_end : std::uint8_t { running, value, failed, stopped };

/// Why an await suspends.
enum class await_outcome : std::uint8_t {
  must_wait,
  is_over,  // but the budget of the step is spent
  refused,  // its scope is cancelled
};

/// One task: its place in the tree, its state and what it waits for. A million of them are no rare
/// thing, so it is kept at 96 bytes: what is never needed at the same time shares its room.
struct task_header : boundary {
  std::source_location here;  // where it was spawned
  task_header* next_in_scope = nullptr;
  task_header* prev_in_scope = nullptr;
  scope* current = nullptr;  // the innermost scope around what it runs now
  union {
    task_header* next_ready = nullptr;  // while it is ready
    wait* waiting;                      // while it waits (1)
  };
  std::uintptr_t leaf;  // what resumes next: a frame_base*, or a boundary* with the low bit set; at
                        // the end the body's frame, which holds the result, or 0 without one
  wait* awaiter = nullptr;  // who waits for its end: one, the owner of its handle
  error_trace* trace =
      nullptr;  // places that the error in flight has crossed; null while there is none
  std::uint64_t id = 0;
  time_point since;  // the turn of its last step, in which the present wait began
  std::uint32_t resumes = 0;
  task_state state = task_state::ready;
  task_end end = task_end::running;
  std::uint8_t references = 2;    // the run itself, and the handle that somebody keeps
  bool is_unwinding : 1 = false;  // ready, but to end its frames rather than to go on
  await_outcome found : 2 = await_outcome::must_wait;  // by an await that has to suspend

  explicit task_header(std::source_location place) noexcept : here(place) {}
  task_header(const task_header&) = delete;
  task_header& operator=(const task_header&) = delete;

  std::coroutine_handle<> child_done(frame_base& body) noexcept final;
  std::coroutine_handle<> child_stopped(frame_base* body) noexcept final;
  const char* label() const noexcept final { return "task"; }
  virtual void destroy() noexcept = 0;  // frees the header; references is 0

  bool is_done() const noexcept { return end != task_end::running; }
  inline bool is_cancelled() const noexcept;  // scope.hpp has it
  /// What it waits for, or null.
  wait* waits_for() const noexcept { return state == task_state::waiting ? waiting : nullptr; }
  /// The frame that it was spawned with: before its first step, and after its last one.
  frame_base* body() const noexcept { return reinterpret_cast<frame_base*>(leaf); }
  void drop_body() noexcept {
    if (leaf == 0) return;
    handle_of(body()).destroy();
    leaf = 0;
  }
  void release() noexcept {
    if (--references != 0) return;
    drop_body();
    destroy();
  }

 protected:
  ~task_header() = default;

 private:
  std::coroutine_handle<> finish() noexcept;
};
static_assert(sizeof(task_header) == 96);

inline void wait::begin() noexcept {
  WEIR_ASSERT(task->state != task_state::waiting);  // (1)
  task->waiting = this;
  task->state = task_state::waiting;
}

/// Ends the frames from the task's leaf up to the nearest boundary and asks it what comes next.
std::coroutine_handle<> unwind(task_header& task) noexcept;
/// The same, starting at a boundary that passes a cancellation on to what is above it.
std::coroutine_handle<> unwind_above(inner_boundary& from) noexcept;

/// Notes that the error in flight crossed `frame`; called while an exception is handled.
void note_error_crossed(frame_base& frame) noexcept;

}  // namespace detail
}  // namespace weir
