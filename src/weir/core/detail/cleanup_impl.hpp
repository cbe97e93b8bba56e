// Bodies of cleanup.hpp's templates.
#pragma once

#include <weir/core/as_result.hpp>
#include <weir/core/cleanup.hpp>
#include <weir/core/combine.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>

namespace weir {

namespace detail {

/// The call itself may throw, too, before there is a task.
template <class Body>
task<task_value_t<Body, cleanups&>> body_with(Body* body, cleanups* after) {
  co_return co_await (*body)(*after);
}

/// Goes on with an end that a cancellation has begun, whatever has become of that since: a cleanup
/// may have raised the shield of a scope in between.
class unwinding {
 public:
  static constexpr auto when_cancelled = cancel_safety::point_of_no_return;
  using value_type = void;

  void bind(frame_base& above) noexcept { above_ = &above; }
  bool await_ready() const noexcept { return false; }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P>) noexcept {
    running_task->leaf = reinterpret_cast<std::uintptr_t>(above_);
    return unwind(*running_task);
  }
  void await_resume() const noexcept {}  // never

 private:
  frame_base* above_ = nullptr;
};

}  // namespace detail

template <class Body>
task<detail::task_value_t<Body, cleanups&>> with_cleanups(Body body) {
  using value = detail::task_value_t<Body, cleanups&>;
  cleanups after;
  task<> ending = shield(after.run());
  selected<value> outcome;
  // keep_outcome takes every exception, so all that can be left is a cancellation.
  const bool is_stopped =
      !co_await as_result(detail::keep_outcome(detail::body_with(&body, &after), &outcome));
  if (outcome.failure()) after.note_failure_of_body(outcome.failure());
  co_await std::move(ending);
  after.raise_failures(outcome.failure());
  if (is_stopped) co_await detail::unwinding();
  if constexpr (!std::is_void_v<value>) co_return std::move(*outcome);
}

}  // namespace weir
