#include <weir/io/tls_channel.hpp>

#include <weir/base/assert.hpp>
#include <weir/core/sleep.hpp>
#include <weir/io/internal/tls_core.hpp>
#include <weir/io/internal/tls_text.hpp>

#include <fmt/format.h>
#include <openssl/x509.h>

#include <algorithm>
#include <utility>

namespace weir::detail {

namespace {

/// A last word to a peer that has failed: it is not waited for long.
constexpr duration alert_timeout = duration::seconds(1);

duration left_until(time_point deadline) {
  if (deadline == time_point::never()) return duration::max();
  return std::max(deadline - loop::current()->now(), duration(0));
}

class flush_mark {
 public:
  explicit flush_mark(tls_engine& of) noexcept : of_(of) { of_.is_flushing = true; }
  flush_mark(const flush_mark&) = delete;
  flush_mark& operator=(const flush_mark&) = delete;
  ~flush_mark() { of_.is_flushing = false; }

 private:
  tls_engine& of_;
};

/// Of a send: a second one would seal its bytes between those of the first.
class send_mark {
 public:
  explicit send_mark(tls_engine& of) noexcept : of_(of) {
    WEIR_ASSERT(!of.is_sending && "a socket has one receive and one send at a time");
    of.is_sending = true;
  }
  send_mark(const send_mark&) = delete;
  send_mark& operator=(const send_mark&) = delete;
  ~send_mark() { of_.is_sending = false; }

 private:
  tls_engine& of_;
};

/// Of any call that may wait: the channel stays where it is until it has ended.
class wait_mark {
 public:
  explicit wait_mark(tls_engine& of) noexcept : of_(of) { ++of.waits; }
  wait_mark(const wait_mark&) = delete;
  wait_mark& operator=(const wait_mark&) = delete;
  ~wait_mark() { --of_.waits; }

 private:
  tls_engine& of_;
};

std::unique_ptr<tls_engine> taken_from(std::unique_ptr<tls_engine>& other) noexcept {
  WEIR_ASSERT((!other || other->waits == 0) &&
              "a tls_socket outlives its receive and send, and stays where it is");
  return std::move(other);
}

time_point deadline_of(duration limit) {
  return limit == duration::max() ? time_point::never() : loop::current()->now() + limit;
}

}  // namespace

tls_channel::tls_channel(std::unique_ptr<tls_engine> engine, io_handle over, tls_stats& stats,
                         duration handshake_timeout) noexcept
    : engine_(std::move(engine)),
      made_by_(&loop::current()->io()),
      over_(over),
      stats_(&stats),
      handshake_timeout_(handshake_timeout) {}
tls_channel::tls_channel(tls_channel&& other) noexcept
    : engine_(taken_from(other.engine_)),
      made_by_(other.made_by_),
      over_(std::exchange(other.over_, -1)),
      stats_(other.stats_),
      handshake_timeout_(other.handshake_timeout_),
      info_(std::move(other.info_)) {}
tls_channel& tls_channel::operator=(tls_channel&& other) noexcept {
  if (this == &other) return *this;
  engine_ = taken_from(other.engine_);
  made_by_ = other.made_by_;
  over_ = std::exchange(other.over_, -1);
  stats_ = other.stats_;
  handshake_timeout_ = other.handshake_timeout_;
  info_ = std::move(other.info_);
  return *this;
}
tls_channel::~tls_channel() = default;

tls_channel tls_channel::accepting(tls_server& by, io_handle over) {
  tls_server_core& core = by.core();
  return {core.make_engine(loop::current()->io().wall_now()), over, core.stats,
          core.rules().handshake_timeout};
}

tls_channel tls_channel::connecting(tls_client& by, io_handle over, const std::string& host,
                                    std::string place) {
  tls_client_core& core = by.core();
  return {core.make_engine(host, std::move(place), loop::current()->io().wall_now()), over,
          core.stats, core.rules().handshake_timeout};
}

const std::optional<error>& tls_channel::failure() const noexcept { return engine_->failure(); }

// ---- the handshake ----

void tls_channel::raise_handshake(errc code) const {
  const std::string peer = engine_->host().empty() ? "a client" : engine_->host();
  if (code == errc::timed_out) {
    raise(error(code, fmt::format("TLS handshake with {}: not done within {} ms", peer,
                                  handshake_timeout_.ns / 1'000'000)));
  }
  if (!failure()) {
    raise(error(code, fmt::format("TLS handshake with {}: the connection broke", peer)));
  }
  raise(error(failure()->code(), fmt::format("TLS handshake with {}", peer)).caused_by(*failure()));
}

// What a server of TLS 1.3 says last are tickets for later. They leave with its first answer: a
// client may write all that it has to say before it reads, and then each would wait for the other.
bool tls_channel::says_only_tickets() const noexcept {
  return SSL_is_server(engine_->ssl()) == 1 && SSL_version(engine_->ssl()) >= TLS1_3_VERSION;
}

task<> tls_channel::shake_hands(time_point deadline) {
  while (true) {
    const tls_step step = engine_->handshake();
    if (step == tls_step::done && says_only_tickets()) co_return;
    const bool is_failed = step == tls_step::failed;
    const sent_outcome sent = co_await flush(is_failed ? alert_timeout : left_until(deadline));
    if (is_failed) raise_handshake(errc::malformed);
    if (!sent) raise_handshake(sent.failure);
    if (step == tls_step::done) co_return;
    received_outcome got = co_await timed_receive(over_, left_until(deadline));
    if (got.failure != errc{}) raise_handshake(got.failure);
    if (got.data.empty()) {
      engine_->put_end();
    } else {
      engine_->put(std::move(got.data));
    }
  }
}

task<> tls_channel::handshake() {
  static_cast<void>(over_here());
  try {
    co_await shake_hands(deadline_of(handshake_timeout_));
  } catch (const exception&) {
    ++stats_->failures;
    throw;
  }
  note_info();
  ++stats_->handshakes;
  if (!info_.is_resumed) co_return;
  ++stats_->resumed;
  tls_client_core::note_resumed(engine_->ssl());
}

void tls_channel::note_info() {
  SSL* ssl = engine_->ssl();
  info_.version = SSL_get_version(ssl);
  info_.cipher = SSL_get_cipher_name(ssl);
  const unsigned char* protocol = nullptr;
  unsigned int size = 0;
  SSL_get0_alpn_selected(ssl, &protocol, &size);
  if (size != 0) info_.protocol.assign(reinterpret_cast<const char*>(protocol), size);
  if (const char* name = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name)) {
    info_.server_name = name;
  }
  if (const X509* peer = SSL_get0_peer_certificate(ssl)) {
    info_.has_peer = true;
    info_.peer = name_text(X509_get_subject_name(peer));
  }
  info_.is_resumed = SSL_session_reused(ssl) == 1;
}

