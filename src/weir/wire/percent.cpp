#include <weir/wire/percent.hpp>

#include <weir/wire/internal/hex_value.hpp>

#include <algorithm>

namespace weir {

namespace {
bool is_unreserved(char c) {  // RFC 3986, 2.3
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

// Takes the part before `separator` off the front of `rest`.
std::string_view cut(std::string_view& rest, char separator) {
  const std::size_t end = std::min(rest.find(separator), rest.size());
  const std::string_view part = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return part;
}
}  // namespace

result<std::string> percent_decode(std::string_view text, plus_rule plus) {
  std::string decoded;
  decoded.reserve(text.size());
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '+' && plus == plus_rule::space) {
      decoded += ' ';
      continue;
    }
    if (text[at] == '\0') return fail(errc::malformed, "a URL must not hold a zero byte");
    if (text[at] != '%') {
      decoded += text[at];
      continue;
    }
    const int high = at + 2 < text.size() ? detail::hex_value(text[at + 1]) : -1;
    const int low = at + 2 < text.size() ? detail::hex_value(text[at + 2]) : -1;
    if (high < 0 || low < 0) {
      return fail(errc::malformed, "a percent sign in a URL must be followed by two hex digits");
    }
    if (high + low == 0) return fail(errc::malformed, "a URL must not hold a zero byte");
    decoded += static_cast<char>(high * 16 + low);
    at += 2;
  }
  return decoded;
}

void append_percent_encoded(std::string& out, std::string_view text) {
  constexpr std::string_view digits = "0123456789ABCDEF";
  for (char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      const auto byte = static_cast<unsigned char>(c);
      ((out += '%') += digits[byte >> 4]) += digits[byte & 15];
    }
  }
}

result<std::vector<std::string>> split_path(std::string_view path) {
  if (!path.starts_with('/')) return fail(errc::malformed, "a path must start with a slash");
  path.remove_prefix(1);
  std::vector<std::string> segments;
  bool is_last = false;
  while (!is_last) {
    is_last = path.find('/') == std::string_view::npos;
    if (segments.size() == path_segments_max) {
      return fail(errc::too_large, "the path has too many segments");
    }
    auto segment = percent_decode(cut(path, '/'));
    if (!segment) return fail(std::move(segment.error()));
    segments.push_back(std::move(*segment));
  }
  return segments;
}

result<std::vector<query_parameter>> parse_query(std::string_view query) {
  std::vector<query_parameter> parameters;
  while (!query.empty()) {
    std::string_view part = cut(query, '&');
    if (part.empty()) continue;
    if (parameters.size() == query_parameters_max) {
      return fail(errc::too_large, "the query has too many parameters");
    }
    auto name = percent_decode(cut(part, '='), plus_rule::space);
    if (!name) return fail(std::move(name.error()));
    auto value = percent_decode(part, plus_rule::space);
    if (!value) return fail(std::move(value.error()));
    if (std::ranges::find(parameters, *name, &query_parameter::name) != parameters.end()) {
      return fail(errc::malformed, "the query has a parameter twice");
    }
    parameters.push_back({std::move(*name), std::move(*value)});
  }
  return parameters;
}

}  // namespace weir
