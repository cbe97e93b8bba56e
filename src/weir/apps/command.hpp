// What the commands of `weir` share: how one is chosen and run, which exit codes there are, and how
// a failure is told. The hard idea: parsing chooses, it does not run; so a failure of the work is
// never taken for a failure of the command line.
#pragma once

#include <weir/apps/command_syntax.hpp>
#include <weir/serve/api_problem.hpp>

#include <functional>
#include <string>
#include <string_view>

namespace weir {

/// The exit codes of `weir`, as docs/reference/cli.md lists them.
enum class exit_code : int {
  ok = 0,
  failed = 1,       // anything else: the disk, a data folder in use, a bug
  usage = 2,        // the command line or a file that it names is wrong
  unreachable = 3,  // no server answers there, or it broke off
  refused = 4,      // the server said no; its problem is on standard error
  nothing = 5,      // nothing came within the time: no message to take, no end to wait for
  bad_end = 6,      // the message is dead or expired; the journal is damaged
};

/// What the command line asks for.
struct command_choice {
  std::function<exit_code()> run;
};

/// A failure with the exit code that it means; `text` is for standard error, unless it is empty:
/// then it has been told already.
struct command_failure {
  exit_code code;
  std::string text;
};

/// Runs what was chosen and tells failures (command_failure, weir's errors, others) on standard
/// error, each in one line that begins with "weir: ".
exit_code run_command(const command_choice& choice) noexcept;

/// Tells what is wrong with a command line, in the same way. `command` is what it names: "bench
/// disk", or nothing; `unknown` the next word, where another command should stand, and `meant` one
/// that is near it.
exit_code refuse_command_line(std::string_view command, std::string_view unknown,
                              std::string_view meant, std::string_view why);

/// Raised as a failure: the server's problem in words for people.
[[noreturn]] void raise_problem(int status, std::string_view body);
/// `text` and a line end on standard output; a failure when that is closed or full.
void print(std::string_view text);
/// A whole file, or standard input for "-"; refuses files over `bytes_max`.
std::string read_file(const std::string& path, std::size_t bytes_max);
/// A failure when no folder is there, or something else.
void refuse_no_folder(const std::string& path);

// Each adds one command to the program. One file per command.
void add_serve_command(command_syntax app, command_choice& choice);
void add_send_command(command_syntax app, command_choice& choice);
void add_take_command(command_syntax app, command_choice& choice);
void add_queues_command(command_syntax app, command_choice& choice);
void add_wait_command(command_syntax app, command_choice& choice);
void add_redrive_command(command_syntax app, command_choice& choice);
void add_bench_command(command_syntax app, command_choice& choice);
void add_advise_command(command_syntax app, command_choice& choice);
void add_sim_command(command_syntax app, command_choice& choice);
/// Below `sim`.
void add_mutants_command(command_syntax sim, command_choice& choice);
void add_check_command(command_syntax app, command_choice& choice);
void add_version_command(command_syntax app, command_choice& choice);
void add_completion_command(command_syntax app, command_choice& choice);

}  // namespace weir
