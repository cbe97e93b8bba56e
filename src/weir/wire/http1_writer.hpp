// Writes HTTP/1.1 heads, chunk frames and dates at the end of a string that the caller keeps and
// reuses. The hard idea: a head is where an attacker's text becomes protocol, so every name and
// value is checked here, once, and a caller that passes a line end gets an exception instead of a
// second response.
#pragma once

#include <weir/wire/http_head.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

/// Writes one head: the first line in the constructor functions, fields, then finish().
///
/// Cancel:  no waits.
/// Order:   fields are written in the order of the calls.
/// Bound:   none of its own; the texts are the caller's.
/// Errors:  throws invalid_argument for a name or value that would break out of its line; what was
///          written of the head is taken back.
/// Threads: one at a time.
class http1_head_writer {
 public:
  /// "HTTP/1.1 200 OK". Statuses outside 100 to 999 are a bug of the caller.
  static http1_head_writer response(std::string& out, int status,
                                    http_version version = http_version::v1_1);
  /// "GET /path HTTP/1.1"
  static http1_head_writer request(std::string& out, std::string_view method,
                                   std::string_view target);

  http1_head_writer& field(std::string_view name, std::string_view value);
  http1_head_writer& field(std::string_view name, std::uint64_t value);
  /// Content-Length or Transfer-Encoding, as the framing says; nothing for the other two.
  http1_head_writer& framing(body_framing kind, std::uint64_t content_length = 0);
  /// The empty line.
  void finish();

 private:
  explicit http1_head_writer(std::string& out) noexcept : out_(out), start_(out.size()) {}
  [[noreturn]] void refuse(std::string_view what);

  std::string& out_;
  std::size_t start_;
};

/// The line before a chunk's data. The size is not 0: that would end the body.
void append_chunk_head(std::string& out, std::uint64_t size);
/// What follows a chunk's data, and what ends a body without trailers.
inline constexpr std::string_view chunk_end = "\r\n";
inline constexpr std::string_view last_chunk = "0\r\n\r\n";
/// The answer to `Expect: 100-continue`.
inline constexpr std::string_view continue_response = "HTTP/1.1 100 Continue\r\n\r\n";

/// "Sun, 06 Nov 1994 08:49:37 GMT" (9110, 5.6.7) of seconds since 1970, for years 1970 to 9999.
inline constexpr std::size_t http_date_bytes = 29;
void append_http_date(std::string& out, std::int64_t unix_seconds);

}  // namespace weir
