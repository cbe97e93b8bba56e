// Posts on their way to a loop. The hard idea: a wake-up is a system call, so only the first post
// to a loop that is asleep, or about to be, makes one. The loop says that it is asleep and then
// looks at the stack; a poster pushes and then looks whether the loop is asleep: in one total
// order, so at least one of them sees the other.
//
//   poster: push, seq_cst            loop: is_asleep = true, seq_cst
//           is_asleep? seq_cst             is the stack empty? seq_cst
//           then wake the driver           then wait in the driver
//
// testing/post_inbox_model_test.cpp tries all interleavings with at most three preemptions.
#pragma once

#include <weir/base/std_memory.hpp>
#include <weir/base/treiber_stack.hpp>

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace weir::detail {

/// A loop's end of its posts, and everybody else's.
///
/// Cancel:  no waits but close()'s.
/// Order:   posts in the order of their pushes.
/// Bound:   reserve() refuses beyond what it is told; post() can't fail.
/// Errors:  none.
/// Threads: reserve(), give_up() and post() any; the rest the loop's.
template <class Node, class Memory = std_memory>
class basic_post_inbox {
  template <class T>
  using atomic = typename Memory::template atomic<T>;

 public:
  bool reserve(std::size_t posts_max) noexcept {
    if (is_closed_.load(std::memory_order_relaxed)) return false;
    if (waiting_.fetch_add(1, std::memory_order_relaxed) < posts_max) return true;
    give_up(1);
    return false;
  }
  void give_up(std::size_t count) noexcept { waiting_.fetch_sub(count, std::memory_order_relaxed); }
  /// wake() is called when the loop has to be woken.
  template <class Wake>
  void post(Node& node, Wake wake) noexcept {
    posters_.fetch_add(1, std::memory_order_relaxed);  // published by the push
    posts_.push(node);
    if (is_asleep_.load(std::memory_order_seq_cst) &&
        is_asleep_.exchange(false, std::memory_order_relaxed))
      wake();
    posters_.fetch_sub(1, std::memory_order_release);
  }

  /// From here on posts wake the loop. True: none has come before, so it may sleep.
  bool fall_asleep() noexcept {
    is_asleep_.store(true, std::memory_order_seq_cst);
    return posts_.is_empty(std::memory_order_seq_cst);
  }
  void stay_awake() noexcept { is_asleep_.store(false, std::memory_order_relaxed); }
  bool is_empty(std::memory_order order) const noexcept { return posts_.is_empty(order); }
  /// The oldest post, or null.
  Node* take_all() noexcept { return posts_.take_all(); }
  /// Refuses what comes, and waits for those who post still: they look whether to wake the driver
  /// when what they have posted has perhaps ended the loop already.
  template <class Yield>
  void close(Yield yield) noexcept {
    is_closed_.store(true, std::memory_order_relaxed);
    while (posters_.load(std::memory_order_acquire) != 0) yield();
  }

 private:
  treiber_stack<Node, std::memory_order_seq_cst, Memory> posts_;
  atomic<bool> is_asleep_{false};
  atomic<std::size_t> waiting_{0};
  atomic<bool> is_closed_{false};
  atomic<std::uint32_t> posters_{0};  // threads inside post()
};

}  // namespace weir::detail
