// A work-stealing deque of fixed size: its owner offers and takes at one end, thieves take the
// oldest at the other. It is the deque of Chase and Lev (2005) with the memory orders of Lê, Pop,
// Cohen and Zappa Nardelli (2013), without its growth: a full deque refuses, and what is refused is
// run at once by whoever offered it. The hard idea: the newest items are the owner's alone, so
// taking back what nobody wanted, which is nearly always, needs neither a fence nor an atomic
// read-modify-write (van Dijk and van de Pol, "Lace", 2014). Once thieves have left less than is
// wanted, the next step of the owner shows them all that there is: fences are then paid for by
// thefts, and nobody is idle for longer than the owner is at work on one item.
//
//     top_            shown_end_ (a copy of split_)      bottom_
//      |  shown to thieves  |     the owner's alone         |
//      v                    v                               v
//      o  o  o  o  o  o  o  o  o  o  o  o  o  o  o  o  o  o
//      <- thieves take here                   the owner here ->
//
// Invariants: (1) top_ <= split_ + 1 and shown_end_ <= bottom_ <= top_ + capacity;
//             (2) a slot in [top_, bottom_) holds an item that nobody has;
//             (3) what was shown is taken back only by the owner's half of the protocol;
//             (4) quiet_top_ == shown_end_ - wanted_: while top_ is not past it, thieves find
//             enough.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/std_memory.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace weir::detail {

enum class offered : std::uint8_t {
  no,      // the deque is full
  kept,    // it is the owner's alone so far
  wanted,  // so it is, and thieves find too little: show_all() is due
};

/// A bounded deque of pointers with one owner and any number of thieves.
///
/// Cancel:  no waits.
/// Order:   the owner takes the newest, thieves the oldest.
/// Bound:   `capacity` items; offer() says `no` beyond it.
/// Errors:  none: take() and steal() give null when there is nothing, steal() also when another
///          thief was faster.
/// Threads: steal() and shows_any() any thread, the rest the owner.
template <class T, class Memory = std_memory, std::int64_t Capacity = 1024>
class offer_deque {
  template <class U>
  using atomic = typename Memory::template atomic<U>;

 public:
  static constexpr std::int64_t capacity = Capacity;

  offer_deque() = default;
  offer_deque(const offer_deque&) = delete;
  offer_deque& operator=(const offer_deque&) = delete;

  /// How many items thieves should find, if there are so many: as many as there may be thieves.
  /// 0: there are none, and nothing is ever shown.
  void want_shown(std::int64_t count) noexcept {
    wanted_ = count;
    show_until(shown_end_);
  }

  /// How many more can be offered now, at least.
  std::int64_t room() const noexcept {
    return capacity - (bottom_ - top_.load(std::memory_order_acquire));
  }

  offered offer(T* item) noexcept {
    // Acquire: the slot that is written below was read by the thief that has moved top_ past it.
    const std::int64_t top = top_.load(std::memory_order_acquire);
    if (bottom_ - top >= capacity) [[unlikely]]
      return offered::no;
    slot(bottom_).store(item, std::memory_order_relaxed);
    ++bottom_;
    return top <= quiet_top_ ? offered::kept : offered::wanted;  // (4)
  }

  /// Whether there are items that are not shown.
  bool keeps_any() const noexcept { return bottom_ != shown_end_; }
  /// After a take(): whether there are, and thieves find too little: show_all() is due.
  bool keeps_too_much() const noexcept {
    return top_.load(std::memory_order_relaxed) > quiet_top_ && keeps_any();
  }

  /// Thieves can take all that is there: whoever sleeps should hear of it.
  void show_all() noexcept {
    show_until(bottom_);
    // Release: a thief that sees the new end sees the slots before it, and what they point at.
    split_.store(bottom_, std::memory_order_release);
  }

  T* take() noexcept {
    if (keeps_any()) [[likely]]
      return slot(--bottom_).load(std::memory_order_relaxed);
    return take_shown();
  }

  T* steal() noexcept {
    std::int64_t top = top_.load(std::memory_order_acquire);
    // Sequentially consistent with the fence in take_shown(): either this thief sees the end that
    // the owner has drawn back, or the owner sees the top that another thief has moved.
    Memory::fence(std::memory_order_seq_cst);
    const std::int64_t end = split_.load(std::memory_order_acquire);
    if (top >= end) return nullptr;
    // May read what the owner writes for a later round; then top_ has moved and the exchange fails.
    T* const item = slot(top).load(std::memory_order_relaxed);
    if (!top_.compare_exchange_strong(top, top + 1, std::memory_order_seq_cst,
                                      std::memory_order_relaxed))
      return nullptr;
    return item;
  }

  /// A hint, exact when nobody is at work on the deque.
  bool shows_any() const noexcept {
    return top_.load(std::memory_order_acquire) < split_.load(std::memory_order_acquire);
  }

 private:
  atomic<T*>& slot(std::int64_t at) noexcept {
    return slots_[static_cast<std::size_t>(at) % static_cast<std::size_t>(capacity)];
  }

  void show_until(std::int64_t end) noexcept {
    shown_end_ = end;
    quiet_top_ = end - wanted_;  // (4)
  }

  // All that is left has been shown (3).
  T* take_shown() noexcept {
    const std::int64_t last = bottom_ - 1;
    if (top_.load(std::memory_order_relaxed) > last) return nullptr;  // empty: thieves had it all
    split_.store(last, std::memory_order_release);
    Memory::fence(std::memory_order_seq_cst);
    std::int64_t top = top_.load(std::memory_order_relaxed);
    if (top < last) {  // thieves are far away: they see the new end before they come to `last`
      bottom_ = last;
      show_until(last);
      return slot(last).load(std::memory_order_relaxed);
    }
    // The last one: whoever moves top_ has it. A thief that has not looked yet must not see the
    // drawn end later on, for then top_ is past it.
    T* item = nullptr;
    if (top == last && top_.compare_exchange_strong(top, last + 1, std::memory_order_seq_cst,
                                                    std::memory_order_relaxed))
      item = slot(last).load(std::memory_order_relaxed);
    split_.store(bottom_, std::memory_order_release);
    return item;
  }

  alignas(64) atomic<std::int64_t> top_{0};
  alignas(64) atomic<std::int64_t> split_{0};
  alignas(64) std::int64_t bottom_ = 0;
  std::int64_t shown_end_ = 0;
  std::int64_t wanted_ = 1;
  std::int64_t quiet_top_ = -1;
  alignas(64) atomic<T*> slots_[static_cast<std::size_t>(capacity)] = {};
};

}  // namespace weir::detail
