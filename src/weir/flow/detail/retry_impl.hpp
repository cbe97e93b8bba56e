// Bodies of retry.hpp's templates.
#pragma once

#include <weir/core/sleep.hpp>
#include <weir/flow/retry.hpp>

#include <exception>
#include <optional>
#include <string>
#include <utility>

namespace weir {

namespace detail {

/// The part of a retry that does not depend on the call.
class retry_course {
 public:
  retry_course(const schedule& when, const retry_options& options, retry_stats& stats);

  void attempt_begins() noexcept { ++stats_.attempts; }
  void succeeded() noexcept { stats_.saved += failures_.count() == 0 ? 0 : 1; }
  /// How long to wait for the next attempt; nothing: it gives up.
  std::optional<duration> delay_after(const call_failure& what);
  /// What a call that gives results gives in the end.
  error verdict() const;
  [[noreturn]] void raise() const;

 private:
  std::optional<duration> give_up(const char* why) noexcept;
  const char* reason_not_to_wait(duration length) noexcept;
  std::string why_no_more() const;

  const schedule& when_;
  const retry_options& options_;
  retry_stats& stats_;
  schedule_moment begun_;
  std::optional<schedule_run> run_;  // from the first failure on
  failure_list failures_;
  const char* why_ = "";
};

/// The delay of a schedule at this moment of the running loop.
schedule_moment moment_now() noexcept;
schedule_run run_of(const schedule& when, const schedule_moment& begins);

template <class F>
task<call_value_t<F>> retry_call(const schedule* when, F call, const retry_options* options,
                                 retry_stats* stats) {
  using value = call_value_t<F>;
  retry_course course(*when, *options, *stats);
  for (;;) {
    std::optional<call_failure> failed;
    course.attempt_begins();
    try {
      if constexpr (std::is_void_v<value>) {
        co_await call();
        course.succeeded();
        co_return;
      } else {
        value made = co_await call();
        bool is_made = true;
        if constexpr (is_result<value>) {
          is_made = made.has_value();
          if (!is_made) failed.emplace(made.error());
        }
        if (is_made) {
          course.succeeded();
          co_return made;
        }
      }
    } catch (...) {
      failed.emplace(std::current_exception());
    }
    const std::optional<duration> delay = course.delay_after(*failed);
    if (!delay) break;
    failed.reset();
    co_await sleep(*delay);
  }
  if constexpr (is_result<value>) {
    co_return std::unexpected<error>(course.verdict());
  } else {
    course.raise();
  }
}

template <class F>
task<> repeat_call(const schedule* when, F call, bool begins_now) {
  schedule_run run = run_of(*when, moment_now());
  for (;; begins_now = true) {
    if (begins_now) static_cast<void>(co_await call());
    const std::optional<duration> delay = run.next(moment_now());
    if (!delay) co_return;
    co_await sleep(*delay);
  }
}

}  // namespace detail

template <class F>
task<detail::call_value_t<F>> retry(schedule when, F call, retry_options options) {
  retry_stats uncounted;
  co_return co_await detail::retry_call(&when, detail::call_ref<F>{&call}, &options, &uncounted);
}

template <class F>
task<detail::call_value_t<F>> retry_policy::run(F call) {
  const detail::calls_inside::guard inside(inside_);
  co_return co_await detail::retry_call(&when_, detail::call_ref<F>{&call}, &options_, &stats_);
}

template <class F>
task<> repeat(schedule when, F call) {
  co_await detail::repeat_call(&when, detail::call_ref<F>{&call}, true);
}
template <class F>
task<> follow(schedule when, F call) {
  co_await detail::repeat_call(&when, detail::call_ref<F>{&call}, false);
}

}  // namespace weir
