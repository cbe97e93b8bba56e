// A stack that many threads push to and one takes whole: how work is handed to a thread (Treiber,
// "Systems programming: coping with parallelism", 1986). The hard idea: nobody ever takes a single
// node, so the address of a node that comes back (the ABA problem) deceives nobody, and the order
// of pushes is had back by turning round what was taken.
#pragma once

#include <weir/base/std_memory.hpp>

#include <atomic>

namespace weir {

/// Nodes, linked by their member `next`, on their way from many threads to one.
///
/// Cancel:  no waits.
/// Order:   take_all() gives the nodes in the order of their pushes, oldest first.
/// Bound:   none: the nodes are their owners'.
/// Errors:  none.
/// Threads: push() and is_empty() any, take_all() one. What was done before a push happens before
///          what is done after the take.
template <class Node, std::memory_order Push = std::memory_order_release, class Memory = std_memory>
class treiber_stack {
 public:
  /// True: it was empty.
  bool push(Node& node) noexcept {
    Node* head = head_.load(std::memory_order_relaxed);
    do {
      node.next = head;
    } while (!head_.compare_exchange_weak(head, &node, Push, std::memory_order_relaxed));
    return head == nullptr;
  }
  bool is_empty(std::memory_order order) const noexcept { return !head_.load(order); }
  /// The oldest node, or null.
  Node* take_all() noexcept {
    Node* newest = head_.exchange(nullptr, std::memory_order_acquire);
    Node* oldest = nullptr;
    while (newest) {
      Node* following = newest->next;
      newest->next = oldest;
      oldest = newest;
      newest = following;
    }
    return oldest;
  }

 private:
  typename Memory::template atomic<Node*> head_{nullptr};
};

}  // namespace weir
