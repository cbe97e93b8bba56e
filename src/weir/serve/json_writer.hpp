// Writing JSON as text, front to back, without a tree in memory: answers hold message bodies, which
// are large. Bytes that are no UTF-8 become U+FFFD, so that what leaves is always valid JSON.
#pragma once

#include <concepts>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

/// Appends JSON to a string, with commas where they belong.
///
/// Cancel:  plain value, no waits.
/// Order:   members and items stand in the order of the calls.
/// Bound:   the text, which grows with what is written.
/// Errors:  none; nesting that doesn't close is a bug of the caller and stops the process in
///          take().
/// Threads: one at a time.
class json_writer {
 public:
  json_writer& begin_object();
  json_writer& begin_object(std::string_view field);
  json_writer& begin_array(std::string_view field);
  json_writer& end_object();
  json_writer& end_array();

  json_writer& field(std::string_view name, std::string_view value);
  json_writer& field(std::string_view name, const char* value) {
    return field(name, std::string_view(value));
  }
  json_writer& field(std::string_view name, std::same_as<bool> auto value) {
    return raw_field(name, value ? "true" : "false");
  }
  json_writer& field(std::string_view name, std::unsigned_integral auto value)
    requires(!std::same_as<decltype(value), bool>)
  {
    return number(name, static_cast<std::uint64_t>(value));
  }
  json_writer& field(std::string_view name, std::signed_integral auto value) {
    return signed_number(name, static_cast<std::int64_t>(value));
  }
  /// The shortest form that reads back exactly: 0.2, 2.
  json_writer& field(std::string_view name, double value);
  json_writer& null(std::string_view name) { return raw_field(name, "null"); }
  /// A value that is JSON already.
  json_writer& raw_field(std::string_view name, std::string_view json);

  /// The text with a line end; the writer is empty afterwards.
  std::string take();

 private:
  json_writer& number(std::string_view name, std::uint64_t value);
  json_writer& signed_number(std::string_view name, std::int64_t value);
  void open(char bracket);
  void close(char bracket);
  void comma();
  void key(std::string_view name);

  std::string out_;
  unsigned depth_ = 0;
  bool is_first_ = true;
};

/// `text` in quotes, escaped.
void append_json_string(std::string& out, std::string_view text);

}  // namespace weir
