// A program of a virtual world while it runs as a child process, as it sees itself. It may do all
// that a weir program does (timers, files, sockets, signals, children of its own), in a loop of its
// own; what comes from the command that started it is here.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/core/driver.hpp>
#include <weir/core/task.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

class virtual_process;
class virtual_processes;

namespace detail {

/// What a standard stream is connected to; two streams may share one.
struct process_stream {
  process_stream(driver& of, io_handle which, bool is_of_disk) noexcept
      : io(of), handle(which), is_file(is_of_disk) {}
  process_stream(const process_stream&) = delete;
  process_stream& operator=(const process_stream&) = delete;
  ~process_stream() { io.close_now(handle); }

  driver& io;
  io_handle handle;
  bool is_file;  // one goes on at the offset of its handle, which all that hold it share
};

}  // namespace detail

/// What a program of a virtual world reads as its standard input.
///
/// Cancel:  a cancelled receive has taken nothing.
/// Order:   bytes as they were sent; of a file from where the last process that read or wrote it
///          through the same handle has left it.
/// Bound:   receive() gives at most 16 KiB.
/// Errors:  none of its own: of null, and after close(), the end comes at once.
/// Threads: one loop.
class virtual_input {
 public:
  /// At least one byte; empty at the end.
  task<bytes> receive();
  void close() noexcept { from_.reset(); }

 private:
  friend class virtual_processes;
  std::shared_ptr<detail::process_stream> from_;  // null: /dev/null, or closed
};

/// Where the standard output or errors of a program of a virtual world go.
///
/// Cancel:  a cancelled send has sent a prefix.
/// Order:   as sent.
/// Bound:   a send waits while the pipe is full.
/// Errors:  without a reader SIGPIPE, which ends the program unless it ignores it; then `broken`.
/// Threads: one loop.
class virtual_output {
 public:
  /// Sends all of it, which must live until the wait ends; to null, or closed, it is thrown away.
  task<> send(std::string_view data);
  void close() noexcept { to_.reset(); }

 private:
  friend class virtual_process;
  friend class virtual_processes;
  explicit virtual_output(virtual_process& of) noexcept : of_(of) {}

  virtual_process& of_;
  std::shared_ptr<detail::process_stream> to_;
};

/// A running program of a virtual world.
///
/// Cancel:  its end cancels its tasks, when its handles are closed and its driver is dead: what it
///          does from then on reaches nobody.
/// Order:   signals in the order in which they were sent; a stopped program hears them when it goes
///          on, the lowest number first.
/// Bound:   as a program: handles, sockets and memory of its machine.
/// Errors:  one that leaves its main() ends it with SIGABRT and is written to its errors.
/// Threads: one.
class virtual_process {
 public:
  virtual_process(const virtual_process&) = delete;
  virtual_process& operator=(const virtual_process&) = delete;

  int pid() const noexcept { return pid_; }
  /// From its own name on.
  const std::vector<std::string>& arguments() const noexcept { return arguments_; }
  /// "NAME=value".
  const std::vector<std::string>& environment() const noexcept { return environment_; }
  /// The value of an environment variable; null when it is not set.
  const char* variable(std::string_view name) const noexcept;
  /// Where it was started. Relative paths of the virtual disk begin at "/" all the same.
  const std::string& folder() const noexcept { return folder_; }
  virtual_input& input() noexcept { return input_; }
  virtual_output& output() noexcept { return output_; }
  virtual_output& errors() noexcept { return errors_; }

  /// The signal has no effect from here on, nor one that is pending; until hear() or a wait for it.
  void ignore(int number);
  /// From here on the signal is kept for wait_signal(), as it is after the first wait.
  void hear(int number);
  /// Sends itself a signal. Does not return when that ends it.
  task<> raise(int number);
  /// Ends here and now, without destructors that anybody would notice. Does not return.
  task<> exit(int code);

 private:
  friend class virtual_processes;
  virtual_process(virtual_processes& all, int pid) noexcept
      : all_(all), pid_(pid), output_(*this), errors_(*this) {}

  virtual_processes& all_;
  int pid_;
  std::vector<std::string> arguments_;
  std::vector<std::string> environment_;
  std::string folder_;
  virtual_input input_;
  virtual_output output_;
  virtual_output errors_;
  std::uint64_t ignored_ = 0;  // a bit per signal
};

/// What can be run as a child process.
///
/// Cancel:  a process that is killed ends main() without its cleanup reaching anybody.
/// Order:   main() is called for each process.
/// Bound:   virtual_processes::processes_max at a time.
/// Errors:  one that leaves main() ends the process as an abort does.
/// Threads: one.
class virtual_program {
 public:
  virtual ~virtual_program() = default;
  /// Its value is the exit code, of which eight bits count.
  virtual task<int> main(virtual_process& self) = 0;
};

}  // namespace weir
