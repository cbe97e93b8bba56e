#include <weir/serve/json_writer.hpp>

#include <weir/base/assert.hpp>

#include <fmt/format.h>

#include <iterator>
#include <utility>

namespace weir {

namespace {

/// The length of the UTF-8 sequence at the front of `text` (table 3-7 of the Unicode standard); 0
/// when there is none.
std::size_t sequence_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t at) { return static_cast<unsigned char>(text[at]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return 1;
  std::size_t length = 0;
  unsigned char low = 0x80;
  unsigned char high = 0xbf;
  if (lead >= 0xc2 && lead <= 0xdf) {
    length = 2;
  } else if (lead >= 0xe0 && lead <= 0xef) {
    length = 3;
    if (lead == 0xe0) low = 0xa0;
    if (lead == 0xed) high = 0x9f;
  } else if (lead >= 0xf0 && lead <= 0xf4) {
    length = 4;
    if (lead == 0xf0) low = 0x90;
    if (lead == 0xf4) high = 0x8f;
  } else {
    return 0;
  }
  if (text.size() < length || byte(1) < low || byte(1) > high) return 0;
  for (std::size_t at = 2; at < length; ++at) {
    if ((byte(at) & 0xc0) != 0x80) return 0;
  }
  return length;
}

void append_escaped(std::string& out, char c) {
  switch (c) {
    case '"':
      out += "\\\"";
      return;
    case '\\':
      out += "\\\\";
      return;
    case '\n':
      out += "\\n";
      return;
    case '\r':
      out += "\\r";
      return;
    case '\t':
      out += "\\t";
      return;
    default:
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", static_cast<unsigned char>(c));
  }
}

}  // namespace

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

void append_json_string(std::string& out, std::string_view text) {
  out += '"';
  while (!text.empty()) {
    const std::size_t length = sequence_length(text);
    const auto c = static_cast<unsigned char>(text.front());
    if (length == 0) {
      out += "\xef\xbf\xbd";
    } else if (length == 1 && (c < 0x20 || c == '"' || c == '\\' || c == 0x7f)) {
      append_escaped(out, text.front());
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out += '"';
}

void json_writer::comma() {
  if (!is_first_) out_ += ',';
  is_first_ = false;
}

void json_writer::key(std::string_view name) {
  comma();
  append_json_string(out_, name);
  out_ += ':';
}

void json_writer::open(char bracket) {
  out_ += bracket;
  ++depth_;
  is_first_ = true;
}

void json_writer::close(char bracket) {
  WEIR_ASSERT(depth_ > 0);
  out_ += bracket;
  --depth_;
  is_first_ = false;
}

json_writer& json_writer::begin_object() {
  comma();
  open('{');
  return *this;
}

json_writer& json_writer::begin_object(std::string_view field) {
  key(field);
  open('{');
  return *this;
}

json_writer& json_writer::begin_array(std::string_view field) {
  key(field);
  open('[');
  return *this;
}

json_writer& json_writer::end_object() {
  close('}');
  return *this;
}

json_writer& json_writer::end_array() {
  close(']');
  return *this;
}

json_writer& json_writer::field(std::string_view name, std::string_view value) {
  key(name);
  append_json_string(out_, value);
  return *this;
}

json_writer& json_writer::field(std::string_view name, double value) {
  return raw_field(name, fmt::format("{}", value));
}

json_writer& json_writer::raw_field(std::string_view name, std::string_view json) {
  key(name);
  out_ += json;
  return *this;
}

json_writer& json_writer::number(std::string_view name, std::uint64_t value) {
  return raw_field(name, fmt::format_int(value).c_str());
}

json_writer& json_writer::signed_number(std::string_view name, std::int64_t value) {
  return raw_field(name, fmt::format_int(value).c_str());
}

std::string json_writer::take() {
  WEIR_ASSERT(depth_ == 0);
  out_ += '\n';
  is_first_ = true;
  return std::exchange(out_, {});
}

}  // namespace weir
