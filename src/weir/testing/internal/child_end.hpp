// Waiting for a child process for a while only. The hard idea: the child, and whoever it becomes by
// exec, holds one end of a pipe, so that its end is an event that can be waited for with a bound.
// All of it may be called by a signal handler.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>

namespace weir::testing::detail {

/// A pipe that nothing is written to.
///
/// Cancel:  no waits of a task.
/// Order:   made, then the fork, then child_began() in the parent, then status_within().
/// Bound:   one child; the wait's.
/// Errors:  is_made() is false where no descriptor is left.
/// Threads: one.
class child_end {
 public:
  /// `stays` behind exec.
  explicit child_end(bool stays) noexcept;
  child_end(const child_end&) = delete;
  child_end& operator=(const child_end&) = delete;
  ~child_end();

  bool is_made() const noexcept { return from_ >= 0; }
  /// In the parent.
  void child_began() noexcept;
  /// Its status, as of waitpid(); nothing when it was still there after that time, and was killed.
  std::optional<int> status_within(pid_t child, std::int64_t ms) noexcept;

 private:
  int from_ = -1;
  int to_ = -1;
};

/// In a child: it ends when its parent does, and its standard output goes nowhere; with `is_mute`
/// its standard error, too.
void be_quiet_child(bool is_mute) noexcept;

}  // namespace weir::testing::detail
