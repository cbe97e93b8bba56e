// What is agreed about a promise without its lock: who may resolve it, whether it is settled, and
// who is the last to know it. The hard idea: the value is written once, before the phase, and read
// after it, so readers need no lock; and whoever drops the last reference sees all that the other
// owners did before they dropped theirs.
//
// testing/promise_state_model_test.cpp tries all interleavings with at most three preemptions.
#pragma once

#include <weir/base/std_memory.hpp>

#include <atomic>
#include <cstdint>

namespace weir::detail {

enum class settled_as : std::uint8_t { pending, fulfilled, rejected };

template <class Memory = std_memory>
class promise_state {
 public:
  void keep() noexcept { owners_.fetch_add(1, std::memory_order_relaxed); }
  /// True for the last owner, who ends it.
  bool was_last_owner() noexcept { return owners_.fetch_sub(1, std::memory_order_acq_rel) == 1; }
  /// For those who ask only, and read nothing behind it.
  bool has_one_owner() const noexcept { return owners_.load(std::memory_order_relaxed) == 1; }

  /// True for the first.
  bool claim() noexcept { return !is_claimed_.exchange(true, std::memory_order_acq_rel); }
  /// For those who ask only: phase() says when there is an outcome to read.
  bool is_claimed() const noexcept { return is_claimed_.load(std::memory_order_relaxed); }
  /// By who has claimed it, once the outcome is written.
  void note_settled(settled_as how) noexcept { phase_.store(how, std::memory_order_release); }
  settled_as phase() const noexcept { return phase_.load(std::memory_order_acquire); }
  bool is_settled() const noexcept { return phase() != settled_as::pending; }

 private:
  template <class T>
  using atomic = typename Memory::template atomic<T>;

  atomic<std::uint32_t> owners_{1};
  atomic<settled_as> phase_{settled_as::pending};
  atomic<bool> is_claimed_{false};
};

}  // namespace weir::detail
