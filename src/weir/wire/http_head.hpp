// The vocabulary of HTTP messages: fields, heads, limits and faults. The hard idea: a head is a set
// of views into the bytes that were received, so reading one copies nothing; whoever keeps the
// bytes keeps the head. Section numbers are those of RFC 9110 (semantics) and RFC 9112 (HTTP/1.1).
#pragma once

#include <weir/base/error.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

namespace weir {

/// The bounds of one message. Breaking one is answered with the status in the comment.
struct http_limits {
  std::size_t empty_lines_max = 1;               // before a request line (9112, 2.2): 400
  std::size_t method_bytes_max = 32;             // 501 (9112, 3)
  std::size_t target_bytes_max = 8000;           // 414; the least that 9110, 4.1 recommends
  std::size_t field_line_bytes_max = 8192;       // one field, name and value: 431
  std::size_t fields_max = 100;                  // 431
  std::size_t head_bytes_max = 32'768;           // everything up to the empty line: 431 (or 414)
  std::uint64_t body_bytes_max = 16'777'216;     // 413
  std::size_t chunk_extension_bytes_max = 4096;  // of all chunks of one body together: 400
  std::size_t trailer_bytes_max = 8192;          // 431
};

/// What is wrong with a message: the status that answers it, a stable code and a sentence for
/// people. All texts are literals, so a fault costs nothing and may be kept.
struct http_fault {
  int status = 0;  // 0: no fault
  std::string_view code;
  std::string_view detail;

  explicit operator bool() const noexcept { return status != 0; }
  bool operator==(const http_fault&) const = default;
};

/// One field line; the value has no white space around it.
struct http_field {
  std::string_view name;
  std::string_view value;
};

/// The fields of a message in the order in which they came.
///
/// Cancel:  plain value, no waits.
/// Order:   as received; names are compared without regard to case.
/// Bound:   http_limits::fields_max.
/// Errors:  a missing field is null or empty, no error.
/// Threads: one at a time; the views live as long as the bytes under them.
class http_fields {
 public:
  void add(http_field field) { list_.push_back(field); }
  void clear() noexcept { list_.clear(); }

  /// The first field of that name, or null.
  const http_field* find(std::string_view name) const noexcept;
  /// The value of the first field of that name; empty when there is none.
  std::string_view value_of(std::string_view name) const noexcept;
  std::size_t count_of(std::string_view name) const noexcept;
  /// True when a field of that name has `token` as an element of its comma-separated list.
  bool has_token(std::string_view name, std::string_view token) const noexcept;

  std::size_t size() const noexcept { return list_.size(); }
  bool is_empty() const noexcept { return list_.empty(); }
  const http_field& operator[](std::size_t at) const noexcept { return list_[at]; }
  auto begin() const noexcept { return list_.begin(); }
  auto end() const noexcept { return list_.end(); }

 private:
  std::vector<http_field> list_;
};

enum class http_version : std::uint8_t { v1_0, v1_1 };

/// How the end of a body is found (9112, 6.3).
enum class body_framing : std::uint8_t { none, length, chunked, until_close };

/// The forms of a request target (9112, 3.2).
enum class target_form : std::uint8_t { origin, absolute, authority, asterisk };

/// The head of a request, as views into the bytes it was read from.
struct http_request_head {
  std::string_view method;  // case-sensitive: "GET"
  std::string_view target;  // as received
  std::string_view path;    // "/a%20b", still encoded; "*" or empty in the forms without one
  std::string_view query;   // after the first '?', still encoded
  std::string_view host;    // from the target when it names one, else the Host field
  http_fields fields;
  target_form form = target_form::origin;
  http_version version = http_version::v1_1;
  body_framing framing = body_framing::none;
  std::uint64_t content_length = 0;  // when framing is `length`
  bool keep_alive = false;           // the client would send another request
  bool expects_continue = false;     // it waits for 100 before it sends the body (9110, 10.1.1)
};

/// The head of a response, as views into the bytes it was read from.
struct http_response_head {
  int status = 0;
  std::string_view reason;
  http_fields fields;
  http_version version = http_version::v1_1;
  body_framing framing = body_framing::none;
  std::uint64_t content_length = 0;
  bool keep_alive = false;

  /// A provisional response: another one follows on the same exchange (9110, 15.2).
  bool is_interim() const noexcept { return status >= 100 && status < 200 && status != 101; }
};

/// The same fault as an error, for clients: `malformed`, or `too_large` for a broken limit.
error as_error(const http_fault& fault,
               std::source_location place = std::source_location::current()) noexcept;

/// "Not Found" for 404; "Unknown" for what IANA does not list.
std::string_view reason_phrase(int status) noexcept;

}  // namespace weir