// ---- afterwards ----

task<received_outcome> tls_channel::receive(duration limit) {
  if (!engine_) {  // moved from
    co_await checkpoint();
    co_return received_outcome{.data = {}, .failure = errc::closed};
  }
  static_cast<void>(over_here());  // before anything of it is touched
  const wait_mark under_way(*engine_);
  co_await checkpoint();  // what is here already is a wait like any other
  const time_point deadline = deadline_of(limit);
  while (true) {
    bytes plain;
    switch (engine_->read(plain)) {
      case tls_step::done:
        co_return received_outcome{.data = std::move(plain)};
      case tls_step::failed:
        co_await flush(alert_timeout);
        co_return received_outcome{.data = {}, .failure = failure()->code()};
      case tls_step::wants_input:
        break;
    }
    if (over_ < 0) co_return received_outcome{.data = {}, .failure = errc::closed};
    received_outcome got = co_await timed_receive(over_, left_until(deadline));
    if (got.failure != errc{}) co_return got;
    if (got.data.empty()) {
      engine_->put_end();
    } else {
      engine_->put(std::move(got.data));
    }
  }
}

// One flush at a time: a receive's last word is left to the send that is under way.
task<sent_outcome> tls_channel::flush(duration limit) {
  if (engine_->is_flushing) co_return sent_outcome{};
  const flush_mark mark(*engine_);
  engine_->note_sent();  // of a send that was cancelled
  while (true) {
    const std::string_view sealed = engine_->next_to_send();
    if (sealed.empty()) co_return sent_outcome{};
    if (over_ < 0) co_return sent_outcome{errc::closed};
    const io_slice one{sealed.data(), sealed.size()};
    const sent_outcome sent = co_await timed_send(over_, {&one, 1}, limit, engine_->sending());
    engine_->note_sent();
    if (!sent) co_return sent;
  }
}

task<sent_outcome> tls_channel::send(std::span<const io_slice> pieces, duration limit,
                                     std::size_t* sent) {
  if (sent) *sent = 0;
  if (!engine_) {  // moved from
    co_await checkpoint();
    co_return sent_outcome{errc::closed};
  }
  static_cast<void>(over_here());
  const wait_mark under_way(*engine_);
  co_await checkpoint();
  if (engine_->has_ended_write()) co_return sent_outcome{errc::closed};
  slice_cursor left(pieces.data(), pieces.size());
  if (left.is_empty() && engine_->is_sending) co_return sent_outcome{};
  const send_mark mine(*engine_);
  while (true) {
    // A receive that has failed may be flushing its last word: no flush would begin here, and after
    // a failure nothing more is sealed.
    if (!left.is_empty() && failure()) co_return sent_outcome{failure()->code()};
    while (!left.is_empty() && engine_->unsent_bytes() < batch_bytes_max) {
      const std::size_t count = engine_->write(left);
      if (count == 0) co_return sent_outcome{failure()->code()};
      if (sent) *sent += count;
    }
    const sent_outcome flushed = co_await flush(limit);
    if (!flushed || left.is_empty()) co_return flushed;
  }
}

task<sent_outcome> tls_channel::end_send(duration limit) {
  if (!engine_) {  // moved from
    co_await checkpoint();
    co_return sent_outcome{errc::closed};
  }
  static_cast<void>(over_here());
  const wait_mark under_way(*engine_);
  engine_->end_write();
  co_return co_await flush(limit);
}

}  // namespace weir::detail
