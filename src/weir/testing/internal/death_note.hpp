// What is said when a test's process ends in the midst of a run, by a signal or by exit(). The hard
// idea: who dies can format nothing, so the words are made when a run begins and are only written
// then; what takes more than words is left to another process (second_look.hpp).
#pragma once

#include <weir/sim/explore.hpp>
#include <weir/testing/internal/second_look.hpp>

#include <csignal>
#include <cstddef>
#include <iterator>
#include <memory>
#include <string>

namespace weir::testing::detail {

/// Hears of a death in place of the user.
///
/// Cancel:  no waits.
/// Order:   once, in the last moments.
/// Bound:   none of its own.
/// Errors:  none.
/// Threads: any, in a signal handler.
class death_listener {
 public:
  /// Of this signal, which the process has made itself; 0: of an exit.
  virtual void died(int number) noexcept = 0;

 protected:
  ~death_listener() = default;
};

/// While it exists, a death of the process names the run in which it came and what repeats it.
///
/// Cancel:  no waits.
/// Order:   the command, then the task that ran, then the second look, then whoever had the signal
///          before.
/// Bound:   one at a time.
/// Errors:  none.
/// Threads: the one whose runs it tells; signals come to any.
class death_note {
 public:
  /// `command` follows the run's name: " build/my_test --gtest_filter=...".
  explicit death_note(std::string command, std::unique_ptr<second_look> look = nullptr);
  explicit death_note(death_listener& instead);
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
  void begin() noexcept;
  bool is_mine() const noexcept;
  void look_again(int number) noexcept;

  std::string command_;
  std::string run_;  // empty: none is under way
  std::unique_ptr<second_look> look_;
  death_listener* instead_ = nullptr;
  int process_;  // a child that was forked has nothing to tell
  struct sigaction before_[std::size(signals)] = {};
  std::unique_ptr<char[]> stack_;  // for handlers, where an overflow has used up the thread's own
};

}  // namespace weir::testing::detail
