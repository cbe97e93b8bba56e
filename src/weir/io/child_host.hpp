// The part of the driver seam that child processes go through: starting, looking, signalling and
// reaping. The hard idea: waiting is no part of it. A child's end shows at a handle that a loop
// polls as any other, so a child costs a driver no thread and no operation of its own.
#pragma once

#include <weir/core/driver.hpp>
#include <weir/io/child_command.hpp>

#include <cstdint>
#include <string>
#include <vector>

namespace weir {

/// All that a child is started with, made before: the start itself may run on another thread.
struct child_plan {
  std::string program;                   // without a slash it is looked for in our PATH
  std::string folder;                    // empty: ours
  std::vector<std::string> arguments;    // from argv[0] on
  std::vector<std::string> environment;  // "NAME=value"
  io_handle streams[3] = {-1, -1, -1};   // -1: ours
  bool is_ours[3] = {};                  // one of our own standard streams: not made blocking
  bool is_null[3] = {};                  // /dev/null instead
  bool has_own_group = false;
  bool wants_end = true;  // the handle that shows the end
};

struct started_child {
  int pid = -1;
  io_handle end = -1;  // readable once the child has ended; -1: there is none, SIGCHLD tells
  int failure = 0;     // the errno of the start
};

enum class child_state : std::uint8_t { running, ended, lost };  // lost: somebody else reaped it

/// Where child processes live: a kernel, or a virtual machine.
///
/// Cancel:  no waits.
/// Order:   a child that has ended is kept, for its number and its status, until it is reaped.
/// Bound:   by the host: a start is refused with EAGAIN or EMFILE.
/// Errors:  the errno of a start in started_child::failure.
/// Threads: the loop's; start_child() on any, one call for a child.
class child_host {  // tidy-allow(shown): drivers have it, programs do not meet it
 public:
  /// "NAME=value" of the program that asks.
  virtual std::vector<std::string> our_environment() const = 0;
  /// Returns when the program runs or could not be started.
  virtual started_child start_child(const child_plan& plan) noexcept = 0;
  /// Whether it has ended, and how.
  virtual child_state look_at_child(int pid, bool reaps, exit_status& out) noexcept = 0;
  /// Returns when it has ended and is reaped: for one that was told to with SIGKILL.
  virtual void reap_child(int pid) noexcept = 0;
  /// `end` as start_child() gave it. False: there is no such process any more.
  virtual bool signal_child(int pid, io_handle end, int number) noexcept = 0;
  virtual bool signal_group(int pid, int number) noexcept = 0;

 protected:
  ~child_host() = default;
};

}  // namespace weir
