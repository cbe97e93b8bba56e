// scope: the owner of tasks. A scope ends after all its tasks; cancelling it ends every wait
// inside. The hard idea: cancellation is a state of the scope that every wait looks at (a level),
// not a message that can be missed (an edge).
//
// Invariants: (1) live_ counts the tasks in the list; the scope's owner leaves only when it is 0;
//             (2) cancelled_ = cancel_called_ or (the parent's cancelled_ and not shield_).
#pragma once

#include <weir/base/intrusive.hpp>
#include <weir/base/time.hpp>
#include <weir/core/frame.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/task.hpp>

#include <coroutine>
#include <cstdint>
#include <exception>
#include <source_location>
#include <tuple>
#include <type_traits>
#include <utility>

namespace weir {

/// Who ended a scope's work, and why.
enum class cancel_kind : std::uint8_t { none, user, deadline, sibling, shutdown };

/// "deadline", for logs.
const char* name(cancel_kind kind) noexcept;

struct cancel_reason {
  cancel_kind kind = cancel_kind::user;
  const char* text = "";         // a literal: it is not copied
  std::source_location place{};  // where cancel() was called
  std::uint64_t task = 0;        // the task that called it or failed; 0 when none did
};

/// What a failing child means for its scope.
enum class failure_policy : std::uint8_t {
  fail_fast,  // the scope is cancelled, and raises all errors as one group once every child has
              // ended
  report,     // the error goes to the unhandled-error handler as a report; the scope goes on
  collect,    // nothing is cancelled, whether a child fails or the body; once all have ended, all
              // errors are raised as one group
};
inline constexpr failure_policy fail_fast = failure_policy::fail_fast;
inline constexpr failure_policy report = failure_policy::report;
inline constexpr failure_policy collect = failure_policy::collect;

namespace detail {
struct local_binding;
}

struct scope_options {
  const char* name = "scope";
  std::uint32_t tasks_max = 1'000'000;
  failure_policy failures = failure_policy::fail_fast;
  duration timeout = duration::max();  // from the moment at which the scope is entered
  bool shield = false;  // keeps outer cancellations out (its own deadline still counts)
  const detail::local_binding* local = nullptr;  // with_local's
};

struct scope_stats {
  std::uint64_t spawned = 0;
  std::uint64_t cancelled = 0;  // tasks that a cancellation ended
  std::uint32_t live = 0;
  std::uint32_t failed = 0;
};

template <class T>
class spawned;

namespace detail {
struct room_wait;
struct error_list;
class scope_frame;
class start_place;
struct tree_walker;
void move_to_scope(task_header& task, scope& target) noexcept;
task_header& start_task(scope& in, std::source_location place, frame_base* body);
void start_task(scope& in, task_header& made, frame_base* body);
/// The value type of the task that f(args...) returns.
template <class F, class... A>
using task_value_t = typename std::invoke_result_t<F&, A...>::value_type;
/// f(args...) can be called, and gives a task. spawn() asks before its body is looked at, so that
/// the compiler speaks of the caller's line.
template <class F, class... A>
concept gives_task = requires { typename task_value_t<F, A...>; };
}  // namespace detail

/// The owner of tasks.
///
/// Cancel:  cancel() ends every wait of every task inside, but those under a shield; it can't be
///          taken back.
/// Order:   tasks start in the order of their spawns.
/// Bound:   tasks_max live tasks: spawn() raises `full` beyond it, spawn_when_room() waits.
/// Errors:  a child's error cancels the scope and arrives in error_group at its end (or goes to the
///          handler: report; or cancels nothing and arrives there: collect).
/// Threads: one loop.
class scope {
 public:
  scope(const scope&) = delete;
  scope& operator=(const scope&) = delete;

  /// Starts f(args...) as a child: the call is made here, its body runs from the child's first
  /// turn. The child keeps `f` and its arguments, so they can't dangle; what a lambda captured by
  /// reference can: the locals of a scope's body are gone when it returns, and its children may
  /// live on. The handle may be dropped: the scope owns the child, not the handle.
  template <class F>
    requires detail::gives_task<F>
  auto spawn(F f, std::source_location place = std::source_location::current()) {
    return spawn_at(place, std::move(f));
  }
  template <class F, class A>
    requires detail::gives_task<F, A>
  auto spawn(F f, A a, std::source_location place = std::source_location::current()) {
    return spawn_at(place, std::move(f), std::move(a));
  }
  template <class F, class A, class B>
    requires detail::gives_task<F, A, B>
  auto spawn(F f, A a, B b, std::source_location place = std::source_location::current()) {
    return spawn_at(place, std::move(f), std::move(a), std::move(b));
  }
  template <class F, class A, class B, class C>
    requires detail::gives_task<F, A, B, C>
  auto spawn(F f, A a, B b, C c, std::source_location place = std::source_location::current()) {
    return spawn_at(place, std::move(f), std::move(a), std::move(b), std::move(c));
  }
  template <class F, class... A>
  auto spawn_at(std::source_location place, F f, A... args)
      -> spawned<detail::task_value_t<F, A...>>;

