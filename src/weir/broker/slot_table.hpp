// A hash table from 64-bit keys to slots of a slab, 4 bytes an entry: the key is read from the item
// itself. The hard idea: a table of millions must not stop the world to grow, so growing keeps the
// old table beside the new one and each later change carries a few entries over; a question looks
// into both. The new table's memory is zero pages of the kernel, touched only when used.
//
// Keys in a row (sequence numbers) share cache lines: the hash mixes all bits but the lowest four.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/hash.hpp>
#include <weir/broker/slab.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <utility>

namespace weir::detail {

/// Finds slots by key. `Items` has operator[](slot) whose items have `std::uint64_t table_key()`.
/// Keys are distinct.
///
/// Cancel:  plain data structure, no waits.
/// Order:   none.
/// Bound:   at most 5/8 full, so 6.4 to 12.8 bytes an entry; it never shrinks. A change carries at
///          most `carry_max` old entries over.
/// Errors:  std::bad_alloc from insert(), with nothing changed.
/// Threads: one loop.
template <class Items>
class slot_table {
 public:
  static constexpr std::size_t carry_max = 8;

  /// The slot of the item with this key, or no_slot.
  std::uint32_t find(const Items& items, std::uint64_t key) const noexcept {
    for (const table* in : {&now_, &old_}) {
      if (in->capacity == 0) continue;
      for (std::size_t at = home(*in, key);; at = next(*in, at)) {
        const std::uint32_t cell = in->cells.get()[at];
        if (cell == empty) break;
        if (cell != gone && items[cell - 1].table_key() == key) return cell - 1;
      }
    }
    return no_slot;
  }

  /// Memory for `count` entries more, so that as many calls of insert() don't fail.
  void make_room(std::size_t count) {
    std::size_t capacity = std::max(now_.capacity, capacity_min);
    while ((now_.used + old_.used + count) * 8 > capacity * 5) capacity *= 2;
    if (capacity > std::max(now_.capacity, spare_.capacity)) spare_ = made(capacity);
  }

  /// Adds a slot whose key is not in the table.
  void insert(const Items& items, std::uint32_t slot) {
    if ((now_.used + 1) * 8 > now_.capacity * 5) grow();
    carry(items);
    put(items, slot);
  }

  /// Removes a slot; its item must still hold the key.
  void erase(const Items& items, std::uint32_t slot) noexcept {
    carry(items);
    const std::uint64_t key = items[slot].table_key();
    if (const std::size_t at = find_cell(now_, key, slot); at != nowhere) {
      close_gap(items, at);
      --now_.used;
      return;
    }
    const std::size_t at = find_cell(old_, key, slot);
    WEIR_ASSERT(at != nowhere);
    old_.cells.get()[at] = gone;  // old_ only shrinks: a mark is enough
    --old_.used;
  }

  /// Makes room for so many entries in an empty table, so that filling it carries nothing over.
  void reserve(std::size_t entries) {
    WEIR_ASSERT(size() == 0);
    std::size_t capacity = capacity_min;
    while (capacity * 5 < entries * 8) capacity *= 2;
    now_ = made(capacity);
    old_ = table{};
  }

  std::size_t size() const noexcept { return now_.used + old_.used; }
  /// Heap memory held, in bytes.
  std::size_t memory_bytes() const noexcept {
    return (now_.capacity + old_.capacity + spare_.capacity) * sizeof(std::uint32_t);
  }

 private:
  static constexpr std::uint32_t empty = 0;  // cells hold slot + 1
  static constexpr std::uint32_t gone = UINT32_MAX;
  static constexpr std::size_t nowhere = SIZE_MAX;
  static constexpr std::size_t capacity_min = 64;

  struct freer {
    void operator()(std::uint32_t* cells) const noexcept { std::free(cells); }
  };
  struct table {
    std::unique_ptr<std::uint32_t, freer> cells;
    std::size_t capacity = 0;  // a power of two, or 0
    std::size_t used = 0;
  };

  static table made(std::size_t capacity) {
    table fresh;
    fresh.capacity = capacity;
    fresh.cells.reset(static_cast<std::uint32_t*>(std::calloc(capacity, sizeof(std::uint32_t))));
    if (!fresh.cells) throw std::bad_alloc();
    return fresh;
  }
  static std::size_t home(const table& in, std::uint64_t key) noexcept {
    return static_cast<std::size_t>((mix(key >> 4) << 4) | (key & 15)) & (in.capacity - 1);
  }
  static std::size_t next(const table& in, std::size_t at) noexcept {
    return (at + 1) & (in.capacity - 1);
  }

  static std::size_t find_cell(const table& in, std::uint64_t key, std::uint32_t slot) noexcept {
    if (in.capacity == 0) return nowhere;
    for (std::size_t at = home(in, key);; at = next(in, at)) {
      const std::uint32_t cell = in.cells.get()[at];
      if (cell == slot + 1) return at;
      if (cell == empty) return nowhere;
    }
  }

  void put(const Items& items, std::uint32_t slot) noexcept {
    std::size_t at = home(now_, items[slot].table_key());
    while (now_.cells.get()[at] != empty) at = next(now_, at);
    now_.cells.get()[at] = slot + 1;
    ++now_.used;
  }

  /// Moves later entries of the run back over the hole, so that no mark stays in the table.
  void close_gap(const Items& items, std::size_t hole) noexcept {
    std::uint32_t* cells = now_.cells.get();
    for (std::size_t at = next(now_, hole); cells[at] != empty; at = next(now_, at)) {
      const std::size_t wish = home(now_, items[cells[at] - 1].table_key());
      // The entry may move when its home is not cyclically within (hole, at].
      const std::size_t mask = now_.capacity - 1;
      if (((at - wish) & mask) >= ((at - hole) & mask)) {
        cells[hole] = cells[at];
        hole = at;
      }
    }
    cells[hole] = empty;
  }

  void grow() {
    // Carrying ends long before the new table is full again: each insert carries several.
    WEIR_ASSERT(old_.used == 0);
    table bigger = std::exchange(spare_, {});
    if (bigger.capacity <= now_.capacity) {
      bigger = made(now_.capacity == 0 ? capacity_min : now_.capacity * 2);
    }
    old_ = std::move(now_);
    now_ = std::move(bigger);
    carried_ = 0;
  }

  void carry(const Items& items) noexcept {
    if (old_.capacity == 0) return;
    for (std::size_t i = 0; i < carry_max && carried_ < old_.capacity; ++i, ++carried_) {
      std::uint32_t& cell = old_.cells.get()[carried_];
      if (cell == empty || cell == gone) continue;
      put(items, cell - 1);
      cell = gone;
      --old_.used;
    }
    if (carried_ == old_.capacity) old_ = table{};
  }

  table now_;
  table old_;    // while growing: entries not carried over yet
  table spare_;  // made room: the next, larger one
  std::size_t carried_ = 0;
};

}  // namespace weir::detail
