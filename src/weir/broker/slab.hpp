// A store of equal items named by 32-bit slot numbers: half of a pointer's size, stable for the
// item's life, and good for links in files and in memory. The hard idea: memory comes in chunks and
// a chunk that has become empty goes back to the heap, so that a drained backlog gives back what it
// took, yet a slot number never changes while its item lives.
//
//   chunk 0 [m m . m]   chunk 1 (given back)   chunk 2 [. m . .]      '.' = free, linked in its
//   chunk
//
// An item says itself whether its slot is in use: T::sequence is 0 in free slots.
#pragma once

#include <weir/base/assert.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

namespace weir::detail {

/// No slot: the end of a list.
constexpr std::uint32_t no_slot = UINT32_MAX;

/// Items of type T in chunks. T has `std::uint64_t sequence` (0 = free) and `free_link()`, a
/// reference to 32 bits that the item doesn't need while it is free.
///
/// Cancel:  plain data structure, no waits.
/// Order:   the slot freed last in a chunk is used first.
/// Bound:   2^32 - 1 slots; the user bounds the number of items. One empty chunk is kept.
/// Errors:  std::bad_alloc from take(), with nothing changed.
/// Threads: one loop.
template <class T>
class slab {
 public:
  static constexpr std::uint32_t chunk_slots = 1'024;

  T& operator[](std::uint32_t slot) noexcept {
    return chunks_[slot / chunk_slots].items[slot % chunk_slots];
  }
  const T& operator[](std::uint32_t slot) const noexcept {
    return chunks_[slot / chunk_slots].items[slot % chunk_slots];
  }

  /// A free slot with a fresh item; the caller sets its sequence at once.
  std::uint32_t take() {
    while (!open_.empty() && !has_room(chunks_[open_.back()])) {
      chunks_[open_.back()].is_listed = false;
      open_.pop_back();
    }
    if (open_.empty()) open_chunk();
    const std::uint32_t number = open_.back();
    chunk& from = chunks_[number];
    if (from.used == 0) --empty_;
    std::uint32_t index = from.free;
    if (index != no_slot) {
      from.free = from.items[index].free_link();
    } else {
      index = from.fresh++;
    }
    ++from.used;
    ++size_;
    from.items[index] = T{};
    return number * chunk_slots + index;
  }

  /// Memory for `count` items more, so that as many calls of take() don't fail.
  void make_room(std::size_t count) {
    const std::size_t room = (held_ + spare_.size()) * chunk_slots - size_;
    if (count <= room) return;
    const std::size_t more = (count - room + chunk_slots - 1) / chunk_slots;
    const std::size_t chunks = chunks_.size() + spare_.size() + more;
    if (chunks > chunks_.capacity()) chunks_.reserve(std::max(chunks, 2 * chunks_.capacity()));
    open_.reserve(chunks_.capacity());
    closed_.reserve(chunks_.capacity());
    spare_.reserve(spare_.size() + more);
    for (std::size_t i = 0; i < more; ++i) spare_.push_back(made_items());
  }

  /// Frees a slot that take() gave.
  void give(std::uint32_t slot) noexcept {
    const std::uint32_t number = slot / chunk_slots;
    chunk& to = chunks_[number];
    T& item = to.items[slot % chunk_slots];
    WEIR_ASSERT(to.used > 0);
    item.sequence = 0;
    item.free_link() = to.free;
    to.free = slot % chunk_slots;
    --to.used;
    --size_;
    if (!to.is_listed) {
      // Room was made for every chunk's number when the chunk was opened: this never allocates.
      to.is_listed = true;
      open_.push_back(number);
    }
    if (to.used == 0 && ++empty_ > 1) close_chunk(number);
  }

  bool is_used(std::uint32_t slot) const noexcept {
    const chunk& of = chunks_[slot / chunk_slots];
    return of.items && slot % chunk_slots < of.fresh && of.items[slot % chunk_slots].sequence != 0;
  }
  std::size_t size() const noexcept { return size_; }
  /// One past the highest slot that may be in use.
  std::uint32_t slots_end() const noexcept {
    return static_cast<std::uint32_t>(chunks_.size()) * chunk_slots;
  }
  /// Heap memory held, in bytes.
  std::size_t memory_bytes() const noexcept {
    return (held_ + spare_.size()) * chunk_slots * sizeof(T) + chunks_.capacity() * sizeof(chunk) +
           (open_.capacity() + closed_.capacity()) * sizeof(std::uint32_t);
  }

 private:
  struct chunk {
    std::unique_ptr<T[]> items;
    std::uint32_t used = 0;
    std::uint32_t fresh = 0;  // slots from here on were never used
    std::uint32_t free = no_slot;
    bool is_listed = false;  // its number is in open_
  };

  static bool has_room(const chunk& of) noexcept {
    return of.items && (of.free != no_slot || of.fresh < chunk_slots);
  }

  static std::unique_ptr<T[]> made_items() {
    return std::make_unique_for_overwrite<T[]>(chunk_slots);
  }
  std::unique_ptr<T[]> new_items() {
    if (spare_.empty()) return made_items();
    std::unique_ptr<T[]> items = std::move(spare_.back());
    spare_.pop_back();
    return items;
  }

  void open_chunk() {
    auto items = new_items();
    std::uint32_t number = 0;
    if (!closed_.empty()) {
      number = closed_.back();
      closed_.pop_back();
    } else {
      WEIR_ASSERT(chunks_.size() < no_slot / chunk_slots);
      number = static_cast<std::uint32_t>(chunks_.size());
      chunks_.emplace_back();
      open_.reserve(chunks_.capacity());
      closed_.reserve(chunks_.capacity());
    }
    chunk& made = chunks_[number];
    made.items = std::move(items);
    made.used = 0, made.fresh = 0, made.free = no_slot;
    // take() emptied open_ before it came here, so no chunk is listed.
    WEIR_ASSERT(!made.is_listed);
    made.is_listed = true;
    open_.push_back(number);
    ++empty_;
    ++held_;
  }

  void close_chunk(std::uint32_t number) noexcept {
    chunks_[number].items.reset();
    closed_.push_back(number);
    --empty_;
    --held_;
  }

  std::vector<chunk> chunks_;
  std::vector<std::unique_ptr<T[]>> spare_;  // made room: the next chunks to open
  std::vector<std::uint32_t> open_;          // chunks that may have room, the one in use last
  std::vector<std::uint32_t> closed_;        // chunks without memory
  std::size_t size_ = 0;
  std::size_t held_ = 0;   // chunks with memory
  std::size_t empty_ = 0;  // chunks with memory and no item
};

}  // namespace weir::detail
