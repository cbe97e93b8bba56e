#include <weir/serve/call_pacer.hpp>

#include <weir/base/defect.hpp>

#include <algorithm>

namespace weir {

namespace {
constexpr duration burst = duration::milliseconds(100);
}

void call_pacer::set_limits(std::uint32_t concurrency, std::uint32_t rate) noexcept {
  const bool is_first = window_ == 0;
  const bool was_open = window_ == concurrency_;
  concurrency_ = std::max(1u, concurrency);
  rate_ = rate;
  window_ = is_first || was_open ? concurrency_ : std::min(window_, concurrency_);
}

void call_pacer::forget_worker() noexcept {
  window_ = concurrency_;
  paused_until_ = time_point();
  pause_ = pause_first;
  together_ = 0;
}

std::uint32_t call_pacer::available(std::uint32_t wanted, time_point now) const noexcept {
  if (now < paused_until_ || in_flight_ >= window_) return 0;
  const std::uint32_t extra = is_planted("serve: makes one call too many") ? 1 : 0;
  std::uint32_t calls = std::min(wanted, window_ + extra - in_flight_);
  if (rate_ != 0) {
    const duration credit = (now - std::max(due_, now - burst)) + interval();
    // The first call needs no credit beyond its own moment; each further one needs an interval.
    const std::int64_t by_rate =
        due_ > now ? 0 : std::max<std::int64_t>(1, credit.ns / interval().ns);
    calls = static_cast<std::uint32_t>(std::min<std::int64_t>(calls, by_rate));
  }
  return calls;
}

time_point call_pacer::next(time_point now) const noexcept {
  if (in_flight_ >= window_) return time_point::never();
  return std::max(paused_until_, rate_ == 0 ? now : due_);
}

void call_pacer::began(std::uint32_t calls, time_point now) noexcept {
  in_flight_ += calls;
  if (rate_ != 0) due_ = std::max(due_, now - burst) + calls * interval();
}

// Who ends is not told: those that were on their way first are taken to end first.
bool call_pacer::ended() noexcept {
  --in_flight_;
  if (together_ == 0) return false;
  --together_;
  return true;
}

void call_pacer::answered() noexcept {
  ended();
  pause_ = pause_first;
  window_ = std::min(window_ + 1, concurrency_);
}

duration call_pacer::refused(std::optional<duration> retry_after, time_point now) noexcept {
  const bool is_news = !ended();
  if (is_news) {
    window_ = std::max(1u, window_ / 2);
    together_ = in_flight_;
  }
  // "At once", and a date that has passed, say as little as nothing: a worker that says so to each
  // call would be called in a tight loop.
  const bool is_said = retry_after && *retry_after >= pause_first;
  const duration pause = is_said ? *retry_after : pause_;
  if (!is_said && is_news) pause_ = std::min(pause_ * 2, pause_max);
  paused_until_ = std::max(paused_until_, now + pause);
  return pause;
}

}  // namespace weir
