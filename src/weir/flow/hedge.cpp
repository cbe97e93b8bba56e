#include <weir/flow/hedge.hpp>

#include <weir/base/error.hpp>
#include <weir/core/loop.hpp>
#include <weir/flow/detail/clock_here.hpp>

#include <string>

namespace weir {

namespace detail {

void check_hedge(const hedge_options& options) {
  if (options.calls_max == 0 || options.delay < duration() || !options.may_pass)
    raise(error(errc::invalid_argument,
                "hedge: calls_max must be above 0, delay not negative, and may_pass a function"));
}

hedge_course::hedge_course(const hedge_options& chosen, hedge_stats& stats, latency_histogram* took)
    : options(chosen), stats_(stats), took_(took) {
  check_hedge(options);
  ++stats_.calls;
  if (options.budget) options.budget->deposit(detail::now_here());
}

bool hedge_course::may_begin(std::uint32_t number) noexcept {
  if (number == 0) return true;
  if (is_fatal_ || number >= options.calls_max) return false;
  if (options.budget && !options.budget->try_withdraw(detail::now_here())) return false;
  ++stats_.hedges;
  return true;
}

void hedge_course::succeeded(std::uint32_t number, time_point begun) noexcept {
  const time_point now = detail::now_here();
  stats_.won += number == 0 ? 0 : 1;
  if (took_) took_->add(now - begun, now);
  around->cancel("another call of the hedge was first");
}

void hedge_course::failed(const call_failure& what) {
  failures_.add(what.exception());
  if (!options.may_pass(what)) {
    is_fatal_ = true;
    around->cancel("a call of the hedge failed for good");
  }
  one_failed.set();
}

std::string hedge_course::why_no_more() const {
  return std::string(options.name) + ": all " + std::to_string(failures_.count()) + " calls failed";
}

error hedge_course::verdict() const {
  if (failures_.count() == 1) return call_failure(failures_.last()).to_error();
  return failures_.chain(why_no_more());
}

void hedge_course::raise() const { failures_.raise(options.name, why_no_more()); }

}  // namespace detail

hedge_policy::hedge_policy(hedge_options options, hedge_percentile learned)
    : options_(options), learned_(learned), took_(learned.window) {
  detail::check_hedge(options);
  if (!(learned.percent > 0) || learned.percent > 100)
    raise(error(errc::invalid_argument, "hedge: percent must be above 0 and at most 100"));
}

duration hedge_policy::delay() noexcept {
  const time_point now = detail::now_here();
  if (took_.count(now) < learned_.calls_min) return options_.delay;
  return took_.percentile(learned_.percent, now);
}

}  // namespace weir
