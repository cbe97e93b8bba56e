#include <weir/flow/retry.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>
#include <weir/flow/detail/clock_here.hpp>

#include <algorithm>
#include <string>
#include <utility>

namespace weir::detail {

schedule_moment moment_now() noexcept {
  driver& io = loop::current()->io();
  return {.now = io.now(), .wall = io.wall_now()};
}

schedule_run run_of(const schedule& when, const schedule_moment& begins) {
  return {when, begins, loop::current()->io().random()};
}

retry_course::retry_course(const schedule& when, const retry_options& options, retry_stats& stats)
    : when_(when), options_(options), stats_(stats), begun_(moment_now()) {
  if (!options.should_retry)
    weir::raise(error(errc::invalid_argument, "retry: should_retry must be a function"));
  ++stats_.calls;
  if (options_.budget) options_.budget->deposit(begun_.now);
}

std::optional<duration> retry_course::give_up(const char* why) noexcept {
  why_ = why;
  ++stats_.gave_up;
  return std::nullopt;
}

const char* retry_course::reason_not_to_wait(duration length) noexcept {
  const time_point now = now_here();
  const time_point deadline = scope::current()->effective_deadline();
  if (deadline != time_point::never() && now + length >= deadline)
    return "the deadline comes before the next attempt";
  if (options_.budget && !options_.budget->try_withdraw(now)) return "the retry budget is empty";
  return nullptr;
}

std::optional<duration> retry_course::delay_after(const call_failure& what) {
  failures_.add(what.exception());
  if (!options_.should_retry(what)) return give_up("the last failure is none to be retried");
  if (!run_) run_.emplace(run_of(when_, begun_));
  schedule_moment now = moment_now();
  now.least = what.retry_after();
  std::optional<duration> delay = run_->next(now);
  if (!delay) return give_up("the schedule is over");
  if (!is_planted("flow: a retry does not wait as long as it was asked to"))
    *delay = std::max(*delay, what.retry_after());
  if (const char* why = reason_not_to_wait(*delay)) return give_up(why);
  if (log::is_on(log::level::debug)) {
    log::debug("retry", {{"name", options_.name},
                         {"attempt", failures_.count()},
                         {"delay", format_duration(*delay)},
                         {"error", what.text()}});
  }
  return delay;
}

std::string retry_course::why_no_more() const {
  std::string text = options_.name;
  ((text += ": gave up after ") += std::to_string(failures_.count())) += " attempts in ";
  (text += format_duration(now_here() - begun_.now)) += " (";
  return (text += why_) += ')';
}

error retry_course::verdict() const {
  if (failures_.count() == 1) return call_failure(failures_.last()).to_error();
  return failures_.chain(why_no_more());
}

void retry_course::raise() const { failures_.raise(options_.name, why_no_more()); }

}  // namespace weir::detail