  /// Waits until fewer than tasks_max children live, then spawns: `co_await
  /// peers.spawn_when_room(echo, peer)`. The handle may be dropped, as spawn()'s.
  template <class F, class... A>
  WEIR_CORO_WRAPPER auto spawn_when_room(F f, A... args) {
    return spawn_when_room_at({}, std::move(f), std::move(args)...);
  }
  /// The same, told as spawned at `place`; where it is awaited when that is none.
  template <class F, class... A>
  auto spawn_when_room_at(std::source_location place, F f, A... args)
      -> task<spawned<detail::task_value_t<F, A...>>>;

  /// Waits until no child is left. More may be spawned afterwards.
  detail::room_wait join() noexcept;

  /// Ends every wait inside. The first reason stays.
  void cancel(const char* text = "",
              std::source_location place = std::source_location::current()) noexcept;
  void cancel(cancel_reason reason) noexcept;
  /// Moves the deadline; never() removes it. One that has passed cancels at once.
  void set_deadline(time_point at) noexcept;
  /// While an outer scope is cancelled, lowering cancels this one; raising keeps it out again.
  void set_shield(bool shield) noexcept;

  /// True when waits inside end: for this scope's own reasons or an outer one's.
  bool is_cancelled() const noexcept { return cancelled_; }
  bool is_cancel_called() const noexcept { return cancel_called_; }
  /// Why it is cancelled; kind is none when it isn't.
  cancel_reason reason() const noexcept;
  time_point deadline() const noexcept { return deadline_timer_.due; }
  /// The earliest deadline that can end a wait in here: its own or an outer one's, up to the
  /// nearest shield.
  time_point effective_deadline() const noexcept;
  const char* name() const noexcept { return options_.name; }
  scope_stats stats() const noexcept { return stats_; }
  scope* parent() const noexcept { return parent_; }
  const detail::local_binding* local() const noexcept { return options_.local; }
  loop& on() const noexcept { return *loop_; }
  /// The innermost scope around the running task; null outside of tasks.
  static scope* current() noexcept;

 private:
  friend class loop;
  friend class detail::scope_frame;
  friend void detail::move_to_scope(detail::task_header&, scope&) noexcept;
  friend detail::task_header& detail::start_task(scope&, std::source_location, detail::frame_base*);
  friend void detail::start_task(scope&, detail::task_header&, detail::frame_base*);
  friend struct detail::task_header;
  friend struct detail::room_wait;
  friend class detail::start_place;
  friend struct detail::tree_walker;

  /// The options stay with who owns the scope: to copy them right after they were written would
  /// wait for the writes.
  scope(loop& on, scope* parent, detail::task_header* host, scope_options& options) noexcept;
  ~scope();

  /// The outermost scope around a task: the one that it was spawned into.
  static scope& home_of(const detail::task_header& task) noexcept;
  void make_sure_of_room() const {
    if (is_closed_ || !has_room()) [[unlikely]]
      refuse();
  }
  [[noreturn]] void refuse() const;
  void add(detail::task_header& child, detail::frame_base& body) noexcept;
  void remove(detail::task_header& child) noexcept;
  void link(detail::task_header& child) noexcept;
  void unlink(detail::task_header& child) noexcept;
  void link_scope(scope& inner) noexcept;
  void unlink_scope(scope& inner) noexcept;
  void take_failure(detail::task_header& from, std::exception_ptr failure,
                    failure_policy policy) noexcept;
  /// Time is passed on: to read the clock costs as much as to set the timer twice.
  void start_deadline(time_point at, time_point now) noexcept;
  void propagate() noexcept;
  static void deliver(detail::task_header& task) noexcept;
  failure_policy policy_of_body() const noexcept {
    return options_.failures == collect ? collect : fail_fast;
  }
  void wake_waiters() noexcept;
  bool is_join_over() const noexcept;
  bool has_room() const noexcept { return stats_.live + places_given_ < options_.tasks_max; }

  loop* loop_;
  scope* parent_;
  detail::task_header* host_;  // the task in whose body it is open; null for a loop's root
  scope_options& options_;
  scope* first_child_ = nullptr;
  scope* next_sibling_ = nullptr;
  scope* prev_sibling_ = nullptr;
  detail::task_header* first_task_ = nullptr;
  detail::task_header* last_task_ = nullptr;
  intrusive_list<detail::room_wait> line_;  // tasks in join() or spawn_when_room()
  std::uint32_t joins_in_line_ = 0;
  std::uint32_t rooms_in_line_ = 0;
  bool cancel_called_ = false;
  bool cancelled_ = false;
  bool owner_waits_ = false;        // the body has ended and its owner waits for (1)
  bool is_closed_ = false;          // (1) holds and the owner is on its way out
  std::uint32_t places_given_ = 0;  // to tasks that waited for room and will spawn when they run
  cancel_reason reason_{.kind = cancel_kind::none};
  struct deadline_timer : detail::callback_timer {
    scope* owner = nullptr;
  } deadline_timer_;
  detail::error_list* errors_ = nullptr;
  scope_stats stats_;
};

inline bool detail::task_header::is_cancelled() const noexcept { return current->is_cancelled(); }

}  // namespace weir

#include <weir/core/detail/scope_impl.hpp>
