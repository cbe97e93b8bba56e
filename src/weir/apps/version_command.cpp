// weir version
#include <weir/serve/version.hpp>

#include <weir/apps/command.hpp>
#include <weir/serve/json_writer.hpp>

#include <fmt/format.h>

#include <memory>

namespace weir {

void add_version_command(command_syntax app, command_choice& choice) {
  app.version_flag(fmt::format("weir {}", version()));
  const command_syntax command = app.subcommand("version", "Print the version");
  const auto json = std::make_shared<bool>(false);
  command.flag("--json", *json, "For programs: one JSON object");
  command.when_chosen([&choice, json] {
    choice.run = [json] {
      print(*json ? json_writer().begin_object().field("version", version()).end_object().take()
                  : fmt::format("weir {}\n", version()));
      return exit_code::ok;
    };
  });
}

}  // namespace weir
