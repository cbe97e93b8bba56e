// A lock for critical sections of some twenty instructions, between loops. The hard idea: nothing
// but a few moves happens under it, so whoever meets it taken spins a moment, and yields the
// processor when the holder seems to have lost its own. A lock that sleeps in the kernel would pay
// a second atomic operation at each unlock for a case that hardly happens.
//
// testing/short_lock_model_test.cpp tries all interleavings with at most three preemptions.
#pragma once

#include <weir/base/std_memory.hpp>

#include <atomic>

namespace weir::detail {

struct std_spinning : std_memory {
  /// Before the next look at a lock that is taken, after so many: longer each time, since each look
  /// takes the line away from the holder, who often comes back at once. After some 5 us the holder
  /// has perhaps lost its processor.
  static void pause(int looks) noexcept;
};

template <class Memory = std_spinning>
class basic_short_lock {
 public:
  void lock() noexcept {
    if (is_taken_.exchange(true, std::memory_order_acquire)) [[unlikely]]
      lock_slowly();
  }
  void unlock() noexcept { is_taken_.store(false, std::memory_order_release); }

 private:
  // Looks first and tries then, so that those who wait share the line of the lock in their caches.
  [[gnu::noinline]] void lock_slowly() noexcept {
    int looks = 0;
    do {
      while (is_taken_.load(std::memory_order_relaxed)) Memory::pause(looks++);
    } while (is_taken_.exchange(true, std::memory_order_acquire));
  }

  typename Memory::template atomic<bool> is_taken_{false};
};
extern template class basic_short_lock<>;

using short_lock = basic_short_lock<>;

}  // namespace weir::detail
