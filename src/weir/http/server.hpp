// The HTTP/1.1 server: one task per connection, which reads a request, calls the handler, writes
// the response and starts again. The hard idea: nobody outside is trusted with our memory or our
// time, so every size, count and wait of a connection has a bound with a name, and the bytes of the
// next request stay in the kernel until this one is answered.
//
//   accept -> idle -> head -> handler (body, response) -> drain body -+-> idle
//                      |          |                                   |
//                      v          v                                   v
//                   4xx/5xx    500, reported                        linger -> closed
#pragma once

#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/http/exchange.hpp>
#include <weir/wire/http_head.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <type_traits>

namespace weir {
class listener;
class tls_server;
}  // namespace weir

namespace weir::http {

namespace detail {
struct server_core;
}

/// The bounds of a server. Each time-out closes the connection; where a request had begun, it is
/// answered 408 first.
struct server_limits {
  http_limits message = {.body_bytes_max = 64 * 1024 * 1024};  // of each request
  std::uint32_t connections_max = 10'000;  // then the longest idle one ends, or accepting waits
  /// Of one client, by its IPv4 address or its IPv6 network (/64); more are closed at once. Clients
  /// on this machine are not counted: a proxy there speaks for many. 0: no limit of its own.
  std::uint32_t connections_per_client_max = 0;
  std::uint32_t requests_per_connection_max = 1'000'000;
  std::size_t unread_bytes_max = 256 * 1024;        // of a body that no handler read, to keep alive
  duration header_timeout = duration::seconds(10);  // from a head's first byte to its last
  duration keep_alive_timeout = duration::seconds(75);  // between requests
  duration body_idle_timeout = duration::seconds(30);   // for the next piece of a body
  duration body_timeout = duration::seconds(300);       // spent on waiting for one body altogether
  duration body_grace = duration::seconds(30);          // of that, before body_rate_min counts
  std::uint32_t body_rate_min = 1024;  // bytes a second on the average: slower bodies are cut
  std::uint64_t bodies_bytes_max = std::uint64_t{256} << 20;  // held by read_all() at once: 503
  /// Bodies of answers of more than 4 KiB that are on their way at once. Beyond it, the answer that
  /// has been on its way for longest is cut off; the newest never is.
  std::uint64_t answers_bytes_max = std::uint64_t{256} << 20;
  duration write_timeout = duration::seconds(30);  // for a client to take anything at all
  duration linger_timeout = duration::seconds(2);  // for a client to read the last answer
  duration heartbeat = duration::seconds(15);      // of quiet before a comment in event streams
  duration drain_timeout = duration::seconds(10);  // for requests in flight when the server ends
  /// Of one handler, streams included: the deadline of the scope in which it runs. One that is cut
  /// off there is answered for with 504, or, in the midst of its answer, by a broken connection.
  duration handler_timeout = duration::max();
  /// Requests may ask for less (time_left_field). What is no number of milliseconds, and 0, asks
  /// for nothing. It can only harm whoever sends it, so there is no need to know who that is.
  bool heeds_time_left = true;
};

struct server_stats {
  std::uint64_t connections_accepted = 0;
  std::uint32_t connections_live = 0;
  std::uint64_t connections_full_waits = 0;  // how often accepting waited for connections_max
  std::uint64_t connections_displaced = 0;   // idle ones that ended to make room for others
  std::uint64_t accept_failures = 0;         // no descriptor or memory left, or the network
  std::uint64_t requests = 0;                // with a whole head
  std::uint64_t responses[6] = {};           // by the first digit of the status
  std::uint64_t faults = 0;                  // requests that broke a rule or a limit
  std::uint64_t timeouts = 0;                // of clients that were too slow
  std::uint64_t clients_gone = 0;            // left before they had their answer
  std::uint64_t handler_failures = 0;        // errors that left a handler
  std::uint64_t handlers_late = 0;           // cut off at their deadline
  std::uint64_t bodies_bytes = 0;            // memory of the bodies that are held now
  std::uint64_t bodies_refused = 0;          // for bodies_bytes_max
  std::uint64_t answers_bytes = 0;           // of the large answers that are on their way now
  std::uint64_t answers_cut = 0;             // for answers_bytes_max
  std::uint64_t handshake_failures = 0;      // of TLS
  std::uint64_t connections_refused = 0;     // beyond connections_per_client_max
};

/// What answers requests: a function, or a function object that outlives the server. An error that
/// leaves it is answered with 500 and reported to the unhandled-error handler.
///
/// Cancel:  the handler runs in its connection's scope.
/// Order:   one call at a time per connection.
/// Bound:   two words.
/// Errors:  as above.
/// Threads: one loop.
class handler {
 public:
  using function = task<> (*)(request&, response&);
  using function_with_context = task<> (*)(void* context, request&, response&);

  // Implicit on purpose: what can be called with a request and a response is a handler.
  template <class F>
    requires(!std::is_same_v<F, handler> && std::is_convertible_v<F, function>)
  handler(F plain) noexcept
      : call_(&call_plain), context_(reinterpret_cast<void*>(static_cast<function>(plain))) {}
  handler(function_with_context call, void* context) noexcept : call_(call), context_(context) {}
  template <class F>
    requires(!std::is_same_v<F, handler> && !std::is_convertible_v<F&, function> &&
             std::is_invocable_r_v<task<>, F&, request&, response&>)
  handler(F& object) noexcept : call_(&call_object<F>), context_(&object) {}

  WEIR_CORO_WRAPPER task<> operator()(request& q, response& a) const {
    return call_(context_, q, a);
  }

 private:
  WEIR_CORO_WRAPPER static task<> call_plain(void* context, request& q, response& a) {
    return reinterpret_cast<function>(context)(q, a);
  }
  template <class F>
  WEIR_CORO_WRAPPER static task<> call_object(void* context, request& q, response& a) {
    return (*static_cast<F*>(context))(q, a);
  }

  function_with_context call_;
  void* context_;
};

/// A server on one listener.
///
/// Cancel:  cancelled with the kind `shutdown`, it drains: it stops accepting, closes idle
///          connections, ends event streams, answers what is in flight with Connection: close, and
///          cuts off what is left after drain_timeout. Cancelled otherwise, it cuts off at once,
///          unless it drains already: then the drain goes on to its end.
/// Order:   responses of a connection in the order of its requests, one handler at a time.
/// Bound:   server_limits.
/// Errors:  run() raises `closed` or `invalid_argument` when the listener is worth nothing; what
///          else fails in accepting, for want of descriptors or memory or by the network, is
///          counted and tried again. Errors of handlers are reported and end their connection only.
/// Threads: one loop; one server per loop.
class server {
 public:
  explicit server(handler answer, server_limits limits = {});
  server(const server&) = delete;
  server& operator=(const server&) = delete;
  ~server();

  /// Serves until drain() or a cancellation; over TLS when `secure` is given, which outlives this.
  task<> run(listener door, tls_server* secure = nullptr);
  /// Ends run() in order, as a shutdown does, also one that has yet to begin. Idempotent.
  void drain() noexcept;

  const char* name() const noexcept { return "http server"; }
  bool is_draining() const noexcept;
  server_stats stats() const noexcept;

 private:
  std::unique_ptr<detail::server_core> core_;
};

/// A server that nobody asks anything: `co_await http::serve(std::move(door), answer);`
task<> serve(listener door, handler answer, server_limits limits = {});

}  // namespace weir::http
