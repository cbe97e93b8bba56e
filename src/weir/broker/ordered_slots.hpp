// An ordered set of a slab's items, linked through two 32-bit links in each item. The hard idea:
// queues are ordered by something that almost always grows (sequence, due time, deadline), so an
// item that belongs at the end is appended to a linked list in O(1), and only stragglers (returned
// messages, delays of their own) go into a search tree beside it. The minimum of both is the head.
//
//   list:  5 <-> 8 <-> 9 <-> 12        left = before, right = after
//   tree:      7                       a treap: heap order by a hash of the sequence number,
//            3   11                    so its depth is logarithmic without balancing data
//
// Both halves are sorted; an item knows in which it is by one bit.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/hash.hpp>
#include <weir/broker/slab.hpp>

#include <compare>
#include <cstdint>

namespace weir::detail {

struct slot_links {
  std::uint32_t left = no_slot;
  std::uint32_t right = no_slot;
};

/// What items are ordered by: a time (or 0) first, then the sequence number.
struct slot_key {
  std::int64_t major = 0;
  std::uint64_t sequence = 0;
  constexpr auto operator<=>(const slot_key&) const = default;
};

/// The ordered set. `By` says how: static `key(item)`, `links(item)` (a reference), `is_straggler`
/// and `set_straggler(item, bool)`. The set doesn't own its items; a key may not change inside.
///
/// Cancel:  plain data structure, no waits.
/// Order:   ascending by key.
/// Bound:   12 bytes, and 8 in each item.
/// Errors:  none; never allocates.
/// Threads: one loop.
template <class Items, class By>
class ordered_slots {
 public:
  /// A place in the walk over all items; any change of the set ends the walk.
  struct cursor {
    std::uint32_t in_list = no_slot;
    std::uint32_t in_tree = no_slot;
  };

  /// O(1) when the item belongs at the end, else O(log n) of the stragglers.
  void insert(Items& items, std::uint32_t slot) noexcept {
    auto& item = items[slot];
    if (tail_ == no_slot || By::key(items[tail_]) < By::key(item)) {
      By::set_straggler(item, false);
      By::links(item) = {tail_, no_slot};
      if (tail_ == no_slot) {
        head_ = slot;
      } else {
        By::links(items[tail_]).right = slot;
      }
      tail_ = slot;
    } else {
      By::set_straggler(item, true);
      plant(items, slot);
    }
  }

  void erase(Items& items, std::uint32_t slot) noexcept {
    if (By::is_straggler(items[slot])) {
      uproot(items, slot);
    } else {
      const slot_links around = By::links(items[slot]);
      (around.left == no_slot ? head_ : By::links(items[around.left]).right) = around.right;
      (around.right == no_slot ? tail_ : By::links(items[around.right]).left) = around.left;
    }
    By::links(items[slot]) = {};
  }

  bool empty() const noexcept { return head_ == no_slot && root_ == no_slot; }

  /// The slot with the smallest key, or no_slot.
  std::uint32_t first(const Items& items) const noexcept { return at(items, begin(items)); }

  cursor begin(const Items& items) const noexcept { return {head_, leftmost(items, root_)}; }
  /// The first item after `key`, in O(log n) for stragglers; list items are found from `hint`, a
  /// slot in the list with that key, or from the head when there is none.
  cursor after(const Items& items, slot_key key, std::uint32_t hint) const noexcept {
    std::uint32_t in_list = hint != no_slot ? By::links(items[hint]).right : head_;
    while (in_list != no_slot && !(key < By::key(items[in_list]))) {
      in_list = By::links(items[in_list]).right;
    }
    return {in_list, above(items, key)};
  }
  /// The slot at a cursor, or no_slot at the end.
  std::uint32_t at(const Items& items, cursor where) const noexcept {
    if (where.in_list == no_slot) return where.in_tree;
    if (where.in_tree == no_slot) return where.in_list;
    return By::key(items[where.in_list]) < By::key(items[where.in_tree]) ? where.in_list
                                                                         : where.in_tree;
  }
  cursor next(const Items& items, cursor where) const noexcept {
    const std::uint32_t slot = at(items, where);
    if (slot == where.in_list) return {By::links(items[slot]).right, where.in_tree};
    return {where.in_list, above(items, By::key(items[slot]))};
  }

 private:
  static std::uint64_t rank(const Items& items, std::uint32_t slot) noexcept {
    return mix(items[slot].sequence);
  }

  std::uint32_t leftmost(const Items& items, std::uint32_t slot) const noexcept {
    if (slot == no_slot) return slot;
    while (By::links(items[slot]).left != no_slot) slot = By::links(items[slot]).left;
    return slot;
  }

  /// The smallest straggler with a key greater than `key`.
  std::uint32_t above(const Items& items, slot_key key) const noexcept {
    std::uint32_t best = no_slot;
    for (std::uint32_t slot = root_; slot != no_slot;) {
      if (key < By::key(items[slot])) {
        best = slot;
        slot = By::links(items[slot]).left;
      } else {
        slot = By::links(items[slot]).right;
      }
    }
    return best;
  }

  void plant(Items& items, std::uint32_t slot) noexcept {
    const slot_key key = By::key(items[slot]);
    const std::uint64_t mine = rank(items, slot);
    std::uint32_t* link = &root_;
    while (*link != no_slot && rank(items, *link) >= mine) {
      slot_links& links = By::links(items[*link]);
      link = key < By::key(items[*link]) ? &links.left : &links.right;
    }
    // The subtree below is split by the key into the two sides of the new node.
    std::uint32_t rest = *link;
    *link = slot;
    slot_links& mine_links = By::links(items[slot]);
    mine_links = {};
    std::uint32_t* smaller = &mine_links.left;
    std::uint32_t* greater = &mine_links.right;
    while (rest != no_slot) {
      slot_links& links = By::links(items[rest]);
      if (key < By::key(items[rest])) {
        *greater = rest;
        greater = &links.left;
        rest = links.left;
      } else {
        *smaller = rest;
        smaller = &links.right;
        rest = links.right;
      }
    }
    *smaller = no_slot;
    *greater = no_slot;
  }

  void uproot(Items& items, std::uint32_t slot) noexcept {
    const slot_key key = By::key(items[slot]);
    std::uint32_t* link = &root_;
    while (*link != slot) {
      WEIR_ASSERT(*link != no_slot);
      slot_links& links = By::links(items[*link]);
      link = key < By::key(items[*link]) ? &links.left : &links.right;
    }
    // The two sides are merged in its place, the higher rank on top.
    std::uint32_t smaller = By::links(items[slot]).left;
    std::uint32_t greater = By::links(items[slot]).right;
    while (smaller != no_slot && greater != no_slot) {
      if (rank(items, smaller) >= rank(items, greater)) {
        *link = smaller;
        link = &By::links(items[smaller]).right;
        smaller = *link;
      } else {
        *link = greater;
        link = &By::links(items[greater]).left;
        greater = *link;
      }
    }
    *link = smaller != no_slot ? smaller : greater;
  }

  std::uint32_t head_ = no_slot;
  std::uint32_t tail_ = no_slot;
  std::uint32_t root_ = no_slot;
};

}  // namespace weir::detail
