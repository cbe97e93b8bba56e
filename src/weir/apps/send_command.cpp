// weir send QUEUE [FILE|-]
#include <weir/apps/api_client.hpp>
#include <weir/apps/command.hpp>
#include <weir/apps/message_text.hpp>
#include <weir/base/text.hpp>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

#include <memory>
#include <optional>

namespace weir {

namespace {

constexpr std::size_t body_bytes_max = 64u << 20;  // the server's own limit is lower by default

struct send_settings {
  caller_options client;
  std::string queue;
  std::string file = "-";
  std::string content_type;
  std::string key;
  std::string reply_to;
  std::optional<std::uint64_t> priority;
  duration delay;
  duration ttl{-1};
  duration wait;
};

/// However the wait ends, the id is told: nothing else finds the message again.
exit_code wait_for_result(const send_settings& given, const std::string& id) {
  try {
    return wait_for_end(given.client, id, given.wait);
  } catch (const command_failure& failed) {
    if (failed.text.contains(id)) throw;
    throw command_failure{failed.code, fmt::format("message {}: {}", id, failed.text)};
  } catch (const exception& failed) {
    raise(error(failed.reason().code(), fmt::format("message {}: its end is not known", id))
              .caused_by(failed.reason()));
  }
}

exit_code send(const send_settings& given) {
  const std::string body = read_file(given.file, body_bytes_max);
  api_call call{.method = "POST",
                .path = fmt::format("/v1/queues/{}/messages", encoded(given.queue)),
                .body = body};
  const auto add = [&](std::string_view name, std::string value) {
    if (!value.empty()) call.fields.emplace_back(name, std::move(value));
  };
  add("Content-Type", given.content_type);
  add("Weir-Key", given.key);
  add("Weir-Reply-To", given.reply_to);
  if (given.priority) add("Weir-Priority", std::to_string(*given.priority));
  if (given.delay > duration()) add("Weir-Delay", format_duration(given.delay));
  if (given.ttl >= duration()) add("Weir-Ttl", format_duration(given.ttl));
  const api_reply reply = call_server(given.client, call);
  std::string id;
  read_answer(reply, [&id](std::string_view json) {
    id = std::string_view(boost::json::parse(boost::json::string_view(json)).at("id").as_string());
  });
  if (given.wait > duration()) return wait_for_result(given, id);
  print(given.client.json ? reply.body : id + "\n");
  return exit_code::ok;
}

}  // namespace

void add_send_command(command_syntax app, command_choice& choice) {
  const command_syntax command = app.subcommand("send", "Submit a message and print its id");
  command.footer("Example:\n  weir send mails letter.txt --key order-7 --wait 30s");
  const auto given = std::make_shared<send_settings>();
  given->client.add_to(command);
  command.option("queue", given->queue, "The queue's name").required();
  command.option("file", given->file, "The body: a file, or - for standard input (default)");
  command.option("--content-type", given->content_type, "The body's media type");
  command.option("--key", given->key, "Idempotency key: the same key gives the same id");
  command.option("--reply-to", given->reply_to, "URL that is called with the result");
  command.option("--priority", given->priority, "0 to 9; higher ones leave first", {0, 9});
  command.option("--delay", given->delay, "Not delivered earlier than after this");
  command.option("--ttl", given->ttl, "Expires when not done within this; 0s never");
  command.option("--wait", given->wait,
                 "Wait so long for the result, and print it instead of the id");
  command.when_chosen([&choice, given] { choice.run = [given] { return send(*given); }; });
}

}  // namespace weir
