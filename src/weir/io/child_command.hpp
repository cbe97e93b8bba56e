// What to run: a program, its arguments, environment, folder and standard streams. A value; nothing
// happens before it is given to with_process() or run_process().
#pragma once

#include <weir/base/time.hpp>
#include <weir/core/driver.hpp>

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

namespace weir {

class file;
class pipe_reader;
class pipe_writer;

/// What one of a child's standard streams is connected to.
struct child_stream {
  enum class source : std::uint8_t { unset, inherited, null, piped, given, as_output };

  source from = source::unset;  // inherited; run_process() captures what is unset
  io_handle handle = -1;        // given

  /// The same as ours.
  static child_stream inherited() noexcept { return {source::inherited}; }
  /// /dev/null: no input, output is thrown away.
  static child_stream null() noexcept { return {source::null}; }
  /// A pipe, whose other end is process::input(), output() or errors().
  static child_stream piped() noexcept { return {source::piped}; }
  /// An open file, from where the last child over it ended; it stays open until the start.
  static child_stream of(const file& open) noexcept;
  /// An end of a pipe, which is the child's from then on: close ours after the start.
  static child_stream of(const pipe_reader& from) noexcept;
  static child_stream of(const pipe_writer& to) noexcept;
  /// For errors: wherever the output goes.
  static child_stream as_output() noexcept { return {source::as_output}; }
};

/// A program to be run, with all that it is given.
///
/// Cancel:  plain value, no waits.
/// Order:   arguments as they were added; of equal environment names the last one counts.
/// Bound:   by the kernel: 2 MiB for arguments and environment together, with its defaults.
/// Errors:  the start raises them: `not_found`, `permission_denied`, `invalid_argument` ...
/// Threads: copies may be used from different threads.
class command {
 public:
  struct variable {
    std::string name;
    std::string value;
    bool is_set = true;  // false: the child has none of this name
  };

  /// A program without a slash is looked for in our PATH; a relative path starts from the folder.
  explicit command(std::string program, std::vector<std::string> arguments = {})
      : program_(std::move(program)), arguments_(std::move(arguments)) {}

  command& add(std::string argument) {
    arguments_.push_back(std::move(argument));
    return *this;
  }
  /// Adds to our own environment, or replaces there.
  command& set(std::string name, std::string value) {
    variables_.push_back({std::move(name), std::move(value)});
    return *this;
  }
  command& unset(std::string name) {
    variables_.push_back({std::move(name), {}, false});
    return *this;
  }
  /// Nothing of our own environment: only what set() gives.
  command& clear_environment() {
    has_our_environment_ = false;
    return *this;
  }
  /// Where it runs; empty: where we do.
  command& in_folder(std::string folder) {
    folder_ = std::move(folder);
    return *this;
  }
  command& input(child_stream from) {
    streams_[0] = from;
    return *this;
  }
  command& output(child_stream to) {
    streams_[1] = to;
    return *this;
  }
  command& errors(child_stream to) {
    streams_[2] = to;
    return *this;
  }
  /// A process group of its own: signals reach also what the child has started, and the end of the
  /// child ends the whole group. Without one, Ctrl-C in a terminal reaches the child as it does us.
  command& own_group(bool wanted = true) {
    has_own_group_ = wanted;
    return *this;
  }
  /// How long the child may take to end after SIGTERM, before SIGKILL; 0: SIGKILL at once.
  command& grace(duration length) {
    grace_ = length;
    return *this;
  }
  /// For tests: as on kernels before 5.3, without a pidfd.
  command& without_pidfd() {
    wants_pidfd_ = false;
    return *this;
  }

  const std::string& program() const noexcept { return program_; }
  const std::vector<std::string>& arguments() const noexcept { return arguments_; }
  const std::vector<variable>& variables() const noexcept { return variables_; }
  bool has_our_environment() const noexcept { return has_our_environment_; }
  const std::string& folder() const noexcept { return folder_; }
  const child_stream& stream(int number) const noexcept { return streams_[number]; }
  bool has_own_group() const noexcept { return has_own_group_; }
  duration grace() const noexcept { return grace_; }
  bool wants_pidfd() const noexcept { return wants_pidfd_; }

 private:
  std::string program_;
  std::vector<std::string> arguments_;
  std::vector<variable> variables_;
  std::string folder_;
  child_stream streams_[3];
  duration grace_ = duration::seconds(5);
  bool has_our_environment_ = true;
  bool has_own_group_ = false;
  bool wants_pidfd_ = true;
};

/// How a process ended.
struct exit_status {
  int code = -1;   // of its exit, 0 to 255; -1 when a signal killed it
  int signal = 0;  // that killed it

  bool is_success() const noexcept { return code == 0; }
  /// "exit code 3", "killed by signal 9 (Killed)".
  std::string text() const;
  friend bool operator==(const exit_status&, const exit_status&) = default;
};

}  // namespace weir
