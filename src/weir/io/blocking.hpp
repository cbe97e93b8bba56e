// Calls that block the thread they run on, such as other people's libraries, without blocking the
// loop: they run on the driver's bounded pool of threads.
#pragma once

#include <weir/core/detail/works_for.hpp>
#include <weir/core/task.hpp>
#include <weir/io/io_wait.hpp>

#include <exception>
#include <optional>
#include <type_traits>
#include <utility>

namespace weir {

namespace detail {

class [[nodiscard]] blocking_wait final : public io_wait<blocking_wait, void> {
 public:
  static constexpr auto when_cancelled = cancel_safety::point_of_no_return;
  blocking_wait(void (*call)(void*), void* state) noexcept : io_wait(kind_) {
    op = io_op::run_blocking;
    function = call;
    memory = state;
  }
  result<void> take() noexcept {
    if (outcome >= 0) return {};
    return fail(failed("run on the blocking pool"));
  }

 private:
  static const wait_kind kind_;
};

}  // namespace detail

/// Runs f() on a thread of the pool and gives its value, or throws what it threw:
/// `auto row = co_await blocking([&] { return database.query(sql); });`
/// A cancellation takes back a call that has not begun. One that has is past the point of no
/// return: its end is waited for, its value is delivered, and the next wait ends the task. `full`
/// when driver_options::blocking_queue_max calls wait. Values of scopes (`weir::local`) and fields
/// of the log are the caller's in there.
template <class F>
[[nodiscard]] task<std::invoke_result_t<F&>> blocking(F f) {
  using value = std::invoke_result_t<F&>;
  struct call_state {
    F& function;
    const scope* around = detail::scope_asking();
    std::exception_ptr failure = nullptr;
    std::conditional_t<std::is_void_v<value>, bool, std::optional<value>> outcome{};
  } state{f};
  co_await detail::blocking_wait(
      [](void* memory) {
        auto& call = *static_cast<call_state*>(memory);
        const detail::works_for caller(call.around);
        try {
          if constexpr (std::is_void_v<value>) {
            call.function();
          } else {
            call.outcome.emplace(call.function());
          }
        } catch (...) {
          call.failure = std::current_exception();
        }
      },
      &state);
  if (state.failure) std::rethrow_exception(std::move(state.failure));
  if constexpr (!std::is_void_v<value>) co_return std::move(*state.outcome);
}

}  // namespace weir
