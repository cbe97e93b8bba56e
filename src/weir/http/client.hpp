// The HTTP/1.1 client: requests over a pool of connections per host. The hard idea: before an idle
// connection is used again it is looked at: what ended meanwhile, or has bytes that nobody asked
// for, is replaced. But a server may close it at the very moment at which the request leaves, which
// no look can tell; so a request on a used connection that got no byte of an answer is sent once
// more on a fresh one, if sending it twice is safe.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/wire/http_head.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weir {
class address_rules;
class tls_client;
}  // namespace weir

namespace weir::http {

namespace detail {
class connection_pool;
class client_connection;
}  // namespace detail

struct client_options {
  http_limits message = {};                     // of each response; body_bytes_max is 16 MiB
  std::uint32_t connections_per_host_max = 16;  // then requests wait, first in first out
  std::uint32_t hosts_max = 1024;   // hosts with connections; beyond it, the longest idle one goes
  std::uint32_t redirects_max = 0;  // 0: a redirect is an answer like any other
  duration connect_timeout = duration::seconds(5);
  duration write_timeout = duration::seconds(30);     // for the server to take anything at all
  duration response_timeout = duration::seconds(30);  // from the end of the request to the head
  duration body_idle_timeout = duration::seconds(30);
  duration idle_timeout = duration::seconds(60);  // of a connection that nobody uses
  duration timeout = duration::seconds(60);       // of a whole request(), pool and retry included
  /// Tells servers how long the caller still waits (time_left_field): to the deadline around the
  /// call, and of send() also to its time-out. For servers that are known to listen; what a weir
  /// server makes of it is the deadline of its handler, which goes on to those that it asks.
  bool tells_time_left = false;
  tls_client* tls = nullptr;             // for https; null: who is trusted by the system is trusted
  const address_rules* rules = nullptr;  // whom may be called; null: everybody
};

/// What to send. The views live until the call has ended.
struct client_request {
  std::string_view method = "GET";
  std::string_view url = {};
  std::span<const http_field> headers = {};
  std::string_view body = {};
  duration timeout = {};    // 0: client_options::timeout
  bool may_resend = false;  // the server can bear the request twice, although its method says no
};

struct client_stats {
  std::uint32_t connections_live = 0;
  std::uint32_t connections_idle = 0;
  std::uint32_t waiting = 0;  // requests that wait for a connection
  std::uint64_t connects = 0;
  std::uint64_t requests = 0;
  std::uint64_t reuses = 0;
  std::uint64_t resends = 0;  // after a connection that served before had ended meanwhile
  std::uint64_t failures = 0;
};

/// Status and fields of a response. Copies share the bytes.
///
/// Cancel:  plain value, no waits.
/// Order:   fields in the order in which they came.
/// Bound:   http_limits.
/// Errors:  a missing field is empty, no error.
/// Threads: one loop.
class response_head {
 public:
  int status() const noexcept { return head_.status; }
  std::string_view reason() const noexcept { return head_.reason; }
  std::optional<std::string_view> field(std::string_view name) const noexcept {
    const http_field* found = head_.fields.find(name);
    return found ? std::optional(found->value) : std::nullopt;
  }
  const http_fields& fields() const noexcept { return head_.fields; }

 private:
  friend class detail::client_connection;
  bytes text_;  // head_'s views point into it
  http_response_head head_;
};

/// A whole response.
struct client_response {
  response_head head;
  std::string body;
  int status() const noexcept { return head.status(); }
};

/// A response whose body is read piece by piece: large bodies, server-sent events.
///
/// Cancel:  a cancelled read has taken nothing.
/// Order:   as received.
/// Bound:   nothing is read ahead; http_limits::body_bytes_max for the whole.
/// Errors:  `malformed`, `too_large`, `timed_out`, `broken`.
/// Threads: one loop; it does not outlive its client.
class client_stream {
 public:
  client_stream(client_stream&&) noexcept;
  client_stream& operator=(client_stream&&) noexcept;
  /// Gives the connection back when the body was read to its end; closes it otherwise.
  ~client_stream();

  const response_head& head() const noexcept { return head_; }
  int status() const noexcept { return head_.status(); }
  /// The next piece of the body; empty at its end.
  task<bytes> read();

 private:
  friend class client;
  client_stream(response_head head, std::unique_ptr<detail::client_connection> from) noexcept;

  response_head head_;
  std::unique_ptr<detail::client_connection> from_;
};

/// Sends requests and keeps connections for the next ones.
///
/// Cancel:  a cancelled request may or may not have reached the server; its connection is closed.
/// Order:   requests to a host that wait for a connection get it in the order in which they came.
/// Bound:   client_options.
/// Errors:  `invalid_argument` (URL, header), `refused`, `timed_out`, `broken`, `malformed`,
///          `too_large`, `permission_denied` (a certificate, or an address that the rules deny).
///          Statuses are no errors.
/// Threads: one loop.
class client {
 public:
  explicit client(client_options options = {});
  client(const client&) = delete;
  client& operator=(const client&) = delete;
  ~client();

  /// The whole response. Where a server refuses a large body early, the rest of it is not sent. Of
  /// an answer that comes before the body is sent, only the head is heard until then: a server that
  /// answers with more than its system holds while it still reads takes nothing any more, and the
  /// request ends with `timed_out` after write_timeout.
  task<client_response> send(client_request what);
  /// The response as soon as its head is there. The timeout counts up to then.
  task<client_stream> open(client_request what);
  WEIR_CORO_WRAPPER task<client_response> get(std::string_view url) { return send({.url = url}); }

  const char* name() const noexcept { return "http client"; }
  client_stats stats() const noexcept;

 private:
  std::unique_ptr<detail::connection_pool> pool_;
};

}  // namespace weir::http
