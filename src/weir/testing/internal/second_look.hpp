// Who looks at a run that has ended the test's process: the test's program once more, which makes
// that run in children until it is short (forked_trials.hpp). The hard idea: a process that dies
// can neither format nor allocate, so the words and the environment of the other one are made while
// nothing is wrong.
#pragma once

#include <weir/sim/shrink_run.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weir::testing::detail {

/// A second look at one of a test's campaigns, not yet taken.
///
/// Cancel:  no waits of a task.
/// Order:   name_run() before each run; take() once, when one has ended the process.
/// Bound:   wait_s: who looks for longer is killed.
/// Errors:  told on standard error.
/// Threads: the one whose runs it names; take() is for signal handlers, of any.
class second_look {
 public:
  static constexpr int wait_s = 60;

  /// At the n-th campaign of the test of this name, "suite.test".
  second_look(const std::string& test, std::uint64_t nth);
  second_look(const second_look&) = delete;
  second_look& operator=(const second_look&) = delete;
  ~second_look() = default;

  void name_run(const std::string& run);
  /// Waits for its end.
  void take() noexcept;

 private:
  [[noreturn]] void be_other() noexcept;

  std::uint64_t nth_;
  std::vector<std::string> words_;    // of the command
  std::vector<std::string> changed_;  // variables
  std::vector<char*> argv_;
  std::vector<char*> environment_;  // the last one before the end says which run
  std::string run_;
};

/// What this process was started for.
struct look_wanted {
  std::uint64_t nth = 0;
  run_name run;
};
/// Nothing in all processes but those that take a second look.
const std::optional<look_wanted>& second_look_wanted();

}  // namespace weir::testing::detail
