#include <weir/serve/internal/json_reader.hpp>

#include <weir/base/text.hpp>

#include <boost/json/parse.hpp>
#include <boost/json/stream_parser.hpp>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <functional>
#include <set>

namespace weir::detail {

namespace json = boost::json;

namespace {

/// The quote that ends the string which begins before `at`, or the end of the text.
std::size_t string_end(std::string_view text, std::size_t at) {
  for (std::size_t from = at;; ++at) {
    at = text.find('"', at);
    if (at == std::string_view::npos) return text.size();
    std::size_t backslashes = 0;
    while (at - backslashes > from && text[at - backslashes - 1] == '\\') ++backslashes;
    if (backslashes % 2 == 0) return at;
    from = at;
  }
}

/// How often `what` stands outside of strings, counted up to one more than `most`.
std::size_t count_outside_strings(std::string_view text, char what, std::size_t most) {
  std::size_t count = 0;
  for (std::size_t at = 0; at < text.size() && count <= most; ++at) {
    if (text[at] == '"') {
      at = string_end(text, at + 1);
    } else if (text[at] == what) {
      ++count;
    }
  }
  return count;
}

/// Counted before anything is parsed, and so before anything takes memory.
bool has_too_many_commas(std::string_view text) {
  return text.size() > json_commas_max &&
         count_outside_strings(text, ',', json_commas_max) > json_commas_max;
}

/// The fields of all objects in a value.
std::size_t fields_in(const json::value& of) {
  std::size_t count = 0;
  if (const json::array* const list = of.if_array()) {
    for (const json::value& one : *list) count += fields_in(one);
  } else if (const json::object* const object = of.if_object()) {
    count = object->size();
    for (const auto& one : *object) count += fields_in(one.value());
  }
  return count;
}

/// The first field of a well-formed text that its object has already, with those around it:
/// "push.rate". Empty when there is none.
std::string repeated_field(std::string_view text) {
  struct open_object {
    std::set<std::string, std::less<>> seen = {};
    std::string last = {};
  };
  std::vector<open_object> open;
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '{') open.emplace_back();
    if (text[at] == '}') open.pop_back();
    if (text[at] != '"') continue;
    const std::size_t end = string_end(text, at + 1);
    const std::string_view quoted = text.substr(at, end + 1 - at);
    at = end;
    const std::size_t behind = text.find_first_not_of(" \t\r\n", end + 1);
    if (behind == std::string_view::npos || text[behind] != ':') continue;
    open.back().last = std::string_view(json::parse(quoted).get_string());
    if (open.back().seen.insert(open.back().last).second) continue;
    std::string name;
    for (const open_object& one : open) name += (name.empty() ? "" : ".") + one.last;
    return name;
  }
  return {};
}

}  // namespace

answer<json::value> parse_json(std::string_view text, std::string_view what) {
  if (has_too_many_commas(text)) {
    return refused(400, "invalid_json",
                   fmt::format("{} has more than {} values", what, json_commas_max));
  }
  json::parse_options options;
  options.max_depth = json_depth_max;
  boost::system::error_code failure;
  json::stream_parser parser({}, options);
  const std::size_t read = parser.write_some(text.data(), text.size(), failure);
  if (!failure && read < text.size()) failure = json::error::extra_data;
  if (!failure) parser.finish(failure);
  if (failure) {
    return refused(400, "invalid_json",
                   fmt::format("{} is no JSON: {} at byte {}", what, failure.message(), read));
  }
  return parser.release();
}

answer<json::object> parse_json_object(std::string_view text, std::string_view what) {
  answer<json::value> value = parse_json(text, what);
  if (!value) return std::unexpected(std::move(value.error()));
  if (!value->is_object()) {
    return refused(400, "invalid_json", fmt::format("{} must be a JSON object", what));
  }
  // Boost.JSON keeps the last of them and does not tell. Each field has a colon.
  if (count_outside_strings(text, ':', text.size()) != fields_in(*value)) {
    return refused(
        400, "invalid_json",
        fmt::format("{} has the field '{}' twice", what, repeated_field(text).substr(0, 100)));
  }
  return std::move(value->get_object());
}

