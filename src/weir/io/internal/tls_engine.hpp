// One end of a TLS connection without I/O: sealed bytes in, plain bytes out, and the other way
// round. The hard idea: OpenSSL reads from and writes to two queues of ours (a BIO), so it never
// blocks and never sees a socket; whoever owns the engine moves the bytes.
//
//   put() -> sealed input -> [SSL] -> read()      write() -> [SSL] -> next_to_send(), note_sent()
//
// Invariant (1): sealed bytes leave in their order and without a gap, or the connection is worth
// nothing: they can't be taken back.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/base/error.hpp>
#include <weir/io/io_wait.hpp>
#include <weir/io/receive_arena.hpp>

#include <openssl/ssl.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace weir::detail {

struct ssl_closer {
  void operator()(SSL* one) const noexcept { SSL_free(one); }
};
using ssl_owner = std::unique_ptr<SSL, ssl_closer>;

enum class tls_step : std::uint8_t { done, wants_input, failed };

class tls_engine {
 public:
  static constexpr std::size_t record_bytes_max = 16 * 1024;
  /// A peer that has us answer without end (alerts) and reads nothing of it.
  static constexpr std::size_t unsent_bytes_max = 256 * 1024;

  /// `memory` outlives it. `host` is what is asked for, for errors; empty on the accepting side.
  tls_engine(ssl_owner of, receive_arena& memory, std::string host);
  tls_engine(const tls_engine&) = delete;
  tls_engine& operator=(const tls_engine&) = delete;
  ~tls_engine();

  /// Bytes from the network; what was put before has been used.
  void put(bytes sealed) noexcept { input_ = static_cast<bytes&&>(sealed); }
  /// The network's stream has ended.
  void put_end() noexcept { is_input_ended_ = true; }

  tls_step handshake();
  /// done: `out` has plain bytes, or is empty when the peer has ended its stream in order.
  tls_step read(bytes& out);
  /// Seals the next record's worth; gives how many plain bytes that were. 0: failed().
  std::size_t write(slice_cursor& from);
  /// Seals the end of our stream. Once.
  void end_write();

  /// What is to be sent next: it stays where it is until note_sent(), whatever is written
  /// meanwhile, for a kernel may be reading it.
  std::string_view next_to_send() noexcept;
  /// Where a send counts what it has transferred, so that a cancelled one is known.
  std::size_t* sending() noexcept { return &sending_; }
  /// Takes off what sending() counted.
  void note_sent() noexcept;
  std::size_t unsent_bytes() const noexcept { return flight_.size() - sent_ + output_.size(); }
  bool is_flushing = false;  // somebody sends it
  bool is_sending = false;   // for a send, which is the only one
  int waits = 0;             // calls under way: they end before it

  const std::optional<error>& failure() const noexcept { return failure_; }
  bool has_ended_write() const noexcept { return is_write_ended_; }
  SSL* ssl() const noexcept { return ssl_.get(); }
  const std::string& host() const noexcept { return host_; }
  std::string session_key;            // of the client's store of sessions
  std::shared_ptr<const void> rules;  // what OpenSSL's calls look at, kept as long as this

  static tls_engine& of(const SSL* one) noexcept {
    return *static_cast<tls_engine*>(SSL_get_app_data(one));
  }
  /// For SSL_set_verify: notes in words what is wrong.
  static int note_verification(int is_right, X509_STORE_CTX* verification) noexcept;

 private:
  struct bio_calls;

  tls_step step_after(int outcome);
  void fail();
  std::size_t seal(const void* data, std::size_t size);

  ssl_owner ssl_;
  receive_arena& memory_;
  std::string host_;
  bytes input_;
  std::string flight_;       // on its way; then comes
  std::string output_;       // what was sealed meanwhile
  std::size_t sent_ = 0;     // of flight_
  std::size_t sending_ = 0;  // more of it, by the send under way
  std::string refusal_;
  std::optional<error> failure_;
  bool is_up_ = false;  // the handshake is over
  bool is_input_ended_ = false;
  bool is_write_ended_ = false;
};

}  // namespace weir::detail
