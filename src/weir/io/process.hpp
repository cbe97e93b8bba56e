// Child processes. The hard idea: a child belongs to a body, as a task belongs to a scope: when the
// body ends, however it ends, the child is told to end, then made to, and it is reaped before
// with_process() returns. So no child outlives its use and no zombie is left.
//
//   auto [status, output, errors] = co_await weir::run_process(weir::command("ls"));  // to its end
//   co_await weir::with_process(shell, talk);  // as long as talk(process&) lasts
#pragma once

#include <weir/core/cleanup.hpp>
#include <weir/core/task.hpp>
#include <weir/io/child_command.hpp>
#include <weir/io/pipe_ends.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

class process;

/// Starts the command and runs body(process&), whose value it gives. Then the child, if it still
/// runs, gets SIGTERM and, after the command's grace, SIGKILL; its pipes are closed, and it is
/// reaped. This is cleanup: a cancellation that ends the body does not end it. Only after SIGKILL
/// it has no limit of time, since the kernel ends no process whose disk or driver hangs.
/// Cancelled before the start there is no child; from then on it is past the point of no return,
/// and the child is ended as above. Raises `not_found` or `permission_denied` with the path when
/// the program can't be started, and `unsupported` where a driver has no processes.
template <class Body>
[[nodiscard]] task<detail::task_value_t<Body, process&>> with_process(command what, Body body);

/// A child process that was started by with_process().
///
/// Cancel:  a cancelled wait() leaves the child alone; a cancelled end() has told it to end, and
///          with_process() goes on with that.
/// Order:   a status is there once the child has ended; its pipes may hold output after that.
/// Bound:   pipes as the kernel's; grace() between SIGTERM and SIGKILL.
/// Errors:  wait() raises `io` when somebody else took the status: a program that ignores SIGCHLD.
/// Threads: one loop. Any number of its tasks may wait.
class process {
 public:
  process() = default;
  process(const process&) = delete;
  process& operator=(const process&) = delete;
  ~process();

  /// How it ended, as soon as it has.
  task<exit_status> wait();
  /// Ends it as the end of with_process() does, and tells how it ended.
  task<exit_status> end();
  /// Sends a signal to it, with own_group() to its group. False: it has been seen to have ended;
  /// one that has ended and was not waited for is still there, and hears nothing.
  bool signal(int number) noexcept;

  /// Our ends of streams that are piped(); the others are closed.
  pipe_writer& input() noexcept { return input_; }
  pipe_reader& output() noexcept { return output_; }
  pipe_reader& errors() noexcept { return errors_; }
  int pid() const noexcept { return pid_; }
  /// True once it has been seen to have ended.
  bool has_ended() const noexcept { return state_ != state::running; }

 private:
  template <class Body>
  friend task<detail::task_value_t<Body, process&>> with_process(command what, Body body);
  enum class state : std::uint8_t { none, running, ended, lost };

  task<> start(const command& what);
  task<> wait_for_end();
  task<> end_for_good();
  void look();
  void reap() noexcept;

  std::string name_;
  pipe_writer input_;
  pipe_reader output_;
  pipe_reader errors_;
  detail::socket_owner end_;  // readable once it has ended: a pidfd
  child_host* host_ = nullptr;
  exit_status status_;
  duration grace_;
  int pid_ = -1;
  state state_ = state::none;
  bool is_reaped_ = true;
  bool has_own_group_ = false;
};

template <class Body>
task<detail::task_value_t<Body, process&>> with_process(command what, Body body) {
  process child;
  co_return co_await with_cleanups(
      [&](cleanups& after) -> task<detail::task_value_t<Body, process&>> {
        after.defer_async([&]() -> task<> { co_await child.end_for_good(); },
                          {.deadline = duration::max(), .name = "end of a child process"});
        co_await child.start(what);
        co_return co_await body(child);
      });
}

struct run_process_options {
  std::string_view input = {};                      // given to the child; must live until the end
  std::size_t output_bytes_max = 16 * 1024 * 1024;  // of output and of errors
};

/// What a finished process has left.
struct finished_process {
  exit_status status;
  std::string output;
  std::string errors;
};

/// Runs a command to its end and captures its output and errors, unless the command says where
/// they go. `full` when it writes more than output_bytes_max: it is then ended. A failing status is
/// no error. It ends when the child has ended and its output is closed, by its own children, too.
/// A cancellation ends the child as with_process() does.
[[nodiscard]] task<finished_process> run_process(command what, run_process_options options = {});

}  // namespace weir
