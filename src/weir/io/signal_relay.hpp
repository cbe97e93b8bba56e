// Signals of the process, told to every driver that waits for them. The hard idea: a handler and
// not signalfd, because signalfd works only if every thread of the program, also those of libraries
// that were started earlier, blocks the signal. The handler touches lock-free slots
// (detail/signal_ear.hpp) and one eventfd per driver, nothing else.
#pragma once

#include <weir/io/detail/wake_flag.hpp>

namespace weir::detail {

inline constexpr int signal_listeners_max = 256;  // drivers that wait for signals at once

/// One driver's ear.
///
/// Cancel:  no waits.
/// Order:   none between signals; equal signals that come before they are taken are one.
/// Bound:   signal_listeners_max per process; signals 1 to 63.
/// Errors:  listen() gives -errno: EINVAL for a signal that can't be caught, ENOSPC when all slots
///          are taken.
/// Threads: those of its driver.
class signal_listener {
 public:
  /// `wake_fd` is an eventfd that the handler writes to, unless `is_woken` was raised before.
  signal_listener(int wake_fd, wake_flag<>& is_woken) noexcept
      : wake_fd_(wake_fd), is_woken_(&is_woken) {}
  signal_listener(const signal_listener&) = delete;
  signal_listener& operator=(const signal_listener&) = delete;
  /// Gives signals that nobody listens to any more their former meaning back.
  ~signal_listener();

  /// From now on the signal is caught and kept: 0 or -errno.
  int listen(int number) noexcept;
  /// True when the signal has come since the last time.
  bool take(int number) noexcept;
  /// True when any signal is there to be taken.
  bool has_any() const noexcept;

 private:
  int wake_fd_;
  wake_flag<>* is_woken_;
  int slot_ = -1;
};

}  // namespace weir::detail
