#include <weir/flow/circuit_breaker.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/core/loop.hpp>

#include <string>
#include <utility>

namespace weir {

breaker_verdict judge_failure(const call_failure& what) {
  if (what.is_refusal()) return breaker_verdict::ignored;
  switch (what.code()) {
    case errc::cancelled:
      return breaker_verdict::ignored;
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

namespace detail {

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
  else if (options.slow_call <= duration())
    wrong = "slow_call must be above 0";
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

void breaker_effects::tell() const noexcept {
  if (to == breaker_state::closed) {
    log::info("circuit breaker closed", {{"name", options.name}});
    return;
  }
  log::warn("circuit breaker opened",
            {{"name", options.name},
             {"calls", counts.calls},
             {"failed_percent", percent(counts.failed, counts.calls)},
             {"slow_percent", percent(counts.slow, counts.calls)},
             {"last_failure", last_failure ? last_failure->message() : std::string_view()}});
}

void breaker_effects::refuse() const {
  std::string text = options.name;
  if (to == breaker_state::forced_open) {
    text += ": the circuit breaker was opened by hand";
  } else if (to == breaker_state::half_open) {
    text += ": the circuit breaker is half open and waits for what its probes come to";
  } else {
    ((text += ": the circuit breaker is open for another ") += format_duration(retry_after));
  }
  error why(errc::refused, text);
  if (last_failure) why = std::move(why).caused_by(*last_failure);
  throw call_refused(std::move(why), options.name, retry_after);
}

breaker_core::breaker_core(breaker_options options)
    : options_(checked(options)), window_(options.window_calls, options.window_time) {
  // A window of calls that is smaller than calls_min would never open it.
  if (options_.window_time == duration() && options_.calls_min > options_.window_calls)
    options_.calls_min = options_.window_calls;
}

bool breaker_core::is_bad(const breaker_counts& counts) const noexcept {
  const auto is_over = [&](std::uint32_t part, std::uint32_t limit) {
    return std::uint64_t{100} * part >= std::uint64_t{limit} * counts.calls;
  };
  return is_over(counts.failed, options_.failure_percent) ||
         is_over(counts.slow, options_.slow_percent);
}

void breaker_core::turn(breaker_state to, time_point now) noexcept {
  state_ = to;
  since_ = now;
  ++epoch_;
  probed_ = {};
  probes_let_in_ = 0;
  if (to == breaker_state::closed) window_.clear();
  if (to == breaker_state::open) ++stats_.opened;
}

void breaker_core::turn(breaker_state to, const breaker_counts& counts, time_point now,
                        breaker_effects& out) noexcept {
  out.has_turned = true;
  out.to = to;
  out.counts = counts;
  out.last_failure = last_failure_;
  turn(to, now);
}

bool breaker_core::is_probing_too_long(time_point now) const noexcept {
  return options_.probes_time_max != duration() && now >= since_ + options_.probes_time_max;
}

bool breaker_core::is_ready(time_point now) const noexcept {
  switch (state_) {
    case breaker_state::closed:
    case breaker_state::disabled:
      return true;
    case breaker_state::forced_open:
      return false;
    case breaker_state::open:
      return now >= since_ + options_.open_for;
    case breaker_state::half_open:
      if (is_planted("flow: a half-open breaker lets one probe too many in"))
        return probes_let_in_ <= options_.probes && !is_probing_too_long(now);
      return probes_let_in_ < options_.probes && !is_probing_too_long(now);
  }
  return false;
}

std::optional<breaker_call> breaker_core::let_in(time_point now, breaker_effects& out) noexcept {
  if (state_ == breaker_state::half_open && is_probing_too_long(now))
    turn(breaker_state::open, breaker_counts(probed_), now, out);
  if (state_ == breaker_state::open && now >= since_ + options_.open_for)
    turn(breaker_state::half_open, now);
  if (is_ready(now)) {
    if (state_ == breaker_state::half_open) ++probes_let_in_;  // (2)
    return breaker_call{.epoch = epoch_, .begun = now};
  }
  ++stats_.refused;
  out.to = state_;
  out.last_failure = last_failure_;
  if (state_ == breaker_state::open) out.retry_after = since_ + options_.open_for - now;
  return std::nullopt;
}

void breaker_core::give_back(std::uint64_t epoch) noexcept {
  if (is_planted("flow: a cancelled probe keeps its place")) return;
  if (epoch == epoch_ && state_ == breaker_state::half_open) --probes_let_in_;  // (2)
}

void breaker_core::note(const breaker_call& ended, breaker_verdict verdict,
                        std::optional<error>& failure, time_point now,
                        breaker_effects& out) noexcept {
  if (verdict == breaker_verdict::ignored) return give_back(ended.epoch);
  const bool is_failed = verdict == breaker_verdict::failure;
  ++(is_failed ? stats_.failed : stats_.succeeded);
  if (ended.epoch != epoch_ && !is_planted("flow: a breaker hears calls from before it turned"))
    return;  // (1)
  const breaker_counts one{.calls = 1,
                           .failed = is_failed ? 1u : 0u,
                           .slow = now - ended.begun > options_.slow_call ? 1u : 0u};
  if (is_failed) last_failure_.swap(failure);
  if (state_ == breaker_state::closed) {
    window_.add(one, now);
    const breaker_counts counts = window_.counts(now);
    if (counts.calls >= options_.calls_min && is_bad(counts))
      turn(breaker_state::open, counts, now, out);
  } else if (state_ == breaker_state::half_open) {
    probed_ += one;
    if (probed_.calls < options_.probes) return;
    const breaker_counts counts = probed_;
    turn(is_bad(counts) ? breaker_state::open : breaker_state::closed, counts, now, out);
  }
}

void breaker_core::put(breaker_state to, time_point now, std::optional<error>& forgotten) noexcept {
  turn(to, now);
  if (to == breaker_state::closed) last_failure_.swap(forgotten);
}

breaker_stats breaker_core::stats(time_point now) noexcept {
  const breaker_counts counts = state_ == breaker_state::half_open ? probed_ : window_.counts(now);
  breaker_stats shown = stats_;
  shown.state = state_;
  shown.window_calls = counts.calls;
  shown.window_failed = counts.failed;
  shown.window_slow = counts.slow;
  return shown;
}

template <class Reach>
bool basic_circuit_breaker<Reach>::is_ready() const noexcept {
  const time_point now = now_of_loop();
  const typename Reach::guard held(lock_);
  return core_.is_ready(now);
}

template <class Reach>
auto basic_circuit_breaker<Reach>::begin(unit) -> ticket {
  const time_point now = now_of_loop();
  breaker_effects effects(core_.options());
  std::optional<breaker_call> call;
  {
    const typename Reach::guard held(lock_);
    call = core_.let_in(now, effects);
    if (call) ++running_;
  }
  if (!call) effects.refuse();
  return {this, *call};
}

template <class Reach>
void basic_circuit_breaker<Reach>::note(const breaker_call& ended,
                                        const call_failure* failure) noexcept {
  const time_point now = now_of_loop();
  const breaker_verdict verdict =
      failure ? core_.options().judge(*failure) : breaker_verdict::success;
  std::optional<error> what;  // it, or the one that it takes the place of, ends after the unlock
  if (verdict == breaker_verdict::failure) what = failure->to_error();
  breaker_effects effects(core_.options());
  const typename Reach::guard held(lock_);
  --running_;
  core_.note(ended, verdict, what, now, effects);
}

template <class Reach>
void basic_circuit_breaker<Reach>::put(breaker_state to) noexcept {
  const time_point now = now_of_loop();
  std::optional<error> forgotten;  // ends after the unlock
  const typename Reach::guard held(lock_);
  core_.put(to, now, forgotten);
}

template <class Reach>
breaker_stats basic_circuit_breaker<Reach>::stats() noexcept {
  const time_point now = now_of_loop();
  const typename Reach::guard held(lock_);
  return core_.stats(now);
}

template class basic_circuit_breaker<one_loop>;
template class basic_circuit_breaker<many_loops>;

}  // namespace detail
}  // namespace weir
