// TLS over a socket that somebody else owns: what tls_socket and protocols of higher floors are
// made of. The hard idea: a protocol keeps its plain socket and may have a channel beside it, so
// that a plain connection pays one look at a null pointer.
//
// The record that a cancelled send has begun stays here and leaves before anything else; so a
// cancellation never breaks the stream.
#pragma once

#include <weir/base/error.hpp>
#include <weir/core/task.hpp>
#include <weir/io/timed_wait.hpp>
#include <weir/io/tls_context.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace weir {

/// What was agreed in a handshake, and with whom.
struct tls_info {
  std::string version;      // "TLSv1.3"
  std::string cipher;       // "TLS_AES_256_GCM_SHA384"
  std::string protocol;     // by ALPN; empty: none
  std::string server_name;  // that the client asked for; empty: none
  std::string peer;         // the subject of the peer's certificate, which may be empty
  bool has_peer = false;    // the peer showed a certificate
  bool is_resumed = false;  // from an earlier session
};

namespace detail {

class tls_engine;

/// One end of TLS over a socket.
///
/// Cancel:  a cancelled receive has taken nothing. A cancelled send has committed the bytes that
///          `sent` says: sealed records can't be taken back and leave with the next send.
/// Order:   as sent. One receive and one send at a time; both may wait at once.
/// Bound:   one batch of records (`batch_bytes_max`) waits to be sent.
/// Errors:  as values: `broken` for a stream that ends without close_notify, `malformed` for bytes
///          that are no TLS, `timed_out`; failure() has the words.
/// Threads: one loop.
class tls_channel {
 public:
  static constexpr std::size_t batch_bytes_max = 64 * 1024;

  static tls_channel accepting(tls_server& by, io_handle over);
  /// `place` tells apart what sessions may be resumed for: host and port.
  static tls_channel connecting(tls_client& by, io_handle over, const std::string& host,
                                std::string place);
  tls_channel(tls_channel&&) noexcept;
  tls_channel& operator=(tls_channel&&) noexcept;
  ~tls_channel();

  /// Raises what goes wrong; the peer is told by an alert where TLS has one.
  task<> handshake();

  /// At least one byte; empty at the end in order and after a failure.
  task<received_outcome> receive(duration limit);
  /// All of the pieces; `limit` counts anew whenever the peer has taken something.
  task<sent_outcome> send(std::span<const io_slice> pieces, duration limit,
                          std::size_t* sent = nullptr);
  /// Tells the peer that nothing more comes (close_notify). The socket stays open.
  task<sent_outcome> end_send(duration limit);
  /// The socket is closed, and its number may be somebody else's in a moment: waits under way, and
  /// all later ones, end with `closed`.
  void note_closed() noexcept { over_ = -1; }

  /// Why a receive or a send has failed for good; empty: it has not, or the socket failed.
  const std::optional<error>& failure() const noexcept;
  const tls_info& info() const noexcept { return info_; }

 private:
  tls_channel(std::unique_ptr<tls_engine> engine, io_handle over, tls_stats& stats,
              duration handshake_timeout) noexcept;
  /// For a wait, which begins on the loop that made the channel.
  io_handle over_here() const noexcept { return handle_here(made_by_, over_); }
  task<> shake_hands(time_point deadline);
  bool says_only_tickets() const noexcept;
  task<sent_outcome> flush(duration limit);
  [[noreturn]] void raise_handshake(errc code) const;
  void note_info();

  std::unique_ptr<tls_engine> engine_;
  const driver* made_by_;
  io_handle over_;
  tls_stats* stats_;
  duration handshake_timeout_;
  tls_info info_;
};

}  // namespace detail
}  // namespace weir
