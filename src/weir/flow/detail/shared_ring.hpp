// A ring of items in memory of its own, filled and emptied at the same time, and who can reach it.
#pragma once

#include <weir/flow/detail/item_lookout.hpp>
#include <weir/flow/detail/item_ring.hpp>
#include <weir/flow/detail/reach.hpp>
#include <weir/flow/detail/ring_ends.hpp>

#include <cstddef>
#include <new>
#include <utility>

namespace weir::detail {

/// many_loops, for a channel: its lock is that of both ends, each of which has its own.
struct both_ends : many_loops {
  using lock = ring_ends<>;
  using guard = held_lock<lock>;
  using guard_of_await = guard;
};

/// What item_ring offers, where one puts while another takes: see ring_ends.
template <class T>
class shared_ring {
 public:
  /// `loses_items`: when it is full, so that nothing may gather in it.
  shared_ring(std::size_t capacity, bool loses_items, ring_ends<>& ends)
      : ends_(ends),
        capacity_(capacity),
        loses_items_(loses_items),
        items_(item_ring<T>::allocate(capacity)) {}
  shared_ring(const shared_ring&) = delete;
  shared_ring& operator=(const shared_ring&) = delete;
  ~shared_ring() { static_cast<void>(take_rest()); }

  std::size_t capacity() const noexcept { return capacity_; }
  /// Without a lock: where items come in heaps and none is known, a moment in which one gathers.
  template <class MayWait>
  void lets_gather(MayWait may_wait) noexcept {
    if (!ends_.knows_items()) lookout_.lets_gather(may_wait);
  }
  /// Without a lock: true when there seems to be an item, now or in a moment.
  bool looks_out() noexcept {
    return lookout_.finds([this] { return ends_.seen_size(capacity_) != 0; });
  }
  // With the lock of the back.
  bool is_full() noexcept { return !ends_.has_room(capacity_); }
  void push(T& item) noexcept {
    ::new (static_cast<void*>(items_ + ends_.free_slot(capacity_))) T(std::move(item));
    ends_.has_put(capacity_);
  }
  // With the lock of the front.
  bool is_empty() noexcept {
    if (ends_.knows_items()) return false;
    const bool is_none = !ends_.has_items();
    // Half full it has no room for larger heaps: those who send would wait.
    const std::size_t there = ends_.known_size(capacity_);
    if (!loses_items_) lookout_.note_heap(2 * there < capacity_ ? there : 1);
    return is_none;
  }
  T pop() noexcept {
    T* at = items_ + ends_.used_slot(capacity_);
    T item = std::move(*at);
    at->~T();
    ends_.has_taken(capacity_);
    return item;
  }
  // With both.
  /// The items, which it has no more: nothing may be put after that.
  item_ring<T> take_rest() noexcept {
    item_ring<T> rest(capacity_, std::exchange(items_, nullptr), ends_.first_slot(capacity_),
                      size());
    ends_.forget_all();
    return rest;
  }
  std::size_t size() const noexcept { return ends_.size(capacity_); }

 private:
  ring_ends<>& ends_;
  const std::size_t capacity_;
  const bool loses_items_;
  T* items_;
  item_lookout lookout_;
};

}  // namespace weir::detail
