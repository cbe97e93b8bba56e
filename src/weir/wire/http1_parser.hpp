// Reads the heads of HTTP/1.1 messages (RFC 9112) from bytes as they arrive. The hard idea: what
// follows a head on the connection belongs to somebody else (the next request, or an attacker's),
// so every text that two implementations could read differently is refused, not repaired.
//
//   first line --> field lines --> complete
//       |               |
//       +-------+-------+--> failed: stays so, whatever follows
//
// Invariant (1): the outcome is a function of the bytes alone, not of how they were split: a prefix
// that failed fails in the same way with more bytes behind it, and nothing is judged by a byte
// beyond the first that decides.
//
// Strict where the RFC allows a choice: lines end in CR LF only (a bare LF or CR is 400); a folded
// line, two Content-Length fields even when equal, Content-Length with Transfer-Encoding, and empty
// elements in Transfer-Encoding are 400.
#pragma once

#include <weir/wire/http_head.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir {

enum class parse_state : std::uint8_t {
  incomplete,  // call again with more bytes
  complete,    // head() and consumed() are set
  failed,      // fault() is set; answer it and close the connection
};

namespace detail {

/// What the parsers of requests and of responses share: field lines and what they say of the body.
class http1_fields_parser {
 protected:
  explicit http1_fields_parser(http_limits limits) noexcept : limits_(limits) {}

  enum class step : std::uint8_t { more_input, next, failed };

  void restart() noexcept;
  step fail(http_fault fault) noexcept;
  step read_field_lines(http_fields& fields, const char* end);
  step read_field_line(http_fields& fields, const char* end);
  void note(std::string_view name, std::string_view value) noexcept;
  http_fault judge_framing(const http_fields& fields, http_version version) const noexcept;
  bool keeps_alive(http_version version) const noexcept;

  // What the fields read so far say of the message, judged when the head is complete.
  struct notes {
    std::uint64_t content_length = 0;
    std::string_view host;
    std::string_view expectation;
    std::uint32_t content_lengths = 0;  // how many such fields there were
    std::uint32_t transfer_encodings = 0;
    std::uint32_t hosts = 0;
    bool has_bad_length = false;
    bool says_close = false;
    bool says_keep_alive = false;
  };

  http_limits limits_;
  http_fault fault_;
  const char* base_ = nullptr;  // where the bytes were at the last call
  const char* at_ = nullptr;    // the first line that is not read yet
  notes notes_;
  bool is_first_line_read_ = false;
  parse_state state_ = parse_state::incomplete;
};

}  // namespace detail

/// Reads request heads, one after the other, from the front of a connection's bytes.
///
/// Cancel:  no waits; reset() forgets a head in the middle.
/// Order:   pipelined requests are read in turn: consume the head and its body, then reset().
/// Bound:   http_limits; at most head_bytes_max bytes are looked at.
/// Errors:  a fault with the status to answer; the connection can't be used after it.
/// Threads: one at a time.
class http1_request_parser : private detail::http1_fields_parser {
 public:
  explicit http1_request_parser(http_limits limits = {}) noexcept : http1_fields_parser(limits) {}

  /// Looks at all bytes received since the last reset(): those of the last call, which may have
  /// moved to another address, and what came since. The head's views point into them.
  parse_state parse(std::string_view received);
  void reset() noexcept;

  const http_request_head& head() const noexcept { return head_; }
  /// The size of the head in bytes: the body starts there.
  std::size_t consumed() const noexcept { return static_cast<std::size_t>(at_ - base_); }
  const http_fault& fault() const noexcept { return fault_; }

 private:
  step read_request_line(const char* end);
  step read_version(const char* at, const char* end);
  http_fault judge_target() noexcept;
  http_fault judge_head() noexcept;

  http_request_head head_;
  std::size_t empty_lines_ = 0;
};

/// What the response answers: it decides whether a body follows (9112, 6.3).
enum class response_to : std::uint8_t { other, head, connect };

/// Reads response heads; as http1_request_parser, but faults have no status to answer: see
/// as_error().
///
/// Cancel:  no waits; reset() forgets a head in the middle.
/// Order:   responses come in the order of their requests; interim ones before the final one.
/// Bound:   http_limits; at most head_bytes_max bytes are looked at.
/// Errors:  a fault; the connection can't be used after it.
/// Threads: one at a time.
class http1_response_parser : private detail::http1_fields_parser {
 public:
  explicit http1_response_parser(http_limits limits = {}) noexcept : http1_fields_parser(limits) {}

  parse_state parse(std::string_view received, response_to request = response_to::other);
  void reset() noexcept;

  const http_response_head& head() const noexcept { return head_; }
  std::size_t consumed() const noexcept { return static_cast<std::size_t>(at_ - base_); }
  const http_fault& fault() const noexcept { return fault_; }

 private:
  step read_status_line(const char* end);
  http_fault judge_head(response_to request) noexcept;

  http_response_head head_;
};

}  // namespace weir
