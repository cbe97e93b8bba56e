// TLS connections with the verbs of sockets: accept or connect a plain one, shake hands, then
// receive and send as ever.
//
//   tls_socket peer = co_await tls_accept(certificates, co_await door.accept())
//   while (auto bytes = co_await peer.receive())   // empty at the end of the stream
//     co_await peer.send(bytes)                    // all of it
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/core/task.hpp>
#include <weir/io/address.hpp>
#include <weir/io/socket.hpp>
#include <weir/io/tls_channel.hpp>
#include <weir/io/tls_context.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace weir {

/// One end of a TLS connection.
///
/// Cancel:  a cancelled receive has taken nothing. A cancelled send has committed the bytes that
///          `sent` says: they leave with the next send, for sealed records can't be taken back. A
///          cancelled handshake closes the connection.
/// Order:   as sent. One receive and one send at a time; both may wait at once.
/// Bound:   receive() gives at most 16 KiB; tls_server and tls_client bound all views together.
/// Errors:  the end in order is empty; a stream that ends without close_notify was cut off by
///          somebody and raises `broken`; `malformed` for bytes that are no TLS; `full` at the
///          bound. After an error the connection is worth nothing.
/// Threads: one loop; its tls_server or tls_client outlives it.
class [[nodiscard]] tls_socket {
 public:
  /// What has arrived, at least one byte; empty at the end of the stream.
  task<bytes> receive();
  /// Sends all of `data`, which must live until the wait ends. `sent` is kept up to date.
  task<> send(std::string_view data, std::size_t* sent = nullptr);
  /// Several pieces as one; small ones share a record.
  task<> send(std::span<const io_slice> pieces, std::size_t* sent = nullptr);
  /// Ends the stream to the peer, in order (close_notify and the end of TCP's); receiving goes on.
  task<> shutdown_send();
  /// Closes at once: the peer takes it for a cut. After shutdown_send() it is an end in order.
  void close() noexcept {
    socket_.close();
    channel_.note_closed();
  }
  void reset() noexcept {
    socket_.reset();
    channel_.note_closed();
  }
  void set_no_delay(bool on) const { socket_.set_no_delay(on); }
  void set_keep_alive(duration silence_max) const { socket_.set_keep_alive(silence_max); }

  const tls_info& info() const noexcept { return channel_.info(); }
  address local() const { return socket_.local(); }
  address peer() const { return socket_.peer(); }
  explicit operator bool() const noexcept { return static_cast<bool>(socket_); }

 private:
  friend task<tls_socket> tls_accept(tls_server& by, socket plain);
  friend task<tls_socket> tls_connect(tls_client& by, socket plain, std::string host);
  tls_socket(socket plain, detail::tls_channel channel) noexcept
      : socket_(static_cast<socket&&>(plain)),
        channel_(static_cast<detail::tls_channel&&>(channel)) {}
  [[noreturn]] void raise_failed(const char* what, errc code) const;

  socket socket_;
  detail::tls_channel channel_;
};

/// Shakes hands as the accepting side, within handshake_timeout. Errors say what was wrong with
/// whom: `permission_denied` (no valid certificate of the client), `malformed` (no TLS),
/// `unsupported`, `refused` (by an alert of the client), `broken`, `timed_out`.
[[nodiscard]] task<tls_socket> tls_accept(tls_server& by, socket plain);
/// The same as the connecting side; `host` is the name, or numeric address, that the peer's
/// certificate must be for. `permission_denied`: expired, for another host, of an unknown issuer...
[[nodiscard]] task<tls_socket> tls_connect(tls_client& by, socket plain, std::string host);
/// Finds, connects and shakes hands.
[[nodiscard]] task<tls_socket> tls_connect(tls_client& by, std::string host, std::uint16_t port);

}  // namespace weir
