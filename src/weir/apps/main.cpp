// The program `weir`: one command after the other, each in a file of its own.
#include <weir/apps/command.hpp>

#include <CLI/CLI.hpp>

int main(int argc, char** argv) {
  CLI::App app("weir takes work now and delivers the result later", "weir");
  weir::command_choice choice;
  weir::add_serve_command(app, choice);
  weir::add_send_command(app, choice);
  weir::add_take_command(app, choice);
  weir::add_queues_command(app, choice);
  weir::add_wait_command(app, choice);
  weir::add_redrive_command(app, choice);
  weir::add_bench_command(app, choice);
  weir::add_sim_command(app, choice);
  weir::add_check_command(app, choice);
  weir::add_version_command(app, choice);
  weir::add_completion_command(app, choice);
  app.require_subcommand(1);
  app.footer("weir COMMAND --help tells more. WEIR_URL and WEIR_TOKEN_FILE name a server.");
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) return app.exit(error);  // help was asked for, or the version
    return static_cast<int>(weir::refuse_command_line(app, argc, argv, error.what()));
  }
  return static_cast<int>(weir::run_command(choice));
}
