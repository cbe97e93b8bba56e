// cross::condition: waiting until the tasks of another loop have changed something. The hard idea:
// what is checked may change between the check and the wait, so a mutex is held around both, and
// the wait gives it up in the same moment in which it takes its place in line.
#pragma once

#include <weir/core/task.hpp>
#include <weir/flow/detail/reach.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/mutex.hpp>

namespace weir::cross {

/// weir::condition for tasks of several loops, with the mutex that guards what they wait for:
/// `while (items.empty()) co_await changed.wait(held);`
///
/// Cancel:  a cancelled wait takes no wake-up from another waiter; whether it has the mutex back,
///          `holds()` of the guard tells.
/// Order:   first come, first woken; then they stand in the mutex's line.
/// Bound:   one frame for each wait; waiters are bounded by their scopes.
/// Errors:  `closed` after close(), with the mutex held again; waiting without the mutex, and
///          destroying it while tasks wait, stop the process.
/// Threads: any; it outlives every call of its own.
class condition {  // tidy-allow(one-meaning): weir's, for tasks of several loops
 public:
  condition() = default;
  explicit condition(const char* name) noexcept : name_(name) {}
  condition(const condition&) = delete;
  condition& operator=(const condition&) = delete;
  ~condition() { WEIR_ASSERT(line_.is_empty() && "destroyed while tasks wait for it"); }

  /// Wakes the task that has waited longest; false when none waits. With or without the mutex.
  bool notify_one() noexcept;
  void notify_all() noexcept;
  /// Nobody will notify any more: all waits, also later ones, fail with `closed`.
  void close() noexcept;
  /// Gives the mutex up, waits for a notification that comes after that, and takes it again.
  [[nodiscard]] task<> wait(mutex::guard& held);

  bool has_waiters() const noexcept { return stats().waiting != 0; }
  const char* name() const noexcept { return name_; }
  line_stats stats() const noexcept;

 private:
  class parked;
  template <class, class, class, class>
  friend class detail::line_wait;
  template <class, class, class, class>
  friend class detail::closable_wait;

  mutable detail::many_loops::lock lock_;
  bool is_closed_ = false;
  const char* name_ = "condition";
  intrusive_list<parked> line_;
};

}  // namespace weir::cross
