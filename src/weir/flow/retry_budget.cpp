#include <weir/flow/retry_budget.hpp>

#include <weir/base/error.hpp>

namespace weir::detail {

namespace {

retry_budget_options checked(retry_budget_options options) {
  // Written so that numbers that are none are refused, too.
  if (!(options.ratio >= 0) || !(options.retries_per_second_min >= 0) ||
      options.window < duration::milliseconds(1))
    raise(error(errc::invalid_argument,
                "retry_budget: ratio and retries_per_second_min must not be negative, and the "
                "window must be at least a millisecond"));
  return options;
}

}  // namespace

template <class Reach>
basic_retry_budget<Reach>::basic_retry_budget(retry_budget_options options)
    : options_(checked(options)), window_(options.window) {}

template <class Reach>
void basic_retry_budget<Reach>::deposit(time_point now) noexcept {
  const typename Reach::guard held(lock_);
  window_.add({.calls = 1}, now);
  ++stats_.calls;
}

template <class Reach>
double basic_retry_budget<Reach>::balance(time_point now) noexcept {
  const typename Reach::guard held(lock_);
  return balance_now(now);
}

template <class Reach>
double basic_retry_budget<Reach>::balance_now(time_point now) noexcept {
  const counts& in_window = window_.sum(now);
  const double seconds = static_cast<double>(options_.window.ns) * 1e-9;
  return options_.retries_per_second_min * seconds +
         options_.ratio * static_cast<double>(in_window.calls) -
         static_cast<double>(in_window.retries);
}

template <class Reach>
bool basic_retry_budget<Reach>::try_withdraw(time_point now) noexcept {
  const typename Reach::guard held(lock_);
  if (balance_now(now) < 1) {
    ++stats_.refused;
    return false;
  }
  window_.add({.retries = 1}, now);
  ++stats_.retries;
  return true;
}

template class basic_retry_budget<one_loop>;
template class basic_retry_budget<many_loops>;

}  // namespace weir::detail
