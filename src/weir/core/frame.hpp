// The bones of a waiting program: frames, boundaries, waits and task headers, linked so that anyone
// can walk from a task to the place where it waits, in every build. The hard idea: the pointer that
// continues a coroutine is the same pointer that makes the async stack, so the stack costs nothing.
//
//   task_header (a boundary)            a spawned task's root: never a coroutine, owns the first
//   frame
//     ^ parent|1
//   frame_base  of serve()              a coroutine's promise begins with one
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
//   happens next.
#pragma once

#include <weir/base/time.hpp>

#include <coroutine>
#include <cstddef>
#include <cstdint>
#include <source_location>

namespace weir {

class loop;
class scope;

namespace detail {

struct task_header;
struct boundary;

/// First part of every coroutine promise. Kept at 32 bytes.
struct frame_base {
  std::uintptr_t parent =
      0;  // frame_base* of the awaiting coroutine, or boundary* with the low bit set
  std::source_location here;      // where this coroutine awaits now
  std::source_location function;  // its name, from the promise's constructor
  task_header* owner = nullptr;   // the task that it runs in

  bool parent_is_boundary() const noexcept { return (parent & 1) != 0; }
  boundary* parent_boundary() const noexcept;
  frame_base* parent_frame() const noexcept { return reinterpret_cast<frame_base*>(parent); }
};
static_assert(sizeof(frame_base) == 32);

// Every promise derives from frame_base first and is aligned to at most 16, so one cast serves all
// coroutines.
inline std::coroutine_handle<> handle_of(frame_base* frame) noexcept {
  return std::coroutine_handle<frame_base>::from_promise(*frame);
}

/// A place in the await chain where an end or a cancellation of what is below is decided: a task's
/// root, a scope, a shield, as_result. Each of the three verbs returns the coroutine to resume
/// next.
struct boundary : frame_base {
  virtual std::coroutine_handle<>
  child_done() noexcept = 0;  // the body ended with a value or an exception
  virtual std::coroutine_handle<>
  child_stopped() noexcept = 0;  // the body was cancelled: destroy its frames, decide
  virtual std::coroutine_handle<>
  resumed() noexcept;                              // this boundary itself was the leaf of the wait
  virtual const char* label() const noexcept = 0;  // for the async stack: "scope", "task"

 protected:
  ~boundary() = default;
};

inline boundary* frame_base::parent_boundary() const noexcept {
  return reinterpret_cast<boundary*>(parent & ~std::uintptr_t{1});
}
inline std::uintptr_t as_parent(boundary* b) noexcept {
  return reinterpret_cast<std::uintptr_t>(b) | 1;
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

/// What all waits of one kind have in common: a hand-made vtable, so that a wait is two words.
struct wait_kind {
  const char* name;                // "sleep", "receive", "scope join"
  void (*cancel)(wait&) noexcept;  // leave the resource (now or soon); null: can't be cancelled
  void (*describe)(const wait&,
                   text_sink&) noexcept = nullptr;  // "until 12 s", "fd 7"; may be null
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
  void begin() noexcept;
  /// The wait is over: the task becomes ready.
  void complete() noexcept;
  /// The wait was cancelled and has left its resource: the task becomes ready to end its frames.
  void complete_cancelled() noexcept;

  bool is_branch() const noexcept { return (reinterpret_cast<std::uintptr_t>(kind) & 1) != 0; }
};

enum class task_state : std::uint8_t { ready, running, waiting, done };

struct error_trace;

/// One task: its place in the tree, its state and what it waits for.
struct task_header : boundary {
  task_header* next_ready = nullptr;
  task_header* next_in_scope = nullptr;
  task_header* prev_in_scope = nullptr;
  scope* home = nullptr;     // the scope that it was spawned into
  scope* current = nullptr;  // the innermost scope around what it runs now
  wait* waiting = nullptr;   // (1)
  std::uintptr_t leaf = 0;  // what resumes next: a frame_base*, or a boundary* with the low bit set
  error_trace* trace =
      nullptr;  // places that the error in flight has crossed; null while there is none
  std::uint64_t id = 0;
  time_point since;  // when the present wait began (the loop's time of that turn)
  std::uint32_t resumes = 0;
  task_state state = task_state::ready;
  bool is_unwinding = false;    // ready, but to end its frames rather than to go on
  std::uint8_t references = 1;  // the run itself, plus a handle that somebody keeps

  const char* label() const noexcept override { return "task"; }
  /// Creates and starts the body: called by the loop for the first step.
  virtual std::coroutine_handle<> start() noexcept = 0;
  virtual void destroy() noexcept = 0;  // frees the header; references is 0

  bool is_cancelled() const noexcept;
  void release() noexcept {
    if (--references == 0) destroy();
  }

 protected:
  ~task_header() = default;
};

/// Ends the frames from the task's leaf up to the nearest boundary and asks it what comes next.
std::coroutine_handle<> unwind(task_header& task) noexcept;
/// The same, starting at a boundary that passes a cancellation on to what is above it.
std::coroutine_handle<> unwind_above(boundary& from) noexcept;

/// Notes that the error in flight crossed `frame`; called while an exception is handled.
void note_error_crossed(frame_base& frame) noexcept;

}  // namespace detail
}  // namespace weir
