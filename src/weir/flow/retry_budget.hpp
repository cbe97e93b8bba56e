// A budget for retries: when everything fails, retries must not multiply the load. The hard idea:
// each call pays a fraction of a retry in, each retry takes a whole one out, and what was paid in
// is forgotten after a while; a small allowance a second lets those retry who call rarely.
#pragma once

#include <weir/base/time.hpp>
#include <weir/flow/detail/reach.hpp>
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

/// Where retries and hedges are paid: a retry_budget, or a cross::retry_budget.
///
/// Cancel:  no waits; a retry that is cancelled after it was paid for stays paid.
/// Order:   none.
/// Bound:   as what is behind it.
/// Errors:  none.
/// Threads: as what is behind it.
class retry_fund {
 public:
  /// A call is made: its share is paid in.
  virtual void deposit(time_point now) noexcept = 0;
  /// Pays for a retry; false when less than one is left.
  [[nodiscard]] virtual bool try_withdraw(time_point now) noexcept = 0;

 protected:
  ~retry_fund() = default;
};

namespace detail {

template <class Reach>
class basic_retry_budget : public retry_fund {
 public:
  explicit basic_retry_budget(retry_budget_options options = {});

  void deposit(time_point now) noexcept final;
  [[nodiscard]] bool try_withdraw(time_point now) noexcept final;
  /// How many retries are left.
  double balance(time_point now) noexcept;

  const char* name() const noexcept { return options_.name; }
  retry_budget_stats stats() const noexcept {
    const typename Reach::guard held(lock_);
    return stats_;
  }

 protected:
  ~basic_retry_budget() = default;

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
  double balance_now(time_point now) noexcept;

  [[no_unique_address]] mutable typename Reach::lock lock_;
  retry_budget_options options_;
  slotted_window<counts> window_;
  retry_budget_stats stats_;
};

extern template class basic_retry_budget<one_loop>;
extern template class basic_retry_budget<many_loops>;

}  // namespace detail

/// What many retrying calls may spend together.
///
/// Cancel:  no waits; a retry that is cancelled after it was paid for stays paid.
/// Order:   none.
/// Bound:   ten slots that divide the window; what is older than it counts no more.
/// Errors:  `invalid_argument` for a negative ratio or allowance and for a window of nothing.
/// Threads: one at a time; cross::retry_budget is for several.
class retry_budget final : public detail::basic_retry_budget<detail::one_loop> {
 public:
  using basic_retry_budget::basic_retry_budget;
};

namespace cross {

/// weir::retry_budget for the calls of several loops: retries stay a fraction of what the whole
/// program calls, and the allowance is one for all. A call costs a short lock, a retry another.
///
/// Cancel:  no waits; a retry that is cancelled after it was paid for stays paid.
/// Order:   none; a moment before the newest that was told counts as that.
/// Bound:   ten slots that divide the window; what is older than it counts no more.
/// Errors:  `invalid_argument` for a negative ratio or allowance and for a window of nothing.
/// Threads: any, with the moments of one clock.
class retry_budget final : public detail::basic_retry_budget<detail::many_loops> {
 public:
  using basic_retry_budget::basic_retry_budget;
};

}  // namespace cross
}  // namespace weir
