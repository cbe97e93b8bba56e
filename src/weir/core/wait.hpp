// leaf_wait: what every awaitable that suspends has in common, so that each is a checkpoint in the
// same way. A derived wait says how to finish at once (try_now), how to enlist (enlist) and what
// came out (take); this file does the rest: the cancellation check, the budget, the async stack.
// The hard idea: one order of checks for all. Cancelled first (nothing has happened yet), then the
// fast path, then the queue.
#pragma once

#include <weir/base/result.hpp>
#include <weir/core/cancel_safety.hpp>
#include <weir/core/frame.hpp>

#include <coroutine>
#include <type_traits>

namespace weir::detail {

/// Takes one from the step's budget.
inline bool may_finish_now(const task_header& task) noexcept;
/// The two verbs of the check that need the loop's queue; compiled once.
std::coroutine_handle<> requeue(task_header& task) noexcept;
/// The step of the next ready task, when it may begin without a look at the clock; else nothing.
std::coroutine_handle<> next_step() noexcept;

/// Derived offers: `when_cancelled`, a cancel_safety; bool try_now() noexcept; void enlist()
/// noexcept; result<T> take(), which throws only what a copy of the value throws. Base is `wait`,
/// or `timer` for a wait that time ends.
template <class Derived, class T, class Base = wait>
struct leaf_wait : Base {
  using value_type = T;
  using Base::Base;

  void bind(frame_base&) noexcept { this->task = running_task; }

  bool await_ready() noexcept {
    task_header& task = *this->task;
    if (task.is_cancelled()) [[unlikely]]
      return suspends(task, await_outcome::refused);
    if (!self().try_now()) return suspends(task, await_outcome::must_wait);
    if (may_finish_now(task)) [[likely]]
      return true;
    return suspends(task, await_outcome::is_over);
  }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P> from) noexcept {
    frame_base& frame = from.promise();
    return suspend(reinterpret_cast<std::uintptr_t>(&frame));
  }
  T await_resume() { return value_or_raise(self().take()); }

  /// The second half of an await: `leaf` is what resumes when the wait ends.
  std::coroutine_handle<> suspend(std::uintptr_t leaf) noexcept {
    task_header& task = *this->task;
    task.leaf = leaf;
    if (task.found == await_outcome::refused) [[unlikely]]
      return unwind(task);
    if (task.found == await_outcome::is_over) return requeue(task);
    this->begin();
    self().enlist();
    return next_step();
  }

 private:
  // Written only here: nobody asks it of an await that goes on at once.
  static bool suspends(task_header& task, await_outcome why) noexcept {
    task.found = why;
    return false;
  }
  Derived& self() noexcept { return static_cast<Derived&>(*this); }
};

}  // namespace weir::detail

#include <weir/core/detail/wait_impl.hpp>
