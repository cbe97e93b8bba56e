// quick_call: an await that is over at once when it can be, without a frame, and runs a task
// otherwise: a line that has arrived already, a text that fits into a buffer. The hard idea: it is
// no boundary; a cancellation below it destroys the frame that awaits it, and the task with it.
#pragma once

#include <weir/core/as_result.hpp>
#include <weir/core/task.hpp>
#include <weir/core/wait.hpp>
#include <weir/core/with_scope.hpp>

#include <concepts>
#include <coroutine>
#include <type_traits>
#include <utility>

namespace weir {

/// The base of quick calls: with it, as_result() and with_timeout() below are found by argument.
struct quick_await {};

}  // namespace weir

namespace weir::detail {

/// Op offers: value_type; `when_cancelled`, a cancel_safety; bool try_now(), which may throw;
/// value_type take(); and static task<value_type> run(Op), which goes on where try_now() found that
/// it has to wait.
template <class Op>
class [[nodiscard]] quick_call : public quick_await {
 public:
  using value_type = typename Op::value_type;
  static constexpr auto when_cancelled = Op::when_cancelled;

  explicit quick_call(Op op) noexcept : op_(std::move(op)) {}
  quick_call(quick_call&& other) noexcept  // only before it begins
      : quick_await(), op_(std::move(other.op_)) {}
  quick_call& operator=(quick_call&&) = delete;

  void bind(frame_base& above) noexcept { above_ = &above; }
  bool await_ready() {
    is_refused_ = running_task->is_cancelled();
    if (is_refused_) [[unlikely]]
      return false;
    is_finished_ = op_.try_now();
    return is_finished_ && may_finish_now(*running_task);
  }
  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P> from) {
    task_header& running = *running_task;
    if (is_refused_ || is_finished_) [[unlikely]] {
      running.leaf = reinterpret_cast<std::uintptr_t>(above_);
      return is_refused_ ? unwind(running) : requeue(running);
    }
    rest_ = Op::run(std::move(op_));
    return static_cast<task<value_type>&&>(rest_).operator co_await().await_suspend(from);
  }
  value_type await_resume() {
    if (rest_) return rest_.promise().take();
    return op_.take();
  }

 private:
  Op op_;
  task<value_type> rest_;
  frame_base* above_ = nullptr;
  bool is_refused_ = false;
  bool is_finished_ = false;
};

template <class A>
concept quick = std::derived_from<std::remove_cvref_t<A>, quick_await>;

}  // namespace weir::detail

namespace weir {

/// A read or write with its error as a value, or with a time-out.
template <detail::quick Call>
[[nodiscard]] auto as_result(Call call) {
  return as_result(detail::awaited<Call>(std::move(call)));
}
template <detail::quick Call>
[[nodiscard]] WEIR_CORO_WRAPPER auto with_timeout(duration length, Call call) {
  return with_timeout(length, detail::awaited<Call>(std::move(call)));
}

}  // namespace weir
