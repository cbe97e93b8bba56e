// What is said when a test's process ends in the midst of a run, by a signal or by exit(). The hard
// idea: who dies can format nothing, so the words are made when a run begins and are only written
// then.
#pragma once

#include <weir/sim/explore.hpp>

#include <csignal>
#include <cstddef>
#include <iterator>
#include <memory>
#include <string>

namespace weir::testing::detail {

/// While it exists, a death of the process names the run in which it came and what repeats it.
///
/// Cancel:  no waits.
/// Order:   the command, then the task that ran, then whoever had the signal before.
/// Bound:   one at a time.
/// Errors:  none.
/// Threads: the one whose runs it tells; signals come to any.
class death_note {
 public:
  /// `command` follows the run's name: " build/my_test --gtest_filter=...".
  explicit death_note(std::string command);
  death_note(const death_note&) = delete;
  death_note& operator=(const death_note&) = delete;
  ~death_note();

  /// Of the one that exists.
  static void begin_run(const run_name& which);
  static void end_run() noexcept;
  /// The process is about to end: in a run that is told, and no success.
  static void hear_exit() noexcept;

 private:
  static constexpr int signals[] = {SIGABRT, SIGSEGV, SIGBUS,  SIGFPE,
                                    SIGILL,  SIGTRAP, SIGTERM, SIGINT};
  static constexpr std::size_t stack_bytes = std::size_t{128} * 1024;

  static void hear_signal(int number, siginfo_t* about, void* context) noexcept;
  static void tell(const char* how) noexcept;

  std::string command_;
  std::string run_;  // empty: none is under way
  int process_;      // a child that was forked has nothing to tell
  struct sigaction before_[std::size(signals)] = {};
  std::unique_ptr<char[]> stack_;  // for handlers, where an overflow has used up the thread's own
};

}  // namespace weir::testing::detail
