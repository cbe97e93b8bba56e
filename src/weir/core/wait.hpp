// leaf_wait: what every awaitable that suspends has in common, so that each is a checkpoint in the
// same way. A derived wait says how to finish at once (try_now), how to enlist (enlist) and what
// came out (take); this file does the rest: the cancellation check, the budget, the async stack.
// The hard idea: one order of checks for all. Cancelled first (nothing has happened yet), then the
// fast path, then the queue.
#pragma once

#include <weir/base/result.hpp>
#include <weir/core/frame.hpp>

#include <coroutine>
#include <type_traits>

namespace weir::detail {

/// The three verbs of the check that need the loop; compiled once.
bool may_finish_now(task_header& task) noexcept;  // takes one from the step's budget
std::coroutine_handle<> requeue(task_header& task) noexcept;

/// Derived offers: bool try_now() noexcept; void enlist() noexcept; result<T> take() noexcept.
template <class Derived, class T>
struct leaf_wait : wait {
  using value_type = T;
  using wait::wait;

  void bind(frame_base& frame) noexcept { task = frame.owner; }

  bool await_ready() noexcept {
    if (task->is_cancelled()) [[unlikely]]
      return false;
    is_finished_ = self().try_now();
    return is_finished_ && may_finish_now(*task);
  }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P> from) noexcept {
    frame_base& frame = from.promise();
    return suspend(reinterpret_cast<std::uintptr_t>(&frame));
  }
  T await_resume() { return value_or_raise(self().take()); }

  /// The second half of an await: `leaf` is what resumes when the wait ends.
  std::coroutine_handle<> suspend(std::uintptr_t leaf) noexcept {
    task->leaf = leaf;
    if (is_finished_) return requeue(*task);  // done, but the step's budget is spent
    if (task->is_cancelled()) [[unlikely]]
      return unwind(*task);
    begin();
    self().enlist();
    return std::noop_coroutine();
  }

 private:
  Derived& self() noexcept { return static_cast<Derived&>(*this); }
  bool is_finished_ = false;
};

}  // namespace weir::detail
