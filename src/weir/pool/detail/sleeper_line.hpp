// Where the threads of a pool sleep. The hard idea: no wake-up is lost though nobody who offers
// work takes a lock. Whoever is about to sleep counts itself and then looks for work once more;
// whoever offers work makes it visible and then looks at the count: in one total order (two
// fences), so at least one sees the other. A waker takes one from the count and leaves a token, so
// there are never more wake-ups than sleepers.
//
// testing/sleeper_line_model_test.cpp tries all interleavings with at most three preemptions.
#pragma once

#include <weir/base/std_memory.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>

namespace weir::detail {

struct std_threads : std_memory {
  using mutex = std::mutex;
  using condition_variable = std::condition_variable;
};

/// Threads that have nothing to do.
///
/// Cancel:  end() wakes all, for good.
/// Order:   any of those that sleep is woken.
/// Bound:   as many wake-ups as sleepers.
/// Errors:  none.
/// Threads: any.
template <class Threads = std_threads>
class sleeper_line {
 public:
  /// Sleeps until it is woken, unless `sees_work()`. False: the line has ended.
  template <class SeesWork>
  bool sleep(SeesWork sees_work) noexcept {
    sleepers_.fetch_add(1, std::memory_order_relaxed);
    Threads::fence(std::memory_order_seq_cst);
    if (sees_work()) {
      std::int32_t count = sleepers_.load(std::memory_order_relaxed);
      while (count > 0) {
        if (sleepers_.compare_exchange_weak(count, count - 1, std::memory_order_relaxed))
          return true;
      }
      // Somebody has taken this one from the count already: its token is on the way.
    }
    std::unique_lock guard(sleep_lock_);
    wake_up_.wait(guard,
                  [this] { return tokens_ != 0 || is_ending_.load(std::memory_order_relaxed); });
    if (is_ending_.load(std::memory_order_relaxed)) return false;
    --tokens_;
    return true;
  }

  /// Wakes one if any sleeps or is about to.
  void wake_one() noexcept {
    // What was offered before is seen by whoever counts itself after this fence.
    Threads::fence(std::memory_order_seq_cst);
    std::int32_t count = sleepers_.load(std::memory_order_relaxed);
    while (count > 0) {
      if (!sleepers_.compare_exchange_weak(count, count - 1, std::memory_order_relaxed)) continue;
      {
        const std::lock_guard guard(sleep_lock_);
        ++tokens_;
      }
      wake_up_.notify_one();
      return;
    }
  }

  void end() noexcept {
    {
      const std::lock_guard guard(sleep_lock_);
      is_ending_.store(true, std::memory_order_relaxed);
    }
    wake_up_.notify_all();
  }

  /// That nobody has woken yet; a hint while others are at work.
  std::int32_t count() const noexcept {
    return std::max(0, sleepers_.load(std::memory_order_relaxed));
  }

 private:
  alignas(64) typename Threads::template atomic<std::int32_t> sleepers_{0};
  alignas(64) typename Threads::mutex sleep_lock_;
  typename Threads::condition_variable wake_up_;
  std::int32_t tokens_ = 0;  // wake-ups that no sleeper has taken yet
  typename Threads::template atomic<bool> is_ending_{false};
};

}  // namespace weir::detail
