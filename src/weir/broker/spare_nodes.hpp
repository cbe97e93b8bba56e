// Nodes of a map or set that lie ready, so that adding to it takes no memory: what a written record
// does must not fail. Nodes that are taken out are kept for the next.
#pragma once

#include <algorithm>
#include <cstddef>
#include <utility>
#include <vector>

namespace weir::detail {

/// Buckets for `count` entries more; a set or map in order has none.
template <class Nodes>
void make_bucket_room(Nodes& of, std::size_t count) {
  if constexpr (requires { of.bucket_count(); }) {  // an empty one has one bucket that holds none
    if (of.size() + count >= of.bucket_count()) of.reserve(2 * (of.size() + count));
  }
}

/// A node with a key and value of its own.
template <class Nodes, class... Args>
typename Nodes::node_type made_node(Args&&... args) {
  Nodes one;
  one.emplace(std::forward<Args>(args)...);
  return one.extract(one.begin());
}

/// Nodes for `Nodes`, a map or set of the standard library with a load factor of one.
///
/// Cancel:  plain data structure, no waits.
/// Order:   none.
/// Bound:   as many nodes as room was made for at once, and some.
/// Errors:  std::bad_alloc from make_room(), and from take() beyond the room made.
/// Threads: one loop.
template <class Nodes>
class spare_nodes {
 public:
  using node_type = typename Nodes::node_type;

  spare_nodes() { nodes_.reserve(kept_min); }

  /// Memory for `count` entries more in `of`.
  void make_room(Nodes& of, std::size_t count) {
    if (nodes_.size() < count) {
      nodes_.reserve(count);
      while (nodes_.size() < count) nodes_.push_back(made_node<Nodes>());
    }
    make_bucket_room(of, count);
  }
  node_type take() {
    if (nodes_.empty()) return made_node<Nodes>();
    node_type last = std::move(nodes_.back());
    nodes_.pop_back();
    return last;
  }
  void keep(node_type node) noexcept {
    if (nodes_.size() < nodes_.capacity()) nodes_.push_back(std::move(node));
  }

 private:
  static constexpr std::size_t kept_min = 4;

  std::vector<node_type> nodes_;
};

}  // namespace weir::detail