std::string json_reader::full_name(std::string_view field) const {
  return path_.empty() ? std::string(field) : fmt::format("{}.{}", path_, field);
}

void json_reader::refuse(std::string_view field, std::string_view rule) {
  if (problem_) return;
  problem_ = api_problem{.status = 400,
                         .code = std::string(words_.code),
                         .detail = fmt::format("{} '{}' {}", words_.noun, full_name(field), rule)};
}

const json::value* json_reader::any(std::string_view field) {
  if (std::ranges::find(known_, field) == known_.end()) known_.push_back(field);
  return problem_ ? nullptr : from_.if_contains(field);
}

const json::value* json_reader::find(std::string_view field) {
  const json::value* value = any(field);
  return value && !value->is_null() ? value : nullptr;
}

bool json_reader::is_null(std::string_view field) {
  const json::value* value = any(field);
  return value && value->is_null();
}

bool json_reader::text(std::string_view field, std::string& out) {
  const json::value* value = find(field);
  if (!value) return false;
  if (!value->is_string()) return refuse(field, "must be a string"), false;
  out = std::string_view(value->get_string());
  return true;
}

bool json_reader::whole(std::string_view field, std::uint64_t max, std::uint64_t& out,
                        std::uint64_t min) {
  const json::value* value = find(field);
  if (!value) return false;
  // 1e3 and 2.0 arrive as doubles and are whole numbers as well.
  boost::system::error_code failure;
  const auto number = value->to_number<std::uint64_t>(failure);
  if (!value->is_number() || failure || number > max || number < min) {
    refuse(field, max == UINT64_MAX
                      ? std::string("must be a whole number, not negative")
                      : fmt::format("must be a whole number from {} to {}", min, max));
    return false;
  }
  out = number;
  return true;
}

bool json_reader::real(std::string_view field, double& out) {
  const json::value* value = find(field);
  if (!value) return false;
  if (!value->is_number()) return refuse(field, "must be a number"), false;
  out = value->to_number<double>();
  // Six decimals are enough for a share or a factor, and the parser is right to some fifteen digits
  // only: with more, what a user reads back and sets again would be another number.
  constexpr double steps = 1e6;
  if (std::abs(out) < 1e9) out = std::round(out * steps) / steps;
  return true;
}

bool json_reader::length(std::string_view field, duration& out) {
  const json::value* value = find(field);
  if (!value) return false;
  if (!value->is_string()) {
    return refuse(field, "must be a duration in a string, such as \"250ms\", \"30s\" or \"7d\""),
           false;
  }
  const result<duration> parsed = parse_duration(std::string_view(value->get_string()));
  if (!parsed)
    return refuse(field, fmt::format("is no duration: {}", parsed.error().message())), false;
  out = *parsed;
  return true;
}

const json::object* json_reader::object(std::string_view field) {
  const json::value* value = find(field);
  if (!value) return nullptr;
  if (!value->is_object()) return refuse(field, "must be an object"), nullptr;
  return &value->get_object();
}

const json::array* json_reader::array(std::string_view field) {
  const json::value* value = find(field);
  if (!value) return nullptr;
  if (!value->is_array()) return refuse(field, "must be an array"), nullptr;
  return &value->get_array();
}

json_reader json_reader::child(const json::object& of, std::string_view field) const {
  return json_reader(of, problem_, words_, full_name(field));
}

void json_reader::finish() {
  if (problem_) return;
  for (const auto& entry : from_) {
    const std::string_view given = entry.key();
    if (std::ranges::find(known_, given) != known_.end()) continue;
    std::ranges::sort(known_);
    problem_ = api_problem{
        .status = 400,
        .code = std::string(words_.unknown),
        .detail = fmt::format("unknown {} '{}'; known are: {}", words_.noun,
                              full_name(given.substr(0, 100)), fmt::join(known_, ", "))};
    return;
  }
}

}  // namespace weir::detail
