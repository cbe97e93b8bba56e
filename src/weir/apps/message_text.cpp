#include <weir/apps/message_text.hpp>

#include <weir/apps/api_client.hpp>
#include <weir/base/text.hpp>
#include <weir/wire/base64.hpp>

#include <boost/json/parse.hpp>
#include <fmt/format.h>

namespace weir {

namespace {

std::string text_of(const boost::json::value& message, std::string_view field) {
  const auto* value = message.as_object().if_contains(field);
  return value && value->is_string() ? std::string(std::string_view(value->get_string())) : "";
}

}  // namespace

std::string decoded_bytes(std::string_view text, std::string_view encoding) {
  if (encoding != "base64") return std::string(text);
  return value_or_raise(decode_base64(text, text.size()));
}

message_end read_message_end(std::string_view json) {
  const boost::json::value message = boost::json::parse(boost::json::string_view(json));
  const std::string state(std::string_view(message.at("state").as_string()));
  message_end end;
  if (state == "done") {
    end.code = exit_code::ok;
    end.result = decoded_bytes(text_of(message, "result"), text_of(message, "result_encoding"));
  } else if (state == "dead" || state == "expired") {
    const std::string why = text_of(message, "last_error");
    end.code = exit_code::bad_end;
    end.text = fmt::format("the message is {}{}{}", state, why.empty() ? "" : ": ", why);
  } else {
    end.text = fmt::format("message {} has not ended yet: it is {}", text_of(message, "id"), state);
  }
  return end;
}

exit_code wait_for_end(const caller_options& options, std::string_view id, duration patience) {
  api_reply reply;
  message_end end;
  ask_again_for(patience, [&](duration piece) {
    reply = call_server(options, {.path = fmt::format("/v1/messages/{}?wait={}", encoded(id),
                                                      format_duration(piece)),
                                  .patience = piece + duration::seconds(30)});
    read_answer(reply, [&end](std::string_view json) { end = read_message_end(json); });
    return end.code != exit_code::nothing;
  });
  if (options.json) print(reply.body);
  if (end.code == exit_code::ok && !options.json) print(end.result);
  if (end.code != exit_code::ok) throw command_failure{end.code, end.text};
  return end.code;
}

}  // namespace weir
