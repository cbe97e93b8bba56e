#include <weir/broker/retry_policy.hpp>

#include <algorithm>

namespace weir {

duration retry_delay(const backoff_settings& backoff, std::uint32_t failures,
                     std::uint64_t spread) noexcept {
  // Settings that were read may be any numbers. Once so many steps have not reached the cap, the
  // factor is one that hardly grows.
  constexpr std::uint32_t steps_max = 1u << 20;
  constexpr double length_max = 2 * static_cast<double>(setting_duration_max.ns);
  const double max = static_cast<double>(backoff.max.ns);
  double delay = static_cast<double>(backoff.first.ns);
  // A factor of 1 never reaches the cap, and a first wait of 0 stays 0: neither needs the loop.
  if (backoff.factor > 1 && delay > 0) {
    const std::uint32_t steps = std::min(failures, steps_max);
    for (std::uint32_t i = 1; i < steps && delay < max; ++i) delay *= backoff.factor;
  }
  delay = std::min(delay, max);
  const double unit = static_cast<double>(spread >> 11) * 0x1.0p-53;  // [0, 1)
  delay *= 1 + backoff.jitter * (2 * unit - 1);
  if (!(delay > 0)) return duration(0);
  return duration(static_cast<std::int64_t>(std::min(delay, length_max)));
}

}  // namespace weir
