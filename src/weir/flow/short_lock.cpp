#include <weir/flow/short_lock.hpp>

#include <weir/base/pause_processor.hpp>

#include <thread>

namespace weir::detail {

// Looks first and tries then, so that those who wait share the line of the lock in their caches.
void short_lock::lock_slowly() noexcept {
  constexpr int looks_until_yield = 100;
  do {
    for (int looks = 0; is_taken_.load(std::memory_order_relaxed); ++looks) {
      if (looks < looks_until_yield) {
        pause_processor();
      } else {
        std::this_thread::yield();
      }
    }
  } while (is_taken_.exchange(true, std::memory_order_acquire));
}

}  // namespace weir::detail
