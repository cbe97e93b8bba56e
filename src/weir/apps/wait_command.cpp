// weir wait ID
#include <weir/apps/api_client.hpp>
#include <weir/apps/command.hpp>
#include <weir/apps/message_text.hpp>

#include <fmt/format.h>

#include <memory>
#include <string>

namespace weir {

void add_wait_command(command_syntax app, command_choice& choice) {
  struct settings {
    caller_options client;
    std::string id;
    duration timeout = duration::seconds(3'600);
  };
  const command_syntax command =
      app.subcommand("wait", "Wait until a message has ended and print its result");
  const auto given = std::make_shared<settings>();
  given->client.add_to(command);
  const auto take_id = [given](const std::string& text) {
    constexpr std::size_t chars_max = 64;  // ids have 26
    if (text.size() > chars_max) {
      return fmt::format("an id has at most {} characters, and this has {}", chars_max,
                         text.size());
    }
    given->id = text;
    return std::string(text.empty() ? "its value is empty" : "");
  };
  command.option("id", take_id, "The message's id, as `weir send` printed it").required();
  command.option("--timeout", given->timeout, "How long to wait for the end (default 1h)");
  command.when_chosen([&choice, given] {
    choice.run = [given] { return wait_for_end(given->client, given->id, given->timeout); };
  });
}

}  // namespace weir
