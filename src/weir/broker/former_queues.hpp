// The names of deleted queues of which dead letters are left elsewhere. A letter knows its queue by
// number, which is never used again; by the name it finds the queue that was made anew. Adding
// takes no memory when room was made, since a written record can't fail: the name comes in the node
// of the table in which it was.
#pragma once

#include <weir/base/hash.hpp>
#include <weir/broker/spare_nodes.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace weir::detail {

/// Names of queues that are gone, by number, and their numbers by name.
///
/// Cancel:  plain data structure, no waits.
/// Order:   by name; queues of one name in the order in which they were deleted.
/// Bound:   the caller's: keep_only() leaves out those that nobody refers to.
/// Errors:  std::bad_alloc, from add() beyond the room made only.
/// Threads: one loop.
class former_queues {
 public:
  using names = std::multimap<std::string, std::uint32_t, std::less<>>;
  /// Also that of a std::map from the names of queues to their numbers.
  using name_node = names::node_type;

  void make_room(std::size_t count) { spare_.make_room(by_number_, count); }
  /// A queue that is added already is left as it is.
  void add(name_node name) {
    auto node = spare_.take();
    node.key() = name.mapped();
    node.mapped() = nullptr;
    auto added = by_number_.insert(std::move(node));
    if (!added.inserted) return spare_.keep(std::move(added.node));
    added.position->second = &by_name_.insert(std::move(name))->first;
  }

  /// Empty for one that is not here.
  std::string_view name_of(std::uint32_t number) const noexcept {
    const auto found = by_number_.find(number);
    return found == by_number_.end() ? std::string_view() : *found->second;
  }
  /// Those that had this name, as (name, number).
  std::pair<names::const_iterator, names::const_iterator> named(
      std::string_view name) const noexcept {
    return by_name_.equal_range(name);
  }
  const names& all() const noexcept { return by_name_; }

  /// Forgets those whose number `is_needed` does not want; now and then only, so that to call it at
  /// each deletion costs little.
  template <class IsNeeded>
  void keep_only(IsNeeded&& is_needed) {
    if (by_name_.size() < sweep_at_) return;
    for (auto at = by_name_.begin(); at != by_name_.end();) {
      if (is_needed(at->second)) {
        ++at;
        continue;
      }
      spare_.keep(by_number_.extract(at->second));
      at = by_name_.erase(at);
    }
    sweep_at_ = std::max(sweep_min, 2 * by_name_.size());
  }

 private:
  using names_by_number = std::unordered_map<std::uint32_t, const std::string*, mixing_hash>;
  static constexpr std::size_t sweep_min = 64;

  names by_name_;
  names_by_number by_number_;  // the names are by_name_'s
  spare_nodes<names_by_number> spare_;
  std::size_t sweep_at_ = sweep_min;
};

}  // namespace weir::detail
