// What the program was doing, when somebody asks or when it dies: SIGQUIT, a crash or a failed
// assertion print the task trees of all loops on standard error. The hard idea: a tree can be read
// safely only while its thread stands still, so each loop's thread prints its own, in a signal
// handler: also a thread that is hung in a computation. A tree that is being changed may lead
// nowhere; reading it then fails alone and is given up.
#pragma once

#include <cstddef>

namespace weir {

class loop;

namespace detail {

/// Handlers for SIGQUIT (prints, goes on) and SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT (prints,
/// dies of the same signal), and the hook of failed assertions. Of a task that dies the tree shows
/// every function that awaits, and after the trees comes the stack of its thread.
///
/// Cancel:  no waits.
/// Order:   the loop that crashed comes first, then the others one after the other.
/// Bound:   waits at most 500 ms for each other loop's thread; loops_max loops.
/// Errors:  a loop that doesn't answer is named as such.
/// Threads: any; handlers belong to the process: when they are wanted several times, once.
class crash_dump {
 public:
  static constexpr int loops_max = 256;

  explicit crash_dump(bool wanted);
  crash_dump(const crash_dump&) = delete;
  crash_dump& operator=(const crash_dump&) = delete;
  ~crash_dump();

 private:
  bool is_wanted_;
};

/// Makes a loop known to dumps, on its thread, and gives that thread a stack for handlers, so that
/// an overflow of its own is told as well.
///
/// Cancel:  no waits.
/// Order:   none.
/// Bound:   one of crash_dump::loops_max; more are left out of dumps.
/// Errors:  none.
/// Threads: made and destroyed on the loop's thread.
class dumped_loop {
 public:
  explicit dumped_loop(loop& on) noexcept;
  dumped_loop(const dumped_loop&) = delete;
  dumped_loop& operator=(const dumped_loop&) = delete;
  ~dumped_loop();

 private:
  static constexpr std::size_t handler_stack_bytes = 256 * 1024;
  int slot_ = -1;
  void* stack_ = nullptr;
  void* former_stack_ = nullptr;  // a smaller one that was there, and comes back
  std::size_t former_stack_bytes_ = 0;
};

}  // namespace detail
}  // namespace weir
