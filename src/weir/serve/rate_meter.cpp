#include <weir/serve/rate_meter.hpp>

#include <cmath>

namespace weir {

void rate_meter::sample(std::uint64_t total, time_point now) noexcept {
  if (first_ == time_point::never() || total < total_) {
    *this = rate_meter();
    first_ = last_ = now;
    total_ = total;
    return;
  }
  if (now <= last_) return;
  const double seconds = static_cast<double>((now - last_).ns) * 1e-9;
  const double fresh = static_cast<double>(total - total_) / seconds;
  const duration age = now - first_;
  // The share of the new sample; as long as the meter is young, that of a plain mean.
  const double share = age < window
                           ? static_cast<double>((now - last_).ns) / static_cast<double>(age.ns)
                           : 1 - std::exp(-seconds / (static_cast<double>(window.ns) * 1e-9));
  rate_ += share * (fresh - rate_);
  total_ = total;
  last_ = now;
}

}  // namespace weir
