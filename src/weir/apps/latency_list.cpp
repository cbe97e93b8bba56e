#include <weir/apps/latency_list.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <string_view>
#include <utility>

namespace weir {

void latency_list::add(duration took) {
  if (count_++ % stride_ != 0) return;
  kept_ns_.push_back(took.ns);
  if (kept_ns_.size() >= kept_max) thin_out();
}

void latency_list::add(const latency_list& others) {
  latency_list more = others;
  while (more.stride_ < stride_) more.thin_out();
  while (stride_ < more.stride_) thin_out();
  kept_ns_.insert(kept_ns_.end(), more.kept_ns_.begin(), more.kept_ns_.end());
  count_ += more.count_;
  while (kept_ns_.size() >= kept_max) thin_out();
}

void latency_list::thin_out() {
  for (std::size_t i = 0; i < kept_ns_.size() / 2; ++i) kept_ns_[i] = kept_ns_[2 * i];
  kept_ns_.resize(kept_ns_.size() / 2);
  stride_ *= 2;
}

duration latency_list::percentile(double share) const {
  if (kept_ns_.empty()) return {};
  std::vector<std::int64_t> sorted = kept_ns_;
  const double rank = std::ceil(share * static_cast<double>(sorted.size())) - 1;
  const auto at = sorted.begin() + static_cast<std::ptrdiff_t>(std::clamp(
                                       rank, 0.0, static_cast<double>(sorted.size() - 1)));
  std::nth_element(sorted.begin(), at, sorted.end());
  return duration(*at);
}

std::string format_latency(duration length) {
  constexpr std::array<std::pair<double, std::string_view>, 3> units{
      {{1e9, "s"}, {1e6, "ms"}, {1e3, "us"}}};
  const auto ns = static_cast<double>(length.ns);
  for (const auto& [size, unit] : units) {
    if (ns < size && unit != "us") continue;
    const double value = ns / size;
    return value < 10 ? fmt::format("{:.1f} {}", value, unit)
                      : fmt::format("{:.0f} {}", value, unit);
  }
  return {};
}

}  // namespace weir
