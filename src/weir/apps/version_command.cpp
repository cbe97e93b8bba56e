// weir version
#include <weir/serve/version.hpp>

#include <weir/apps/command.hpp>
#include <weir/serve/json_writer.hpp>

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <memory>

namespace weir {

void add_version_command(CLI::App& app, command_choice& choice) {
  app.set_version_flag("--version", fmt::format("weir {}", version()), "Print the version");
  CLI::App* command = app.add_subcommand("version", "Print the version");
  const auto json = std::make_shared<bool>(false);
  command->add_flag("--json", *json, "For programs: one JSON object");
  command->callback([&choice, json] {
    choice.run = [json] {
      print(*json ? json_writer().begin_object().field("version", version()).end_object().take()
                  : fmt::format("weir {}\n", version()));
      return exit_code::ok;
    };
  });
}

}  // namespace weir
