// What the policies share: how a call is made, and how a policy that only watches is told how it
// ended.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/result.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/task.hpp>
#include <weir/core/wait.hpp>
#include <weir/flow/call_failure.hpp>

#include <cstddef>
#include <exception>
#include <expected>
#include <type_traits>
#include <utility>

namespace weir::detail {

/// The value of the task (or the single wait) that f(args...) gives.
template <class F, class... A>
using call_value_t = typename std::remove_cvref_t<std::invoke_result_t<F&, A...>>::value_type;

template <class T>
inline constexpr bool is_result = false;
template <class T>
inline constexpr bool is_result<std::expected<T, error>> = true;

/// A call that is kept elsewhere, as a call of its own.
template <class F>
struct call_ref {
  F* call;
  WEIR_CORO_WRAPPER auto operator()() const { return (*call)(); }
};

/// The calls that are inside a policy which would else not notice that it ends under them. What is
/// copied or moved begins with none.
class calls_inside {
 public:
  class guard {
   public:
    explicit guard(calls_inside& of) noexcept : of_(of) { ++of_.count_; }
    guard(const guard&) = delete;
    guard& operator=(const guard&) = delete;
    ~guard() { --of_.count_; }

   private:
    calls_inside& of_;
  };

  calls_inside() = default;
  calls_inside(const calls_inside&) noexcept {}
  calls_inside& operator=(const calls_inside&) noexcept {
    WEIR_ASSERT(count_ == 0 && "assigned to under a call");
    return *this;
  }
  ~calls_inside() { WEIR_ASSERT(count_ == 0 && "destroyed under a call"); }

 private:
  std::size_t count_ = 0;
};

/// A checkpoint with a value, for policies that let a call in at once or not at all.
class [[nodiscard]] turn_wait final : public leaf_wait<turn_wait, unit> {
 public:
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  turn_wait() noexcept : leaf_wait(kind_) {}
  bool try_now() noexcept { return true; }
  void enlist() noexcept { complete(); }
  result<unit> take() noexcept { return unit{}; }

 private:
  static constexpr wait_kind kind_{"its turn", nullptr};
};

/// Makes a call under a policy: `policy->enter()` is a wait for admission, and begin() makes a
/// ticket of what came out. The ticket hears succeeded() or failed(); one that is destroyed without
/// having heard either belongs to a call that was cancelled. The policy outlives the task.
template <class Policy, class F>
task<call_value_t<F>> call_under(Policy* policy, F call) {
  using value = call_value_t<F>;
  auto ticket = policy->begin(co_await policy->enter());
  try {
    if constexpr (std::is_void_v<value>) {
      co_await call();
      ticket.succeeded();
    } else {
      value made = co_await call();
      if constexpr (is_result<value>) {
        if (made) {
          ticket.succeeded();
        } else {
          ticket.failed(call_failure(made.error()));
        }
      } else {
        ticket.succeeded();
      }
      co_return made;
    }
  } catch (...) {
    ticket.failed(call_failure(std::current_exception()));
    throw;
  }
}

}  // namespace weir::detail
