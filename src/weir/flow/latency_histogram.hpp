// How long things have taken lately, as percentiles. The hard idea: buckets grow with what they
// hold (eight for each doubling), so a nanosecond and an hour fit into 2 KiB with an error of at
// most an eighth; and two generations take turns, so that what is old is forgotten.
#pragma once

#include <weir/base/time.hpp>

#include <cstdint>
#include <memory>

namespace weir {

/// The durations of the last one to two windows.
///
/// Cancel:  no waits.
/// Order:   none.
/// Bound:   4 KiB.
/// Errors:  none; durations below 0 count as 0.
/// Threads: one at a time.
class latency_histogram {
 public:
  explicit latency_histogram(duration window = duration::seconds(30));

  void add(duration took, time_point now) noexcept;
  /// How many durations it has.
  std::uint64_t count(time_point now) noexcept;
  /// A duration that `percent` of them do not exceed, rounded up to the end of its bucket; 0 when
  /// there are none.
  duration percentile(double percent, time_point now) noexcept;

 private:
  static constexpr std::uint32_t buckets = 8 * 64;
  struct generation {
    std::uint64_t count = 0;
    std::uint32_t in[buckets] = {};
  };
  static std::uint32_t bucket_of(std::uint64_t ns) noexcept;
  static duration end_of(std::uint32_t bucket) noexcept;
  void turn_to(time_point now) noexcept;

  duration window_;
  std::unique_ptr<generation[]> both_;  // the present one and the one before
  std::uint32_t present_ = 0;
  std::int64_t at_ = 0;  // the number of the present window since time began
};

}  // namespace weir
