// How the jobs of a fork join. The hard idea: only jobs that were taken by others count, and they
// may count before anybody knows how many they are: the count begins at 0, each taken job that ends
// makes it one less, and the strand that forked adds, once, the number of those that it did not
// run. Whoever brings it to 0 has joined them all.
//
//   taken jobs end:    0, -1, -2 ...            the strand arrives:   + those that were taken
//
// testing/join_count_model_test.cpp tries all interleavings with at most three preemptions.
#pragma once

#include <weir/base/std_memory.hpp>

#include <atomic>
#include <cstdint>

namespace weir::detail {

/// The count of one fork.
///
/// Cancel:  no waits.
/// Order:   what each of them did before happens before what the one that joins does after.
/// Bound:   2^31 - 1 jobs.
/// Errors:  none.
/// Threads: end_taken() any, once for each job that was taken; arrive() the strand's, once.
template <class Memory = std_memory>
class join_count {
 public:
  /// A job that was taken has ended. True: it was the last, and the strand has arrived.
  bool end_taken() noexcept { return left_.fetch_sub(1, std::memory_order_acq_rel) == 1; }
  /// The strand has nothing left to run. True: all that others have taken have ended.
  bool arrive(std::int32_t taken) noexcept {
    return left_.fetch_add(taken, std::memory_order_acq_rel) + taken == 0;
  }

 private:
  typename Memory::template atomic<std::int32_t> left_{0};
};

}  // namespace weir::detail
