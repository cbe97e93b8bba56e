#include <weir/flow/detail/breaker_window.hpp>

namespace weir::detail {

breaker_window::breaker_window(std::uint32_t calls_max, duration length) : calls_max_(calls_max) {
  if (length != duration())
    by_time_.emplace(length);
  else
    ring_ = std::make_unique<unsigned char[]>(calls_max);
}

void breaker_window::clear() noexcept {
  if (by_time_) by_time_->clear();
  sum_ = {};
  next_ = 0;
}

void breaker_window::add(const breaker_counts& one, time_point now) noexcept {
  if (by_time_) return by_time_->add(one, now);
  unsigned char& place = ring_[next_];
  if (sum_.calls == calls_max_) {
    sum_ -= {.calls = 1, .failed = place & 1u, .slow = static_cast<std::uint32_t>(place >> 1) & 1u};
  }
  place = static_cast<unsigned char>(one.failed | (one.slow << 1));
  next_ = next_ + 1 == calls_max_ ? 0 : next_ + 1;
  sum_ += one;
}

breaker_counts breaker_window::counts(time_point now) noexcept {
  return by_time_ ? by_time_->sum(now) : sum_;
}

}  // namespace weir::detail
