// Starting and reaping of child processes, as system calls. The hard idea: posix_spawn and nothing
// of our own between fork and exec: it shares our memory instead of copying its page tables, and it
// tells why an exec has failed.
#pragma once

#include <weir/base/result.hpp>
#include <weir/io/child_command.hpp>

#include <string>
#include <vector>

namespace weir::detail {

/// All that posix_spawn is given, made before: the start itself may run on another thread.
struct child_plan {
  std::string program;
  std::string folder;
  std::vector<std::string> arguments;    // from argv[0] on
  std::vector<std::string> environment;  // "NAME=value"
  int streams[3] = {-1, -1, -1};         // descriptors; -1: ours
  bool is_null[3] = {};                  // /dev/null instead
  bool has_own_group = false;
  bool wants_pidfd = true;
};

/// The part of a plan that needs no descriptors; `invalid_argument` for what can't be passed on.
result<child_plan> plan_of(const command& what);

struct spawned_child {
  int pid = -1;
  int pidfd = -1;   // -1: the kernel gives none
  int failure = 0;  // the errno of the start
};

/// Blocks until the program runs or could not be started.
spawned_child spawn_now(const child_plan& plan) noexcept;
/// Why the start failed, in words that name what is missing.
error spawn_failure(const child_plan& plan, int number);

enum class child_state { running, ended, lost };  // lost: somebody else has reaped it

/// Whether the child has ended, and how. It stays a zombie until `reaps`.
child_state look_at_child(int pid, bool reaps, exit_status& out) noexcept;
/// Blocks until the child has ended and is reaped.
void reap_child(int pid) noexcept;
/// Sends a signal; false when there is no such process any more.
bool signal_child(int pid, int pidfd, int number) noexcept;
bool signal_group(int pid, int number) noexcept;

}  // namespace weir::detail
