// Calls that leave a simulated run. The hard idea: a test program's own clock_gettime(), socket(),
// pthread_create() ... stand before those of the C library, also for libstdc++, so that a program
// in a virtual world that asks the real one is caught where it asks: the run fails with the async
// stack of who called and with what to use instead.
//
// Caught are calls of the program itself and of libstdc++ for it (std::chrono, std::thread,
// std::random_device, std::ifstream), on the thread that runs it; not those that other shared
// libraries make for themselves, nor raw system calls. Runs with virtual_options::threads, which
// are not simulated as a whole, are left alone.
#pragma once

#include <weir/base/program_here.hpp>

namespace weir::testing {

/// True when escapes are caught. Not with sanitizers, which stand before the same functions.
bool are_escapes_caught() noexcept;

/// While it exists, this thread may call the system although a simulated program runs: for what a
/// test does beside the program.
///
/// Cancel:  no waits; not to be held across one.
/// Order:   scopes nest.
/// Bound:   none of its own.
/// Errors:  none.
/// Threads: the one that made it.
class escape_allowed {
 public:
  escape_allowed() noexcept = default;
  escape_allowed(const escape_allowed&) = delete;
  escape_allowed& operator=(const escape_allowed&) = delete;

 private:
  weir::detail::world_runs mark_;
};

}  // namespace weir::testing
