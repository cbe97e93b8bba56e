// Bodies and results out of the JSON of a message.
#pragma once

#include <weir/apps/command.hpp>

#include <string>
#include <string_view>

namespace weir {

/// The bytes of a member "body" or "result" with its encoding; empty when it is null.
std::string decoded_bytes(std::string_view text, std::string_view encoding);

/// How a message ended, for an exit code: `json` is the answer of GET /v1/messages/{id}.
struct message_end {
  exit_code code = exit_code::nothing;  // ok: done; bad_end: dead or expired; nothing: not yet
  std::string result;
  std::string text;  // why there is no result, for people
};
message_end read_message_end(std::string_view json);

/// Waits in pieces that the server allows until the message has ended or `patience` is over, and
/// prints the result (or, with --json, the message).
struct caller_options;
exit_code wait_for_end(const caller_options& options, std::string_view id, duration patience);

}  // namespace weir
