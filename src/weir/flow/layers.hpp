// layers: several policies around a call, as one. The hard idea: the order is the meaning. A
// time_limit outside of a retry bounds all attempts together, inside of it each one; a breaker
// inside of a retry hears of each attempt.
#pragma once

#include <weir/core/with_scope.hpp>
#include <weir/flow/detail/calls.hpp>
#include <weir/flow/rate_limiter.hpp>

#include <cstddef>
#include <tuple>
#include <type_traits>
#include <utility>

namespace weir {

/// A deadline for each call: `timed_out` is raised once the call has been cancelled and has ended.
///
/// Cancel:  ends the call.
/// Order:   none.
/// Bound:   nothing is kept.
/// Errors:  `timed_out`; `invalid_argument` for a negative length.
/// Threads: one loop.
class time_limit {
 public:
  explicit time_limit(duration length) : length_(length) {
    if (length < duration())
      raise(error(errc::invalid_argument, "time_limit: the length must not be negative"));
  }

  template <class F>
  task<detail::call_value_t<F>> run(F call) const {
    co_return co_await with_timeout(length_, call());
  }

 private:
  duration length_;
};

/// A token of a bucket for each call, which is not waited for longer than `wait_max`: who would
/// have to is refused at once, and told when to come again.
///
/// Cancel:  a call that is cancelled while it waits takes no token.
/// Order:   first come, first served.
/// Bound:   the bucket's.
/// Errors:  call_refused (`full`) with the time after which there will be a token.
/// Threads: one loop; several may share the bucket of cross::rate_limit. The bucket outlives it.
template <class Bucket>
class basic_rate_limit {
 public:
  explicit basic_rate_limit(Bucket& bucket, duration wait_max = duration::seconds(5)) noexcept
      : bucket_(&bucket), wait_max_(wait_max) {}

  template <class F>
  task<detail::call_value_t<F>> run(F call) const {
    co_await bucket_->acquire_within(wait_max_);
    co_return co_await call();
  }
  bool is_ready() const noexcept { return bucket_->delay() == duration(); }
  const char* name() const noexcept { return bucket_->name(); }
  rate_stats stats() const noexcept { return bucket_->stats(); }

 private:
  Bucket* bucket_;
  duration wait_max_;
};
using rate_limit = basic_rate_limit<rate_limiter>;

namespace cross {
/// A rate_limit over a bucket that loops share; each loop may have its own, or all the same.
using rate_limit = basic_rate_limit<rate_limiter>;
}  // namespace cross

namespace detail {

template <std::size_t Index, class Layers, class F>
struct inner_call {
  Layers* layers;
  F* call;
  WEIR_CORO_WRAPPER task<call_value_t<F>> operator()() const {
    if constexpr (Index == std::tuple_size_v<Layers>) {
      return (*call)();
    } else {
      return std::get<Index>(*layers).run(inner_call<Index + 1, Layers, F>{layers, call});
    }
  }
};

/// A call that gives a single wait, as one that gives a task.
template <class F>
task<call_value_t<F>> as_task(F* call) {
  co_return co_await (*call)();
}
template <class F>
struct task_call {
  F* call;
  WEIR_CORO_WRAPPER task<call_value_t<F>> operator()() const { return as_task(call); }
};

}  // namespace detail

/// Policies around a call, the first one outermost: `layers(retry_policy(...), breaker,
/// time_limit(1_s)).run(call)`. Made by layers(); those that were given as lvalues are referred to
/// and outlive it.
///
/// Cancel:  as each policy says.
/// Order:   the first policy is asked first, and hears the end last.
/// Bound:   those of the policies.
/// Errors:  an error crosses the policies from the inside out; each may change it.
/// Threads: one loop.
template <class... Policy>
class layered {
 public:
  explicit layered(Policy... policies) : policies_(static_cast<Policy&&>(policies)...) {}

  template <class F>
  task<detail::call_value_t<F>> run(F call) {
    if constexpr (detail::is_task<std::remove_cvref_t<std::invoke_result_t<F&>>>) {
      co_return co_await detail::inner_call<0, std::tuple<Policy...>, F>{&policies_, &call}();
    } else {
      using given = detail::task_call<F>;
      given tasks{&call};
      co_return co_await detail::inner_call<0, std::tuple<Policy...>, given>{&policies_, &tasks}();
    }
  }
  template <std::size_t Index>
  auto& get() noexcept {
    return std::get<Index>(policies_);
  }

 private:
  std::tuple<Policy...> policies_;
};

template <class... Policy>
layered<Policy...> layers(Policy&&... policies) {
  return layered<Policy...>(std::forward<Policy>(policies)...);
}

}  // namespace weir
