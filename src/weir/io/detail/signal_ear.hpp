// One driver's ear for signals of the process. The hard idea: a handler may be at work on another
// thread in the moment in which the driver goes and the number of its descriptor is given to
// somebody else. So a handler first says that it is inside and then looks whether it is wanted;
// whoever goes first wants nothing more and then looks whether somebody is inside: in one total
// order, so at least one sees the other.
//
//   handler: inside + 1, seq_cst            end: wanted = 0, seq_cst
//            wanted? seq_cst                     anybody inside? seq_cst
//            then ring; inside - 1               then wait until nobody is
//
// testing/signal_ear_model_test.cpp tries all interleavings with at most three preemptions.
#pragma once

#include <weir/base/std_memory.hpp>

#include <atomic>
#include <cstdint>

namespace weir::detail {

/// Which signals are wanted and which have come, a bit for each.
///
/// Cancel:  no waits but end()'s.
/// Order:   what was done before a ring is seen by who takes the signal.
/// Bound:   equal signals that come before they are taken are one.
/// Errors:  none.
/// Threads: hear() any, in a signal handler; the rest one at a time.
template <class Memory = std_memory>
class signal_ear {
 public:
  /// Keeps the signals and calls ring(), when they are wanted.
  template <class Ring>
  void hear(std::uint64_t signals, Ring ring) noexcept {
    if ((wanted_.load(std::memory_order_relaxed) & signals) == 0) return;
    inside_.fetch_add(1, std::memory_order_seq_cst);
    if ((wanted_.load(std::memory_order_seq_cst) & signals) != 0) {
      arrived_.fetch_or(signals, std::memory_order_release);
      ring();
    }
    inside_.fetch_sub(1, std::memory_order_release);
  }

  void want(std::uint64_t signals) noexcept {
    wanted_.fetch_or(signals, std::memory_order_release);
  }
  std::uint64_t wanted() const noexcept { return wanted_.load(std::memory_order_relaxed); }
  /// Wants nothing any more, and gives what was wanted. Nobody rings once it has returned; until
  /// then it calls pause().
  template <class Pause>
  std::uint64_t end(Pause pause) noexcept {
    const std::uint64_t all = wanted_.exchange(0, std::memory_order_seq_cst);
    while (inside_.load(std::memory_order_seq_cst) != 0) pause();
    arrived_.store(0, std::memory_order_relaxed);
    return all;
  }

  /// True when one of the signals has come since the last time.
  bool take(std::uint64_t signals) noexcept {
    return (arrived_.fetch_and(~signals, std::memory_order_acquire) & signals) != 0;
  }
  /// What was there before a wake-up that was heard is seen; take() says what came with it.
  bool has_any() const noexcept { return arrived_.load(std::memory_order_relaxed) != 0; }

 private:
  template <class T>
  using atomic = typename Memory::template atomic<T>;

  atomic<std::uint64_t> wanted_{0};
  atomic<std::uint64_t> arrived_{0};
  atomic<std::uint32_t> inside_{0};
};

}  // namespace weir::detail
