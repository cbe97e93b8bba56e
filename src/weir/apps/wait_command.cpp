// weir wait ID
#include <weir/apps/api_client.hpp>
#include <weir/apps/command.hpp>
#include <weir/apps/message_text.hpp>

#include <memory>

namespace weir {

void add_wait_command(command_syntax app, command_choice& choice) {
  struct settings {
    client_options client;
    std::string id;
    duration timeout = duration::seconds(3'600);
  };
  const command_syntax command =
      app.subcommand("wait", "Wait until a message has ended and print its result");
  const auto given = std::make_shared<settings>();
  given->client.add_to(command);
  command.option("id", given->id, "The message's id, as `weir send` printed it").required();
  command.option("--timeout", given->timeout, "How long to wait for the end (default 1h)");
  command.when_chosen([&choice, given] {
    choice.run = [given] { return wait_for_end(given->client, given->id, given->timeout); };
  });
}

}  // namespace weir
