// How long each of many operations took, for percentiles.
#pragma once

#include <weir/base/time.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace weir {

/// Lengths of operations; beyond `kept_max` every second one is thinned out, evenly in time.
class latency_list {
 public:
  static constexpr std::size_t kept_max = 1u << 20;

  void add(duration took);
  /// Adds what others have measured; what one list has thinned out is thinned out in both.
  void add(const latency_list& others);
  std::uint64_t count() const noexcept { return count_; }
  /// The length that `share` (0 to 1) of the operations did not exceed; 0 when there are none.
  duration percentile(double share) const;

 private:
  void thin_out();

  std::vector<std::int64_t> kept_ns_;
  std::uint64_t count_ = 0;
  std::uint64_t stride_ = 1;  // one of so many is kept
};

/// "230 us", "1.2 ms": three digits at most.
std::string format_latency(duration length);

}  // namespace weir
