#include <weir/serve/json_writer.hpp>

#include <weir/base/assert.hpp>
#include <weir/wire/utf8.hpp>

#include <fmt/format.h>

#include <cstdint>
#include <cstring>
#include <iterator>
#include <utility>

namespace weir {

namespace {

void append_json_char(std::string& out, char c) {
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

/// True when none of eight characters needs an escape. The borrow of a subtraction may only make a
/// neighbour of one that does look like another.
bool is_plain(std::string_view text, std::size_t at) {
  constexpr std::uint64_t ones = 0x0101'0101'0101'0101;
  constexpr std::uint64_t tops = ones * 0x80;
  std::uint64_t word;
  std::memcpy(&word, text.data() + at, sizeof word);
  const auto has_below = [&](std::uint64_t in, std::uint64_t limit) {
    return (in - ones * limit) & ~in & tops;
  };
  return (has_below(word, 0x20) | has_below(word ^ ones * '"', 1) |
          has_below(word ^ ones * '\\', 1) | has_below(word ^ ones * 0x7f, 1)) == 0;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  std::string repaired;
  if (!is_utf8(text)) text = repaired = repair_utf8(text);
  out += '"';
  std::size_t plain = 0;  // where the run of characters that need no escape began
  for (std::size_t at = 0;; ++at) {
    while (at + 8 <= text.size() && is_plain(text, at)) at += 8;
    if (at == text.size()) break;
    const auto c = static_cast<unsigned char>(text[at]);
    if (c >= 0x20 && c != '"' && c != '\\' && c != 0x7f) continue;
    out += text.substr(plain, at - plain);
    append_json_char(out, text[at]);
    plain = at + 1;
  }
  out += text.substr(plain);
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
