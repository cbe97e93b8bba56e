// The clock of a virtual world. The hard idea: time is a number that only moves when everybody
// waits, so an hour of sleeping costs nothing and two runs with one seed read the same times.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/time.hpp>

namespace weir {

/// Monotonic and wall time that stand still until they are moved.
///
/// Cancel:  plain value, no waits.
/// Order:   monotonic time never goes back; wall time may be stepped.
/// Bound:   292 years.
/// Errors:  moving back is a bug of the caller and stops the process.
/// Threads: one at a time.
class virtual_clock {
 public:
  /// Wall time begins at 2000-01-01 00:00 UTC.
  static constexpr time_point wall_start = time_point(946'684'800'000'000'000);
  /// Monotonic time begins at one second, so that time_point{} is in the past.
  static constexpr time_point start = time_point(1'000'000'000);

  void advance_to(time_point at) noexcept {
    WEIR_ASSERT(at >= now_ && at != time_point::never());
    now_ = at;
  }
  /// What an administrator or NTP does to a wall clock.
  void step_wall(duration by) noexcept { wall_offset_ += by; }

  time_point now() const noexcept { return now_; }
  time_point wall_now() const noexcept { return wall_start + (now_ - start) + wall_offset_; }

 private:
  time_point now_ = start;
  duration wall_offset_;
};

}  // namespace weir
