// How fast a counter grows, as an exponentially weighted mean: events of the last minute count, and
// older ones fade. The same formula as the load averages of Unix.
#pragma once

#include <weir/base/time.hpp>

#include <cstdint>

namespace weir {

/// The rate of one counter.
///
/// Cancel:  plain value, no waits.
/// Order:   samples come with times that never go back.
/// Bound:   32 bytes.
/// Errors:  a counter that went back (a queue made anew) starts over from 0 a second.
/// Threads: one at a time.
class rate_meter {
 public:
  static constexpr duration window = duration::seconds(60);

  /// Tells the counter's value at a moment. Until a first window is full, the rate is the plain
  /// mean since the first sample, so that a young server doesn't show too little.
  void sample(std::uint64_t total, time_point now) noexcept;
  double per_second() const noexcept { return rate_; }

 private:
  std::uint64_t total_ = 0;
  time_point first_ = time_point::never();
  time_point last_;
  double rate_ = 0;
};

}  // namespace weir
