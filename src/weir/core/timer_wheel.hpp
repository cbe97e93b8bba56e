// Timers of one loop: a hierarchical wheel (Varghese and Lauck, 1987) over ticks of 65.5 us. Two
// levels of 256 slots hold what is due within 4.3 s, as most timers are, so that these are moved
// once at most; six levels of 64 slots hold the rest. The hard idea: slots are coarse, but each
// timer keeps its exact due time, so nothing fires early and virtual time jumps to exact moments;
// insertion and removal stay a few stores. A timer gets its slot when somebody looks for what is
// due: most time-outs of what need not wait are gone by then.
//
// Invariants: (1) current_ never passes a non-empty slot's start without that slot having been
// emptied or sunk;
//             (2) a slot's earliest due time is never later than that of any timer in it (it may be
//             too early).
#pragma once

#include <weir/base/time.hpp>
#include <weir/core/frame.hpp>

#include <cstddef>
#include <cstdint>

namespace weir::detail {

struct timer_link {
  timer_link* next = nullptr;
  timer_link* prev = nullptr;
  time_point due;  // beside the links, since timers are moved and sorted by both
};

/// One timer, inside whatever waits for it. Neither moves nor dies while it is in a wheel. It is a
/// wait, too, so that one word says what kind of wait it is and what is done when it fires.
struct timer : timer_link, wait {
  explicit timer(const wait_kind& of) noexcept : wait(of) {}
  timer(timer&& other) noexcept : wait(static_cast<wait&&>(other)) { due = other.due; }

  bool is_set() const noexcept { return next != nullptr; }
};

/// A timer that no task waits for: it calls a function.
struct callback_timer : timer {
  void (*on_fire)(timer&) noexcept = nullptr;

  callback_timer() noexcept : timer(kind_) {}

 private:
  static const wait_kind kind_;
};

/// The timers of one loop.
///
/// Cancel:  remove() at any time before the timer fired; idempotent.
/// Order:   by due time; equal due times in the order of insertion where both were set within the
///          same 4 ms.
/// Bound:   22 KiB for the wheel; timers are intrusive.
/// Errors:  none.
/// Threads: one loop.
class timer_wheel {
 public:
  explicit timer_wheel(time_point start) noexcept;
  timer_wheel(const timer_wheel&) = delete;
  timer_wheel& operator=(const timer_wheel&) = delete;

  void insert(timer& t) noexcept;
  void remove(timer& t) noexcept {
    if (!t.is_set()) return;
    t.prev->next = t.next;
    t.next->prev = t.prev;
    t.next = t.prev = nullptr;
    --count_;
  }
  /// Fires the timers with due <= now, at most fires_max of them, and says how many; the rest is
  /// due at the next call. A timer set by one that fires is left for a later call, whatever its due
  /// time.
  std::size_t advance(time_point now, std::size_t fires_max = ~std::size_t{0}) noexcept;
  /// Not later than the due time of the first timer; never() when there is none.
  time_point next_due() noexcept;
  std::size_t count() const noexcept { return count_; }

 private:
  static constexpr int tick_shift = 16;
  static constexpr int level_count = 8;
  static constexpr int wide_levels = 2;
  static constexpr int wide_bits = 8;
  static constexpr int narrow_bits = 6;
  static constexpr int slot_count =
      wide_levels * (1 << wide_bits) + (level_count - wide_levels) * (1 << narrow_bits);

  static constexpr int bits_of(int level) noexcept {
    return level < wide_levels ? wide_bits : narrow_bits;
  }
  /// How many bits of a tick lie below the ones that choose a slot of this level.
  static constexpr int shift_of(int level) noexcept {
    return level < wide_levels ? level * wide_bits
                               : wide_levels * wide_bits + (level - wide_levels) * narrow_bits;
  }
  /// A level's first slot in slots_; its words in used_ follow from it.
  static constexpr int first_of(int level) noexcept {
    return level < wide_levels
               ? level << wide_bits
               : (wide_levels << wide_bits) + ((level - wide_levels) << narrow_bits);
  }

  struct choice;
  struct slot {
    timer_link head;  // whose due time is the earliest in the slot (2)
  };

  /// The first slot with a timer: false when there is none. Empty slots met on the way lose their
  /// bit.
  bool first_slot(int& level, int& index) noexcept;
  std::uint64_t start_of(int level, int index) const noexcept;
  void place(timer& t) noexcept;
  /// In the order in which they were inserted.
  void place_fresh() noexcept;
  /// Moves what is due from a level-0 slot to the end of expired_.
  std::size_t collect(slot& s, time_point now) noexcept;
  /// The same for all slots, in their order, until `wanted` or more are collected.
  void collect(time_point now, std::size_t wanted) noexcept;
  void sink(slot& s) noexcept;

  std::uint64_t current_;  // (1) ticks
  std::size_t count_ = 0;
  timer_link fresh_;                          // inserted since the last look
  timer_link expired_;                        // what an advance() had no room for
  std::uint64_t used_[slot_count / 64] = {};  // a bit per slot that may hold timers
  slot slots_[slot_count];
};

}  // namespace weir::detail
