#include <weir/serve/submit_fields.hpp>

#include <weir/base/text.hpp>
#include <weir/broker/broker_command.hpp>
#include <weir/serve/internal/json_reader.hpp>
#include <weir/wire/base64.hpp>
#include <weir/wire/url.hpp>

#include <boost/json/array.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

namespace weir {

namespace json = boost::json;

namespace {

constexpr std::string_view field_prefix = "weir-";
constexpr std::array<std::string_view, 5> known_fields{"Weir-Delay", "Weir-Key", "Weir-Priority",
                                                       "Weir-Reply-To", "Weir-Ttl"};
// What pushes and replies carry: a queue may be where one of them goes.
constexpr std::array<std::string_view, 3> fields_of_calls{"Weir-Attempt", "Weir-Id", "Weir-Queue"};

api_problem bad_field(std::string_view what, std::string_view rule) {
  return {.status = 400, .code = "invalid_field", .detail = fmt::format("{} {}", what, rule)};
}

/// The rules of the values, wherever they come from. `what` names the field in the problem.
std::optional<api_problem> check_length(std::string_view what, duration length) {
  if (length <= setting_duration_max) return std::nullopt;
  return bad_field(what, fmt::format("must be at most {}", format_duration(setting_duration_max)));
}

std::optional<api_problem> check_priority(std::string_view what, std::uint64_t priority) {
  if (priority <= priority_max) return std::nullopt;
  return bad_field(what, fmt::format("must be a whole number from 0 to {}", priority_max));
}

std::optional<api_problem> check_text(std::string_view what, std::string_view text,
                                      std::size_t bytes_max) {
  if (text.empty() || text.size() > bytes_max) {
    return bad_field(what, fmt::format("must have 1 to {} bytes", bytes_max));
  }
  if (std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; })) {
    return bad_field(what, "must not have control characters");
  }
  return std::nullopt;
}

bool is_ours(std::string_view name) {
  return name.size() >= field_prefix.size() &&
         equal_ignoring_case(name.substr(0, field_prefix.size()), field_prefix);
}

/// Reads fields one after another; the first problem stays.
class submit_field_reader {
 public:
  explicit submit_field_reader(const http_fields& from) : from_(from) {}

  void length(std::string_view name, auto& out) {
    const std::optional<std::string_view> text = once(name);
    if (!text) return;
    const result<duration> parsed = parse_duration(*text);
    if (!parsed) {
      problem =
          bad_field(quoted(name), fmt::format("is no duration: {}", parsed.error().message()));
      return;
    }
    problem = check_length(quoted(name), *parsed);
    out = *parsed;
  }
  void priority(std::string_view name, unsigned& out) {
    const std::optional<std::string_view> text = once(name);
    if (!text) return;
    const std::uint64_t number = parse_number(*text).value_or(UINT64_MAX);
    problem = check_priority(quoted(name), number);
    out = static_cast<unsigned>(number);
  }
  void text(std::string_view name, std::size_t bytes_max, std::string_view& out) {
    const std::optional<std::string_view> text = once(name);
    if (!text) return;
    problem = check_text(quoted(name), *text, bytes_max);
    out = *text;
  }
  void address(std::string_view name, std::string_view& out) {
    const std::optional<std::string_view> text = once(name);
    if (!text) return;
    problem = check_address(quoted(name), "invalid_field", *text);
    out = *text;
  }
  void refuse_unknown() {
    for (const http_field& field : from_) {
      if (problem) return;
      const std::string_view name = field.name;
      if (!is_ours(name)) continue;
      const auto is_it = [&](std::string_view known) { return equal_ignoring_case(known, name); };
      if (std::ranges::any_of(known_fields, is_it)) continue;
      if (std::ranges::any_of(fields_of_calls, is_it)) continue;
      problem =
          api_problem{.status = 400,
                      .code = "unknown_field",
                      .detail = fmt::format("unknown field '{}'; known are: {}",
                                            name.substr(0, 100), fmt::join(known_fields, ", "))};
    }
  }

  std::optional<api_problem> problem;

 private:
  static std::string quoted(std::string_view name) { return fmt::format("field '{}'", name); }

  std::optional<std::string_view> once(std::string_view name) {
    if (problem) return std::nullopt;
    const std::size_t count = from_.count_of(name);
    if (count > 1) problem = bad_field(quoted(name), "must be given once");
    return count == 1 ? std::optional(from_.value_of(name)) : std::nullopt;
  }

  const http_fields& from_;
};

/// A body as its encoding says; the names are those of the fields.
std::optional<api_problem> decode_body(std::string_view encoding, std::string& body,
                                       std::string_view body_name, std::string_view encoding_name) {
  if (encoding == "text") return std::nullopt;
  if (encoding != "base64") return bad_field(encoding_name, "must be text or base64");
  result<std::string> decoded = decode_base64(body, body.size());
  if (!decoded) return bad_field(body_name, "is no base64 with padding");
  body = std::move(*decoded);
  return std::nullopt;
}

std::string_view type_of(std::string_view encoding) {
  return encoding == "text" ? "text/plain; charset=utf-8" : default_media_type;
}

