// The two ends of a ring of items, for senders and receivers that run at the same time. The hard
// idea: each end has a lock, a position and a note of where the other end was when it last looked.
// So a send and a receive share nothing while there is room and there are items: each end's lines
// of the caches stay where they are used. That of the position goes over once for many items; that
// of the lock does not, or each look of the other end would keep the next lock waiting. What both
// ends must agree on (who waits, who has gone) is changed under both locks, so that either lock is
// enough to read it: nobody goes to wait, and no wake-up is lost, in the middle of a send or a
// receive.
//
//            front.at          back.at
//               v                 v
//   | free | item | item | item | free |      positions run to twice the capacity and then begin
//      receivers take    senders put          again: the same is empty, the capacity apart is full
//
// Invariants: (1) locks are taken in the order back, front;
//             (2) a note of the other end is never ahead of it: there is at least as much room, and
//                 there are at least as many items, as an end believes.
//
// testing/ring_ends_model_test.cpp tries all interleavings with at most three preemptions.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/std_memory.hpp>
#include <weir/flow/short_lock.hpp>

#include <atomic>
#include <cstddef>

namespace weir::detail {

struct short_locks : std_memory {
  using mutex = short_lock;
};

/// Where a ring is filled and where it is emptied. `capacity` is that of the ring, always the same.
///
/// Cancel:  no waits but for the locks.
/// Order:   first in, first out.
/// Bound:   the ring's capacity.
/// Errors:  to put without room, or to take without an item, stops the process.
/// Threads: those that hold `back`'s lock put, those that hold `front`'s take; lock() takes both.
///          What was done before has_put() happens before what is done after has_items().
template <class Threads = short_locks>
class ring_ends {
  // Not alignas: frames, from which channels are made, are aligned to 16.
  static constexpr std::size_t apart = 64;

 public:
  struct end {
    typename Threads::mutex lock;
    typename Threads::template atomic<std::size_t> other_seen{0};  // (2)
    [[maybe_unused]] char before_at[apart];
    typename Threads::template atomic<std::size_t> at{0};
  };

  void lock() noexcept {
    back.lock.lock();  // (1)
    front.lock.lock();
  }
  void unlock() noexcept {
    front.lock.unlock();
    back.lock.unlock();
  }

  /// How many items there seem to be, without a lock: it may be otherwise for whoever asks then.
  std::size_t seen_size(std::size_t capacity) const noexcept {
    return distance(front.at.load(std::memory_order_relaxed),
                    back.at.load(std::memory_order_relaxed), capacity);
  }

  /// Without a lock as well: whether those who take seem to know of items, without a look.
  bool knows_items() const noexcept {
    return front.other_seen.load(std::memory_order_relaxed) !=
           front.at.load(std::memory_order_relaxed);
  }

  // With the lock of the back.
  bool has_room(std::size_t capacity) noexcept {
    const std::size_t at = back.at.load(std::memory_order_relaxed);
    if (distance(back.other_seen.load(std::memory_order_relaxed), at, capacity) != capacity)
      return true;
    const std::size_t seen = front.at.load(std::memory_order_acquire);
    back.other_seen.store(seen, std::memory_order_relaxed);
    return distance(seen, at, capacity) != capacity;
  }
  /// Where the next item is put.
  std::size_t free_slot(std::size_t capacity) noexcept {
    WEIR_ASSERT(has_room(capacity));  // (2)
    return slot(back.at.load(std::memory_order_relaxed), capacity);
  }
  void has_put(std::size_t capacity) noexcept {
    back.at.store(after(back.at.load(std::memory_order_relaxed), capacity),
                  std::memory_order_release);
  }

  // With the lock of the front.
  bool has_items() noexcept {
    if (knows_items()) return true;
    front.other_seen.store(back.at.load(std::memory_order_acquire), std::memory_order_relaxed);
    return knows_items();
  }
  /// How many items has_items() has found, less those that were taken since.
  std::size_t known_size(std::size_t capacity) const noexcept {
    return distance(front.at.load(std::memory_order_relaxed),
                    front.other_seen.load(std::memory_order_relaxed), capacity);
  }
  /// Where the next item is taken from.
  std::size_t used_slot(std::size_t capacity) noexcept {
    WEIR_ASSERT(has_items());  // (2)
    return slot(front.at.load(std::memory_order_relaxed), capacity);
  }
  void has_taken(std::size_t capacity) noexcept {
    front.at.store(after(front.at.load(std::memory_order_relaxed), capacity),
                   std::memory_order_release);
  }

  // With both locks.
  std::size_t size(std::size_t capacity) const noexcept { return seen_size(capacity); }
  /// Where the first item is, if there is one.
  std::size_t first_slot(std::size_t capacity) const noexcept {
    return slot(front.at.load(std::memory_order_relaxed), capacity);
  }
  void forget_all() noexcept {
    const std::size_t at = back.at.load(std::memory_order_relaxed);
    front.other_seen.store(at, std::memory_order_relaxed);
    front.at.store(at, std::memory_order_relaxed);
  }

 private:
  static std::size_t after(std::size_t at, std::size_t capacity) noexcept {
    return ++at == 2 * capacity ? 0 : at;
  }
  static std::size_t slot(std::size_t at, std::size_t capacity) noexcept {
    return at < capacity ? at : at - capacity;
  }
  static std::size_t distance(std::size_t from, std::size_t to, std::size_t capacity) noexcept {
    return to >= from ? to - from : to + 2 * capacity - from;
  }

  [[maybe_unused]] char before_back_[apart];

 public:
  end back;

 private:
  [[maybe_unused]] char before_front_[apart];

 public:
  end front;

 private:
  [[maybe_unused]] char after_front_[apart];
};

}  // namespace weir::detail
