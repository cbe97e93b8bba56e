// Whether a wake-up is under way already, so that a second one costs no system call. The hard idea:
// whoever finds the flag raised does nothing, so it must be certain that what it did before is seen
// by the one that was woken: by an exchange on either side, which reads what the other wrote.
#pragma once

#include <weir/base/std_memory.hpp>

#include <atomic>

namespace weir::detail {

/// Raised by those who wake, lowered by who is woken.
///
/// Cancel:  no waits.
/// Order:   what was done before a raise() that found it raised happens before the end of the
///          lower() that takes it down.
/// Bound:   one wake-up between two calls of lower().
/// Errors:  none.
/// Threads: raise() any, also in a signal handler; lower() one.
template <class Memory = std_memory>
class wake_flag {
 public:
  /// True: nobody else has, so the caller makes the system call.
  bool raise() noexcept { return !is_raised_.exchange(true, std::memory_order_acq_rel); }
  /// After what the system call has left was cleared, or that could take the trace of a raise()
  /// which then stays. An exchange and not a store: it makes visible what the last waker did.
  void lower() noexcept { is_raised_.exchange(false, std::memory_order_acq_rel); }

 private:
  typename Memory::template atomic<bool> is_raised_{false};
};

}  // namespace weir::detail
