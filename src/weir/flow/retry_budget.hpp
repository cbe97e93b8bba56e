// A budget for retries: when everything fails, retries must not multiply the load. The hard idea:
// each call pays a fraction of a retry in, each retry takes a whole one out, and what was paid in
// is forgotten after a while; a small allowance a second lets those retry who call rarely.
#pragma once

#include <weir/base/time.hpp>
#include <weir/flow/detail/slotted_window.hpp>

#include <cstdint>

namespace weir {

struct retry_budget_options {
  double ratio = 0.2;                       // retries for each call
  double retries_per_second_min = 10;       // that are allowed whatever the calls
  duration window = duration::seconds(10);  // how long calls and retries count
  const char* name = "retry_budget";
};

struct retry_budget_stats {
  std::uint64_t calls = 0;
  std::uint64_t retries = 0;
  std::uint64_t refused = 0;  // retries for which there was nothing left
};

/// What many retrying calls may spend together.
///
/// Cancel:  no waits; a retry that is cancelled after it was paid for stays paid.
/// Order:   none.
/// Bound:   ten slots that divide the window; what is older than it counts no more.
/// Errors:  `invalid_argument` for a negative ratio or allowance and for a window of nothing.
/// Threads: one at a time: give each loop its own.
class retry_budget {
 public:
  explicit retry_budget(retry_budget_options options = {});

  /// A call is made: its share is paid in.
  void deposit(time_point now) noexcept;
  /// Pays for a retry; false when less than one is left.
  [[nodiscard]] bool try_withdraw(time_point now) noexcept;
  /// How many retries are left.
  double balance(time_point now) noexcept;

  const char* name() const noexcept { return options_.name; }
  retry_budget_stats stats() const noexcept { return stats_; }

 private:
  struct counts {
    std::uint64_t calls = 0;
    std::uint64_t retries = 0;
    counts& operator+=(const counts& more) noexcept {
      calls += more.calls;
      retries += more.retries;
      return *this;
    }
    counts& operator-=(const counts& less) noexcept {
      calls -= less.calls;
      retries -= less.retries;
      return *this;
    }
  };

  retry_budget_options options_;
  detail::slotted_window<counts> window_;
  retry_budget_stats stats_;
};

}  // namespace weir
