// hedge: a call that takes longer than usual is made a second time, and the first success counts.
// It cuts off the long tail of latencies at the price of a few more calls (Dean and Barroso, The
// Tail at Scale, 2013). Only for calls that may happen twice. The hard idea: the losers are
// cancelled and awaited, so nothing of a hedged call is left when it returns.
#pragma once

#include <weir/flow/attempts_failed.hpp>
#include <weir/flow/call_failure.hpp>
#include <weir/flow/detail/calls.hpp>
#include <weir/flow/latency_histogram.hpp>
#include <weir/flow/retry_budget.hpp>

#include <cstdint>

namespace weir {

struct hedge_options {
  duration delay = duration::milliseconds(100);  // after it the next call is made
  std::uint32_t calls_max = 2;                   // with the first one
  failure_test may_pass = is_transient;          // others end the whole at once
  retry_fund* budget = nullptr;                  // shared by calls, so that hedges stay a fraction
  const char* name = "hedge";
};

struct hedge_stats {
  std::uint64_t calls = 0;
  std::uint64_t hedges = 0;  // calls made on top
  std::uint64_t won = 0;     // hedges whose success counted
};

/// Makes the call, and again after each delay, up to calls_max times at once; gives the first
/// success. A call that fails lets the next one begin at once; a failure that can't pass ends all.
/// When all have failed: the failure of a single one as it is, several as attempts_failed.
///
/// Cancel: ends all the calls, and waits for their ends.
template <class F>
task<detail::call_value_t<F>> hedge(hedge_options options, F call);

struct hedge_percentile {
  double percent = 95;                      // the delay is what so many calls don't exceed
  std::uint32_t calls_min = 20;             // before that, hedge_options::delay
  duration window = duration::seconds(30);  // of the calls that are looked at
};

/// A hedge that learns its delay from how long calls take.
///
/// Cancel:  as hedge().
/// Order:   none.
/// Bound:   calls_max calls at once for each call; 4 KiB.
/// Errors:  as hedge(); `invalid_argument` for options that can't be meant.
/// Threads: one loop. It outlives every call of its own.
class hedge_policy {
 public:
  explicit hedge_policy(hedge_options options, hedge_percentile learned = {});

  template <class F>
  task<detail::call_value_t<F>> run(F call);

  /// After how long the next call would be made now.
  duration delay() noexcept;
  const char* name() const noexcept { return options_.name; }
  hedge_stats stats() const noexcept { return stats_; }

 private:
  hedge_options options_;
  hedge_percentile learned_;
  latency_histogram took_;
  hedge_stats stats_;
  detail::calls_inside inside_;
};

}  // namespace weir

#include <weir/flow/detail/hedge_impl.hpp>
