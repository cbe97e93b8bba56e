// A lock for critical sections of some twenty instructions, between loops. The hard idea: nothing
// but a few moves happens under it, so whoever meets it taken spins a moment, and yields the
// processor when the holder seems to have lost its own. A lock that sleeps in the kernel would pay
// a second atomic operation at each unlock for a case that hardly happens.
#pragma once

#include <atomic>

namespace weir::detail {

class short_lock {
 public:
  void lock() noexcept {
    if (is_taken_.exchange(true, std::memory_order_acquire)) [[unlikely]]
      lock_slowly();
  }
  void unlock() noexcept { is_taken_.store(false, std::memory_order_release); }

 private:
  void lock_slowly() noexcept;

  std::atomic<bool> is_taken_{false};
};

}  // namespace weir::detail
