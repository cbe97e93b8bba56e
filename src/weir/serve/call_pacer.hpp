// When a queue's worker may be called again: so many calls a second, so many at once, and less of
// both when the worker says that it is too busy. Pure: moments come as arguments.
#pragma once

#include <weir/base/time.hpp>

#include <algorithm>
#include <cstdint>
#include <optional>

namespace weir {

/// The pace of calls to one worker. Rate: the generic cell rate algorithm (ITU-T I.371) with a
/// burst of a tenth of a second. Concurrency: additive increase, multiplicative decrease
/// (Jacobson 1988): halved when the worker refuses, one more for each answer. Calls that were on
/// their way together and are all refused are one refusal.
///
/// Cancel:  plain value, no waits.
/// Order:   moments never go back.
/// Bound:   `concurrency` calls at once, `rate` a second.
/// Errors:  none.
/// Threads: one at a time.
class call_pacer {
 public:
  // Without a Retry-After, or with a shorter one; doubles.
  static constexpr duration pause_first = duration::seconds(1);
  static constexpr duration pause_max = duration::seconds(60);

  /// A rate of 0 is no limit. A change keeps what is known of the worker.
  void set_limits(std::uint32_t concurrency, std::uint32_t rate) noexcept;

  /// The calls go to another worker from now on: nothing is known of it. Those on their way count.
  void forget_worker() noexcept;

  /// How many calls may begin now; at most `wanted`.
  std::uint32_t available(std::uint32_t wanted, time_point now) const noexcept;
  /// When to ask again if none may begin now because of rate or pause; never() when only an ended
  /// call helps.
  time_point next(time_point now) const noexcept;

  void began(std::uint32_t calls, time_point now) noexcept;
  /// A call ended, and the worker was able to work.
  void answered() noexcept;
  /// A call ended, and the worker was too busy (429, 503). Gives how long it is left alone.
  duration refused(std::optional<duration> retry_after, time_point now) noexcept;
  /// A call ended without an answer.
  void failed() noexcept { ended(); }

  std::uint32_t in_flight() const noexcept { return in_flight_; }
  std::uint32_t window() const noexcept { return window_; }

 private:
  /// True for a call that was on its way when the worker last refused one.
  bool ended() noexcept;
  /// Never 0 with a rate: what was read from a disk may be above one call a nanosecond.
  duration interval() const noexcept {
    return duration(rate_ == 0 ? 0 : std::max(1u, 1'000'000'000 / rate_));
  }

  std::uint32_t concurrency_ = 1;
  std::uint32_t rate_ = 0;
  std::uint32_t window_ = 0;  // 0: not limited yet
  std::uint32_t in_flight_ = 0;
  std::uint32_t together_ = 0;  // of those, how many were so when the worker last refused one
  time_point due_;              // of the next call, if calls came evenly
  time_point paused_until_;
  duration pause_ = pause_first;
};

}  // namespace weir
