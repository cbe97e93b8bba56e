// Signals are for the loops' threads: a thread that is started meanwhile inherits a mask in which
// all are blocked but those that a fault in its own code raises.
#pragma once

#include <signal.h>

#include <initializer_list>

namespace weir::detail {

/// Blocks the calling thread's signals while it lives.
///
/// Cancel:  no waits.
/// Order:   ended by the thread that made it, inside out.
/// Bound:   one mask.
/// Errors:  none: the system call has no other than wrong arguments.
/// Threads: one.
class signals_blocked {
 public:
  signals_blocked() noexcept {
    sigset_t all;
    sigfillset(&all);
    for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP})
      sigdelset(&all, fault);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  signals_blocked(const signals_blocked&) = delete;
  signals_blocked& operator=(const signals_blocked&) = delete;
  ~signals_blocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }

 private:
  sigset_t before_;
};

}  // namespace weir::detail
