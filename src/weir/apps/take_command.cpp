// weir take QUEUE
#include <weir/apps/api_client.hpp>
#include <weir/apps/command.hpp>
#include <weir/apps/message_text.hpp>
#include <weir/apps/table_text.hpp>
#include <weir/base/text.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fmt/format.h>

#include <memory>

namespace weir {

namespace {

struct take_settings {
  caller_options client;
  std::string queue;
  unsigned max = 1;
  duration wait;
  bool ack = false;
  bool raw = false;
};

constexpr std::size_t preview_bytes = 60;

std::string text_of(const boost::json::value& message, std::string_view field) {
  return std::string(std::string_view(message.at(field).as_string()));
}

std::string table_of(const boost::json::array& messages) {
  table_text table({{"ID"}, {"RECEIPT"}, {"ATTEMPT", column_align::right}, {"DEADLINE"}, {"BODY"}});
  for (const boost::json::value& one : messages) {
    std::string body = text_of(one, "body");
    if (body.size() > preview_bytes) {
      std::size_t cut = preview_bytes;
      while (cut > 0 && (static_cast<unsigned char>(body[cut]) & 0xc0) == 0x80) --cut;
      body.resize(cut);
      body += "...";
    }
    if (text_of(one, "encoding") == "base64") body.insert(0, "base64:");
    table.add({text_of(one, "id"), text_of(one, "receipt"),
               std::to_string(one.at("attempt").to_number<std::uint64_t>()),
               text_of(one, "deadline"), body});
  }
  return table.text();
}

std::string bodies_of(const boost::json::array& messages) {
  std::string out;
  for (const boost::json::value& one : messages) {
    out += decoded_bytes(text_of(one, "body"), text_of(one, "encoding"));
  }
  return out;
}

struct leased {
  api_reply reply;
  boost::json::value answer;
  const boost::json::array& messages() const { return answer.at("messages").as_array(); }
};

leased lease(const take_settings& given) {
  leased got;
  ask_again_for(given.wait, [&](duration piece) {
    got.reply = call_server(
        given.client, {.method = "POST",
                       .path = fmt::format("/v1/queues/{}/leases?max={}&wait={}",
                                           encoded(given.queue), given.max, format_duration(piece)),
                       .patience = piece + duration::seconds(30)});
    bool has_some = false;
    read_answer(got.reply, [&](std::string_view json) {
      got.answer = boost::json::parse(boost::json::string_view(json));
      has_some = !got.messages().empty();
    });
    return has_some;
  });
  return got;
}

/// All at once; those that are refused are told when the others are acknowledged.
void acknowledge(const take_settings& given, const boost::json::array& messages) {
  boost::json::array acks;
  for (const boost::json::value& one : messages)
    acks.push_back(boost::json::object{{"receipt", one.at("receipt")}});
  const api_reply reply = call_server(
      given.client, {.method = "POST",
                     .path = "/v1/leases:ack",
                     .fields = {{"Content-Type", "application/json"}},
                     .body = boost::json::serialize(boost::json::object{{"acks", acks}})});
  std::size_t refused = 0;
  std::string why;
  read_answer(reply, [&](std::string_view json) {
    const boost::json::value answer = boost::json::parse(boost::json::string_view(json));
    for (const boost::json::value& one : answer.at("acks").as_array()) {
      if (one.at("status").to_number<int>() < 400) continue;
      if (refused++ != 0) continue;
      why = fmt::format("{} ({})", text_of(one, "detail"), text_of(one, "code"));
    }
  });
  if (refused == 0) return;
  throw command_failure{
      exit_code::refused,
      refused == 1 ? fmt::format("a message was not acknowledged: {}", why)
                   : fmt::format("{} messages were not acknowledged; the first: {}", refused, why)};
}

exit_code take(const take_settings& given) {
  if (given.client.json && given.raw) {
    throw command_failure{exit_code::usage,
                          "take: --raw and --json don't go together (see `weir take --help`)"};
  }
  const leased got = lease(given);
  const boost::json::array& messages = got.messages();
  std::string text;
  read_answer(got.reply, [&](std::string_view) {
    if (!messages.empty()) text = given.raw ? bodies_of(messages) : table_of(messages);
  });
  if (given.client.json) text = got.reply.body;
  if (!text.empty()) print(text);
  if (messages.empty()) throw command_failure{exit_code::nothing, "no message is ready"};
  // Acknowledged only after they were printed: a closed pipe must not lose them.
  if (given.ack) acknowledge(given, messages);
  return exit_code::ok;
}

}  // namespace

void add_take_command(command_syntax app, command_choice& choice) {
  const command_syntax command = app.subcommand("take", "Take messages: they are leased to you");
  command.footer("Example:\n  weir take mails --ack --raw > letter.txt");
  const auto given = std::make_shared<take_settings>();
  given->client.add_to(command);
  command.option("queue", given->queue, "The queue's name").required();
  command.option("--max", given->max, "At most so many (default 1)", {1, 1000});
  command.option("--wait", given->wait, "Wait so long for a message");
  command.flag("--ack", given->ack, "Acknowledge them, with an empty result, once printed");
  command.flag("--raw", given->raw, "Print the bodies as they are and nothing else");
  command.when_chosen([&choice, given] { choice.run = [given] { return take(*given); }; });
}

}  // namespace weir
