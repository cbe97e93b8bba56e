// One request and its response, as a handler sees them. The hard idea: both are thin handles on the
// connection, which keeps the memory from one request to the next; so an exchange allocates nothing
// by itself, and nothing of it may be kept after the handler has ended.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/wire/http_head.hpp>
#include <weir/wire/sse.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir {
class address;
class event;
struct tls_info;
}  // namespace weir

namespace weir::http {

namespace detail {
class connection;
}

/// How long a client still waits, in milliseconds: what Envoy and the meshes made of it write into
/// each request that they pass on (its router filter's documentation), and what client_options and
/// server_limits can speak. It is a length and no moment: clocks of two machines differ.
inline constexpr std::string_view time_left_field = "x-envoy-expected-rq-timeout-ms";

/// What a client asks for. Valid during the handler.
///
/// Cancel:  a cancelled read() has taken nothing of the body. A cancelled read_all() drops what it
///          has read: the next read goes on behind that. One that was cut off in the midst of its
///          `100 Continue` breaks the exchange: what follows raises `broken`.
/// Order:   the pieces of a body come in the order of its bytes.
/// Bound:   server_limits; a body that is not read stays with its client (back-pressure).
/// Errors:  a read raises `malformed`, `too_large`, `timed_out`, `busy` or `end_of_stream`; a
///          handler that lets them pass, also out of a scope of its own, has the server answer 400,
///          413, 408 or 503; `broken` when the client is gone. A handler that is cut off at the
///          deadline of its scope is answered for with 504.
/// Threads: one loop.
class request {
 public:
  request(const request&) = delete;
  request& operator=(const request&) = delete;

  /// The next piece of the body; empty at its end. The first call answers `Expect: 100-continue`.
  task<bytes> read();
  /// The whole body, or the rest of it; raises `too_large` (413) when that is over `bytes_max`, and
  /// `busy` (503) when the bodies of all requests are over server_limits::bodies_bytes_max. Its
  /// memory counts until the handler has ended.
  task<std::string> read_all(std::size_t bytes_max);

  std::string_view method() const noexcept { return head_->method; }  // case-sensitive: "GET"
  std::string_view target() const noexcept { return head_->target; }
  std::string_view path() const noexcept { return head_->path; }    // still encoded
  std::string_view query() const noexcept { return head_->query; }  // still encoded
  std::string_view host() const noexcept { return head_->host; }
  /// The first field of that name, whatever its case.
  std::optional<std::string_view> field(std::string_view name) const noexcept {
    const http_field* found = head_->fields.find(name);
    return found ? std::optional(found->value) : std::nullopt;
  }
  const http_fields& fields() const noexcept { return head_->fields; }
  const http_request_head& head() const noexcept { return *head_; }
  /// False also for a body of length 0.
  bool has_body() const noexcept { return head_->framing != body_framing::none; }
  /// Of the other end of the connection: a proxy, perhaps.
  address peer() const;
  /// What was agreed with the client over TLS, its certificate's subject included; null: it speaks
  /// plain HTTP.
  const tls_info* tls() const noexcept;
  /// What a read of the body found wrong with it, as this server would answer it; else status 0.
  const http_fault& body_fault() const noexcept;
  /// Set when the server has begun to drain: what only waits for news should end soon.
  event& drain() const noexcept;

 private:
  friend class detail::connection;
  request(detail::connection& of, const http_request_head& head) noexcept
      : of_(&of), head_(&head) {}

  detail::connection* of_;
  const http_request_head* head_;
};

/// Writes a body whose length is not known before: chunked, or until the end of the connection for
/// clients of HTTP/1.0.
///
/// Cancel:  a call that was cancelled before it sends has done nothing. Cancelled in the middle, it
///          breaks the response: what follows raises `broken`, and the connection is closed.
/// Order:   as written. The head leaves with the first piece, or with flush().
/// Bound:   nothing is buffered: a write waits until the system has taken all of it.
/// Errors:  `broken` when the client is gone or reads nothing for write_timeout.
/// Threads: one loop.
class body_writer {
 public:
  /// The text must live until the wait ends. Empty text sends nothing.
  task<> write(std::string_view text);
  /// Sends the head now.
  task<> flush();
  /// Ends the body. Done by itself when the handler ends without an error.
  task<> end();

 private:
  friend class response;
  explicit body_writer(detail::connection& of) noexcept : of_(&of) {}
  detail::connection* of_;
};

/// Writes server-sent events. While it is quiet, comments keep the stream alive; when the client
/// leaves, the handler is cancelled at its present or next wait.
///
/// Cancel:  as body_writer.
/// Order:   as sent.
/// Bound:   one event at a time; send() waits for a slow client up to write_timeout.
/// Errors:  `broken` when the client is gone; `invalid_argument` for a line end in a name or id.
/// Threads: one loop.
class sse_writer {
 public:
  task<> send(sse_event what);
  /// Tells the client how long to wait before it connects again.
  task<> send_retry(duration after);
  task<> end();

 private:
  friend class response;
  explicit sse_writer(detail::connection& of) noexcept : of_(&of) {}
  detail::connection* of_;
};

/// The answer to one request, given in exactly one of three ways: send(), begin() or
/// begin_events(). To HEAD, and with statuses that have no body, the body is left out by itself.
///
/// Cancel:  as body_writer; is_begun() tells whether another answer may be given. A stream whose
///          begin_events() was cancelled ends with the handler.
/// Order:   responses leave in the order of their requests, small ones together where they can.
/// Bound:   fields_bytes_max of own header fields.
/// Errors:  `broken` when the client is gone; `invalid_argument` for a field that would break out
///          of its line or that is the server's own (Content-Length, Transfer-Encoding, Connection,
///          Content-Type, Date); a second answer stops the process: it is a bug.
/// Threads: one loop.
class response {
 public:
  static constexpr std::size_t fields_bytes_max = 32 * 1024;

  response(const response&) = delete;
  response& operator=(const response&) = delete;

  /// Adds a header field. Before the answer.
  void header(std::string_view name, std::string_view value);
  /// The whole answer, with its length. An empty content type is left out.
  task<> send(int status, std::string_view content_type, std::string_view body);
  /// An answer without a body.
  WEIR_CORO_WRAPPER task<> send(int status) { return send(status, {}, {}); }
  /// application/problem+json, see problem_json().
  task<> send_problem(int status, std::string_view code, std::string_view detail);
  /// An answer of unknown length. The writer is valid during the handler.
  task<body_writer> begin(int status, std::string_view content_type);
  /// A stream of server-sent events; its head leaves at once. Ended, in order, when the server
  /// drains: its handler is cancelled.
  task<sse_writer> begin_events();

  /// From now on the handler is cancelled when the client closes the connection: for long polls.
  void end_when_client_leaves();
  /// Closes the connection after this answer. Before the answer.
  void close_after() noexcept;
  bool is_begun() const noexcept;

 private:
  friend class detail::connection;
  explicit response(detail::connection& of) noexcept : of_(&of) {}
  detail::connection* of_;
};

}  // namespace weir::http
