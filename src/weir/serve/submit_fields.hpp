// What a producer says about a message in the fields of its request: Weir-Delay, Weir-Priority,
// Weir-Key, Weir-Reply-To, Weir-Ttl and Content-Type. The members of a batch have the same names
// and the same rules, so both are judged here.
#pragma once

#include <weir/base/time.hpp>
#include <weir/serve/api_problem.hpp>
#include <weir/wire/http_head.hpp>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// The options of one message. The views are into what they were read from.
struct submit_fields {
  std::string_view content_type;
  unsigned priority = 0;
  duration delay{};
  std::optional<duration> ttl{};
  std::string_view key{};
  std::string_view reply_to{};

  bool operator==(const submit_fields&) const = default;
};

constexpr std::string_view default_media_type = "application/octet-stream";

/// From the fields of a request. A field that is there twice, a Weir- field that we don't know and
/// a value out of range are refused with `invalid_field` or `unknown_field` and the field's name.
/// Those that our own calls carry (Weir-Id, Weir-Attempt, Weir-Queue) are let pass, and not kept.
answer<submit_fields> read_submit_fields(const http_fields& fields);

/// For requests that submit no message, or several: no Weir- field means anything there.
std::optional<api_problem> check_no_submit_fields(const http_fields& fields);

/// The rule of each media type that is kept, whoever gave it; the problem names `what`.
std::optional<api_problem> check_content_type(std::string_view what, std::string_view type);

/// A reply address or push address must be an http or https URL that wire::parse_url takes. The
/// problem names `what` ("field 'Weir-Reply-To'").
std::optional<api_problem> check_address(std::string_view what, std::string_view code,
                                         std::string_view url);

/// One message of a batch, with its body decoded.
struct batch_message {
  std::string body;
  std::string content_type;
  std::string key;
  std::string reply_to;
  unsigned priority = 0;
  duration delay{};
  std::optional<duration> ttl{};
};

/// The messages of {"messages":[{"body", "encoding", "content_type", "delay", "priority", "key",
/// "reply_to", "ttl"}]}. A message that breaks a rule has its problem in its place: the others are
/// taken. A body that is no such object is refused as a whole.
answer<std::vector<answer<batch_message>>> read_batch(std::string_view json,
                                                      std::size_t messages_max);

/// One acknowledgement of a batch, with its result decoded.
struct batch_ack {
  std::string receipt;
  std::string result;
  std::string content_type;
};

/// The acknowledgements of {"acks":[{"receipt", "result", "encoding", "content_type"}]}, by the
/// same rules.
answer<std::vector<answer<batch_ack>>> read_acks(std::string_view json, std::size_t acks_max);

}  // namespace weir
