#include <weir/flow/circuit_breaker.hpp>

#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/core/loop.hpp>

#include <string>
#include <utility>

namespace weir {

breaker_verdict judge_failure(const call_failure& what) {
  if (what.is_refusal()) return breaker_verdict::ignored;
  switch (what.code()) {
    case errc::not_found:
    case errc::already_exists:
    case errc::invalid_argument:
    case errc::permission_denied:
    case errc::too_large:
    case errc::unsupported:
      return breaker_verdict::success;
    default:
      return breaker_verdict::failure;
  }
}

namespace {

breaker_options checked(breaker_options options) {
  const auto is_percent = [](std::uint32_t n) { return n >= 1 && n <= 100; };
  const char* wrong = nullptr;
  if (!is_percent(options.failure_percent) || !is_percent(options.slow_percent))
    wrong = "failure_percent and slow_percent must be from 1 to 100";
  else if (options.window_calls == 0 || options.calls_min == 0 || options.probes == 0)
    wrong = "window_calls, calls_min and probes must be above 0";
  else if (options.window_time != duration() && options.window_time < duration(1000))
    wrong = "window_time must be 0 or at least a microsecond";
  else if (options.open_for <= duration() || options.probes_time_max < duration())
    wrong = "open_for must be above 0, and probes_time_max not negative";
  else if (!options.judge)
    wrong = "judge must be a function";
  if (wrong) raise(error(errc::invalid_argument, std::string("circuit_breaker: ") + wrong));
  return options;
}

// The loop's moment, or the beginning of time where nothing runs yet.
time_point now_of_loop() noexcept {
  loop* const on = loop::current();
  return on ? on->now() : time_point();
}

std::uint32_t percent(std::uint32_t part, std::uint32_t whole) noexcept {
  return whole == 0 ? 0 : static_cast<std::uint32_t>(std::uint64_t{100} * part / whole);
}

}  // namespace

circuit_breaker::circuit_breaker(breaker_options options)
    : options_(checked(options)), window_(options.window_calls, options.window_time) {
  // A window of calls that is smaller than calls_min would never open it.
  if (options_.window_time == duration() && options_.calls_min > options_.window_calls)
    options_.calls_min = options_.window_calls;
}

bool circuit_breaker::is_bad(const detail::breaker_counts& counts) const noexcept {
  const auto is_over = [&](std::uint32_t part, std::uint32_t limit) {
    return std::uint64_t{100} * part >= std::uint64_t{limit} * counts.calls;
  };
  return is_over(counts.failed, options_.failure_percent) ||
         is_over(counts.slow, options_.slow_percent);
}

void circuit_breaker::turn(breaker_state to, time_point now) noexcept {
  state_ = to;
  since_ = now;
  ++epoch_;
  probed_ = {};
  probes_let_in_ = 0;
  if (to == breaker_state::closed) window_.clear();
  if (to == breaker_state::open) ++stats_.opened;
}

void circuit_breaker::tell(breaker_state to, const detail::breaker_counts& counts) const noexcept {
  if (to == breaker_state::closed) {
    log::info("circuit breaker closed", {{"name", options_.name}});
    return;
  }
  log::warn("circuit breaker opened",
            {{"name", options_.name},
             {"calls", counts.calls},
             {"failed_percent", percent(counts.failed, counts.calls)},
             {"slow_percent", percent(counts.slow, counts.calls)},
             {"last_failure", last_failure_ ? last_failure_->message() : std::string_view()}});
}

bool circuit_breaker::is_probing_too_long(time_point now) const noexcept {
  return options_.probes_time_max != duration() && now >= since_ + options_.probes_time_max;
}

bool circuit_breaker::is_ready() const noexcept {
  const time_point now = now_of_loop();
  switch (state_) {
    case breaker_state::closed:
    case breaker_state::disabled:
      return true;
    case breaker_state::forced_open:
      return false;
    case breaker_state::open:
      return now >= since_ + options_.open_for;
    case breaker_state::half_open:
      return probes_let_in_ < options_.probes && !is_probing_too_long(now);
  }
  return false;
}

circuit_breaker::ticket circuit_breaker::begin(unit) {
  const time_point now = now_of_loop();
  if (state_ == breaker_state::half_open && is_probing_too_long(now)) {
    turn(breaker_state::open, now);
    tell(breaker_state::open, probed_);
  }
  if (state_ == breaker_state::open && now >= since_ + options_.open_for)
    turn(breaker_state::half_open, now);
  if (!is_ready()) refuse(now);
  if (state_ == breaker_state::half_open) ++probes_let_in_;  // (2)
  return {this, epoch_, now};
}

void circuit_breaker::refuse(time_point now) {
  ++stats_.refused;
  std::string text = options_.name;
  duration retry_after;
  if (state_ == breaker_state::forced_open) {
    text += ": the circuit breaker was opened by hand";
  } else if (state_ == breaker_state::half_open) {
    text += ": the circuit breaker is half open and waits for what its probes come to";
  } else {
    retry_after = since_ + options_.open_for - now;
    ((text += ": the circuit breaker is open for another ") += format_duration(retry_after));
  }
  error why(errc::refused, text);
  if (last_failure_) why = std::move(why).caused_by(*last_failure_);
  throw call_refused(std::move(why), options_.name, retry_after);
}

void circuit_breaker::give_back(std::uint64_t epoch) noexcept {
  if (epoch == epoch_ && state_ == breaker_state::half_open) --probes_let_in_;  // (2)
}

void circuit_breaker::note(const ticket& of, const call_failure* failure) noexcept {
  const breaker_verdict verdict = failure ? options_.judge(*failure) : breaker_verdict::success;
  if (verdict == breaker_verdict::ignored) return give_back(of.epoch_);
  const bool is_failed = verdict == breaker_verdict::failure;
  ++(is_failed ? stats_.failed : stats_.succeeded);
  if (of.epoch_ != epoch_) return;  // (1)
  const time_point now = now_of_loop();
  const detail::breaker_counts one{.calls = 1,
                                   .failed = is_failed ? 1u : 0u,
                                   .slow = now - of.begun_ > options_.slow_call ? 1u : 0u};
  if (is_failed) last_failure_ = failure->to_error();
  if (state_ == breaker_state::closed) {
    window_.add(one, now);
    const detail::breaker_counts counts = window_.counts(now);
    if (counts.calls >= options_.calls_min && is_bad(counts)) {
      turn(breaker_state::open, now);
      tell(breaker_state::open, counts);
    }
  } else if (state_ == breaker_state::half_open) {
    probed_ += one;
    if (probed_.calls < options_.probes) return;
    const detail::breaker_counts counts = probed_;
    const breaker_state to = is_bad(counts) ? breaker_state::open : breaker_state::closed;
    turn(to, now);
    tell(to, counts);
  }
}

void circuit_breaker::force_open() noexcept { turn(breaker_state::forced_open, now_of_loop()); }
void circuit_breaker::disable() noexcept { turn(breaker_state::disabled, now_of_loop()); }
void circuit_breaker::reset() noexcept {
  turn(breaker_state::closed, now_of_loop());
  last_failure_.reset();
}

breaker_stats circuit_breaker::stats() noexcept {
  const detail::breaker_counts counts =
      state_ == breaker_state::half_open ? probed_ : window_.counts(now_of_loop());
  breaker_stats shown = stats_;
  shown.state = state_;
  shown.window_calls = counts.calls;
  shown.window_failed = counts.failed;
  shown.window_slow = counts.slow;
  return shown;
}

}  // namespace weir
