#include <weir/flow/latency_gradient.hpp>

#include <weir/base/error.hpp>

#include <algorithm>
#include <cmath>

namespace weir {

namespace {

// After the start it is measured soon what is usual, since the first guess may be a bad one.
constexpr std::uint32_t rounds_before_first_probe = 5;

// So few that hardly any server has a queue with them, as Envoy's min_concurrency: a part of the
// limit would still be a queue where the limit is many times too high.
constexpr std::uint32_t probe_calls = 3;

// Before any call has succeeded: of what was sent at once to a server that is overloaded, all is
// refused, and says the same once.
constexpr duration unknown_call_time = duration::milliseconds(10);

gradient_options checked(gradient_options o) {
  const bool is_fine = o.limit_min >= 1 && o.limit_min <= o.limit_initial &&
                       o.limit_initial <= o.limit_max && o.tolerance >= 1 && o.smoothing > 0 &&
                       o.smoothing <= 1 && o.backoff > 0 && o.backoff < 1 && o.window_calls >= 1 &&
                       o.probe_rounds >= 1;
  if (!is_fine)
    raise(
        error(errc::invalid_argument,
              "latency_gradient: needs 1 <= limit_min <= limit_initial <= limit_max, tolerance "
              ">= 1, smoothing in (0, 1], backoff in (0, 1), window_calls and probe_rounds >= 1"));
  return o;
}

}  // namespace

latency_gradient::latency_gradient(gradient_options options)
    : options_(checked(options)),
      limit_(options.limit_initial),
      rounds_(options.probe_rounds - std::min(options.probe_rounds, rounds_before_first_probe)) {}

std::uint32_t latency_gradient::limit() const noexcept {
  const auto whole = static_cast<std::uint32_t>(limit_);
  return is_probing_ ? std::min(whole, std::max(options_.limit_min, probe_calls)) : whole;
}

void latency_gradient::set(double limit) noexcept {
  limit_ = std::clamp(limit, static_cast<double>(options_.limit_min),
                      static_cast<double>(options_.limit_max));
}

void latency_gradient::succeeded(duration took, std::uint32_t running) noexcept {
  if (is_probing_ && (running > limit() || old_calls_ != 0)) {
    if (running <= limit()) --old_calls_;
    return;  // it began before the probe, among many
  }
  round_ns_ += std::max(1.0, static_cast<double>(took.ns));
  round_running_ = std::max(round_running_, running);
  if (++round_calls_ >= std::max(options_.window_calls, limit())) end_round();
}

void latency_gradient::end_round() noexcept {
  const double took_ns = round_ns_ / round_calls_;
  const bool are_few = round_running_ < limit_ / 2;
  round_ns_ = 0;
  round_calls_ = round_running_ = 0;
  if (is_probing_ || usual_ns_ == 0 || are_few) {
    // Calls that are few say what is usual, and nothing about the limit.
    usual_ns_ = took_ns;
    if (is_probing_ || are_few) rounds_ = 0;
    is_probing_ = false;
    return;
  }
  const double gradient = std::clamp(options_.tolerance * usual_ns_ / took_ns, 0.5, 1.0);
  const double aim = limit_ * gradient + std::max<double>(options_.queue, std::sqrt(limit_));
  set(limit_ * (1 - options_.smoothing) + aim * options_.smoothing);
  is_probing_ = ++rounds_ >= options_.probe_rounds;
  old_calls_ = is_probing_ ? limit() : 0;
}

void latency_gradient::overloaded(time_point now) noexcept {
  if (now < next_backoff_) return;
  next_backoff_ = now + (usual_ns_ == 0 ? unknown_call_time : usual());
  set(limit_ * options_.backoff);
}

}  // namespace weir