/// One element of a batch's array.
answer<batch_message> read_batch_message(const json::value& value, const std::string& path) {
  std::optional<api_problem> problem;
  detail::json_reader from(value.get_object(), problem, {}, path);
  batch_message out;
  std::string encoding = "text";
  std::uint64_t priority = 0;
  duration ttl;
  const bool has_body = from.text("body", out.body);
  from.text("encoding", encoding);
  const bool has_type = from.text("content_type", out.content_type);
  const bool has_key = from.text("key", out.key);
  const bool has_reply = from.text("reply_to", out.reply_to);
  from.whole("priority", UINT64_MAX, priority);
  from.length("delay", out.delay);
  if (from.length("ttl", ttl)) out.ttl = ttl;
  from.finish();
  out.priority = static_cast<unsigned>(std::min<std::uint64_t>(priority, priority_max));

  const auto note = [&](std::optional<api_problem> found) {
    if (!problem) problem = std::move(found);
  };
  const auto quoted = [&](std::string_view name) {
    return fmt::format("field '{}.{}'", path, name);
  };
  if (!has_body) note(bad_field(quoted("body"), "is needed"));
  note(check_priority(quoted("priority"), priority));
  note(check_length(quoted("delay"), out.delay));
  if (out.ttl) note(check_length(quoted("ttl"), *out.ttl));
  if (has_key) note(check_text(quoted("key"), out.key, key_bytes_max));
  if (has_type) note(check_content_type(quoted("content_type"), out.content_type));
  if (has_reply) note(check_address(quoted("reply_to"), "invalid_field", out.reply_to));
  note(decode_body(encoding, out.body, quoted("body"), quoted("encoding")));
  if (!has_type) out.content_type = type_of(encoding);
  if (problem) return std::unexpected(std::move(*problem));
  return out;
}

/// One element of an array of acknowledgements.
answer<batch_ack> read_batch_ack(const json::value& value, const std::string& path) {
  std::optional<api_problem> problem;
  detail::json_reader from(value.get_object(), problem, {}, path);
  batch_ack out;
  std::string encoding = "text";
  if (!from.text("receipt", out.receipt)) from.refuse("receipt", "is needed");
  from.text("result", out.result);
  from.text("encoding", encoding);
  const bool has_type = from.text("content_type", out.content_type);
  from.finish();
  const auto quoted = [&](std::string_view name) {
    return fmt::format("field '{}.{}'", path, name);
  };
  if (!problem && has_type) {
    problem = check_content_type(quoted("content_type"), out.content_type);
  }
  if (!problem) {
    problem = decode_body(encoding, out.result, quoted("result"), quoted("encoding"));
  }
  if (!has_type) out.content_type = type_of(encoding);
  if (problem) return std::unexpected(std::move(*problem));
  return out;
}

/// The objects of the one array that a batch is.
template <class Item>
answer<std::vector<answer<Item>>> read_items(std::string_view text, std::string_view field,
                                             std::string_view noun, std::size_t items_max,
                                             answer<Item> (*read)(const json::value&,
                                                                  const std::string&)) {
  answer<json::object> object = detail::parse_json_object(text, "the body");
  if (!object) return std::unexpected(std::move(object.error()));
  std::optional<api_problem> problem;
  detail::json_reader from(*object, problem);
  const json::array* items = from.array(field);
  from.finish();
  if (!items) from.refuse(field, fmt::format("is needed: an array of {}s", noun));
  if (items && items->empty()) from.refuse(field, fmt::format("must have at least one {}", noun));
  if (problem) return std::unexpected(std::move(*problem));
  if (items->size() > items_max) {
    return refused(
        413, fmt::format("too_many_{}s", noun),
        fmt::format("the batch has {} {}s, {} are allowed", items->size(), noun, items_max));
  }
  std::vector<answer<Item>> out;
  out.reserve(items->size());
  for (const json::value& one : *items) {
    const std::string path = fmt::format("{}[{}]", field, out.size());
    if (one.is_object()) {
      out.push_back(read(one, path));
    } else {
      out.push_back(
          refused(400, "invalid_field", fmt::format("field '{}' must be an object", path)));
    }
  }
  return out;
}

}  // namespace

answer<submit_fields> read_submit_fields(const http_fields& fields) {
  submit_field_reader from(fields);
  submit_fields out{.content_type = default_media_type};
  from.refuse_unknown();
  from.text("Content-Type", content_type_bytes_max, out.content_type);
  from.length("Weir-Delay", out.delay);
  from.priority("Weir-Priority", out.priority);
  from.text("Weir-Key", key_bytes_max, out.key);
  from.address("Weir-Reply-To", out.reply_to);
  from.length("Weir-Ttl", out.ttl);
  if (from.problem) return std::unexpected(std::move(*from.problem));
  return out;
}

std::optional<api_problem> check_no_submit_fields(const http_fields& fields) {
  for (const http_field& field : fields) {
    if (!is_ours(field.name)) continue;
    return api_problem{
        .status = 400,
        .code = "unknown_field",
        .detail = fmt::format("field '{}' means nothing at this path: such fields go with a "
                              "message that is submitted alone",
                              field.name.substr(0, 100))};
  }
  return std::nullopt;
}

std::optional<api_problem> check_content_type(std::string_view what, std::string_view type) {
  return check_text(what, type, content_type_bytes_max);
}

std::optional<api_problem> check_address(std::string_view what, std::string_view code,
                                         std::string_view url) {
  const auto refuse_it = [&](std::string_view rule) {
    return api_problem{
        .status = 400, .code = std::string(code), .detail = fmt::format("{} {}", what, rule)};
  };
  if (url.size() > url_bytes_max) {
    return refuse_it(fmt::format("must have at most {} bytes", url_bytes_max));
  }
  const auto parsed = parse_url(url);
  if (!parsed) return refuse_it(fmt::format("is no URL: {}", parsed.error().message()));
  return std::nullopt;
}

answer<std::vector<answer<batch_message>>> read_batch(std::string_view text,
                                                      std::size_t messages_max) {
  return read_items<batch_message>(text, "messages", "message", messages_max, read_batch_message);
}

answer<std::vector<answer<batch_ack>>> read_acks(std::string_view text, std::size_t acks_max) {
  return read_items<batch_ack>(text, "acks", "ack", acks_max, read_batch_ack);
}

}  // namespace weir
