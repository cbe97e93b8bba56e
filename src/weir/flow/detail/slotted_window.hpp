// Counts over the last so many seconds. The hard idea: time is cut into ten slots, and a slot is
// forgotten as a whole when it is older than the window, so adding costs nothing and the window
// moves by a tenth.
#pragma once

#include <weir/base/time.hpp>

#include <cstdint>

namespace weir::detail {

/// Counts offers += and -=, and begins at zero.
template <class Counts>
class slotted_window {
 public:
  static constexpr std::int64_t slots_max = 10;
  /// `length` is at least slots_max nanoseconds.
  explicit slotted_window(duration length) noexcept : slot_ns_(length.ns / slots_max) {}

  void add(const Counts& more, time_point now) noexcept {
    turn_to(now);
    slots_[at_ % slots_max] += more;
    sum_ += more;
  }
  const Counts& sum(time_point now) noexcept {
    turn_to(now);
    return sum_;
  }
  void clear() noexcept {
    for (Counts& slot : slots_) slot = {};
    sum_ = {};
  }

 private:
  // Forgets the slots that time has passed over since the last call.
  void turn_to(time_point now) noexcept {
    const std::int64_t to = now.ns / slot_ns_;
    std::int64_t passed = to - at_ < slots_max ? to - at_ : slots_max;
    for (; passed > 0; --passed) {
      Counts& old = slots_[(to - passed + 1) % slots_max];
      sum_ -= old;
      old = {};
    }
    if (to > at_) at_ = to;
  }

  std::int64_t slot_ns_;
  Counts slots_[slots_max] = {};
  Counts sum_ = {};
  std::int64_t at_ = 0;  // the number of the newest slot since time began
};

}  // namespace weir::detail
