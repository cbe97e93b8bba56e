// The program `weir`: one command after the other, each in a file of its own.
#include <weir/apps/command.hpp>

#include <fcntl.h>
#include <unistd.h>

namespace {

/// Gives what the caller closed of standard input, output and error to /dev/null. Otherwise the
/// next files that are opened have these numbers, and the log is written over one of them.
bool fill_standard_descriptors() noexcept {
  for (int at = STDIN_FILENO; at <= STDERR_FILENO; ++at) {
    if (::fcntl(at, F_GETFD) < 0 && ::open("/dev/null", O_RDWR) != at) return false;
  }
  return true;
}

}  // namespace

int main(int argc, char** argv) {
  if (!fill_standard_descriptors()) return 1;  // there is nowhere to say so
  weir::command_line line("weir takes work now and delivers the result later", "weir");
  const weir::command_syntax app = line.top();
  weir::command_choice choice;
  weir::add_serve_command(app, choice);
  weir::add_send_command(app, choice);
  weir::add_take_command(app, choice);
  weir::add_queues_command(app, choice);
  weir::add_wait_command(app, choice);
  weir::add_redrive_command(app, choice);
  weir::add_bench_command(app, choice);
  weir::add_advise_command(app, choice);
  weir::add_sim_command(app, choice);
  weir::add_check_command(app, choice);
  weir::add_version_command(app, choice);
  weir::add_completion_command(app, choice);
  app.needs_subcommand();
  app.footer(
      "weir COMMAND --help and weir help COMMAND tell more. WEIR_URL and WEIR_TOKEN_FILE name a "
      "server.");
  if (const auto ended = line.parse(argc, argv)) return static_cast<int>(*ended);
  return static_cast<int>(weir::run_command(choice));
}
