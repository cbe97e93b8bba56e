// Doing something again: retry() after failures, repeat() after successes. The hard idea: a retry
// is load on something that is in trouble, so it happens only when the failure may pass, the
// schedule goes on, a budget that calls share has something left, and there is time for it.
#pragma once

#include <weir/core/task.hpp>
#include <weir/flow/attempts_failed.hpp>
#include <weir/flow/call_failure.hpp>
#include <weir/flow/detail/calls.hpp>
#include <weir/flow/retry_budget.hpp>
#include <weir/flow/schedule.hpp>

#include <cstdint>

namespace weir {

struct retry_options {
  failure_test should_retry = is_transient;  // others are raised at once
  retry_fund* budget = nullptr;              // shared by calls, so that retries stay a fraction
  const char* name = "retry";
};

struct retry_stats {
  std::uint64_t calls = 0;
  std::uint64_t attempts = 0;
  std::uint64_t saved = 0;    // calls that succeeded after a retry
  std::uint64_t gave_up = 0;  // calls that failed in the end
};

/// Makes the call again while it fails in a way that may pass, when `when` says so:
/// `auto q = co_await retry(exponential(100_ms, 5_s).jittered().up_to(30_s), quote);`
/// A call is a function that gives a task, and may give a task of a result, whose error counts as a
/// failure. It gives up when the schedule is over, when the failure is none to be retried, when the
/// budget is empty, or when the scope's deadline comes before the next attempt. A refusal's
/// retry_after() is waited for, if it is longer than the delay. A single attempt's failure is
/// raised as it is, those of several as attempts_failed. `invalid_argument` without should_retry.
///
/// Cancel: ends the attempt or the delay; nothing is attempted afterwards.
template <class F>
task<detail::call_value_t<F>> retry(schedule when, F call, retry_options options = {});

/// Makes the call now, and again after each delay of the schedule, until that is over. A failure
/// ends it. `co_await repeat(fixed(10_s), report_load);`
template <class F>
task<> repeat(schedule when, F call);
/// The same, but for the delay before the first call: `co_await follow(cron("0 3 * * *"), clean);`
template <class F>
task<> follow(schedule when, F call);

/// A retry with counts, which many calls share.
///
/// Cancel:  as retry().
/// Order:   calls don't wait for each other.
/// Bound:   the schedule's.
/// Errors:  as retry().
/// Threads: one loop. It outlives every call of its own.
class retry_policy {
 public:
  explicit retry_policy(schedule when, retry_options options = {}) noexcept
      : when_(static_cast<schedule&&>(when)), options_(options) {}

  template <class F>
  task<detail::call_value_t<F>> run(F call);

  const char* name() const noexcept { return options_.name; }
  retry_stats stats() const noexcept { return stats_; }

 private:
  schedule when_;
  retry_options options_;
  retry_stats stats_;
  detail::calls_inside inside_;
};

}  // namespace weir

#include <weir/flow/detail/retry_impl.hpp>
