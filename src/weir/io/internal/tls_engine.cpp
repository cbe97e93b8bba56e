#include <weir/io/internal/tls_engine.hpp>

#include <weir/base/assert.hpp>
#include <weir/io/internal/tls_text.hpp>

#include <openssl/bio.h>
#include <openssl/err.h>

#include <algorithm>
#include <cstring>
#include <exception>
#include <utility>

namespace weir::detail {

namespace {

constexpr std::size_t output_kept_max = 2 * 1024;  // an idle connection holds no more

struct method_closer {
  void operator()(BIO_METHOD* one) const noexcept { BIO_meth_free(one); }
};

}  // namespace

// What OpenSSL calls to move sealed bytes.
struct tls_engine::bio_calls {
  static tls_engine& of(BIO* one) noexcept { return *static_cast<tls_engine*>(BIO_get_data(one)); }

  static int read(BIO* from, char* into, int size) noexcept {
    tls_engine& self = of(from);
    BIO_clear_retry_flags(from);
    if (self.input_.empty()) {
      if (self.is_input_ended_) return 0;
      BIO_set_retry_read(from);
      return -1;
    }
    const std::size_t count = std::min(self.input_.size(), static_cast<std::size_t>(size));
    std::memcpy(into, self.input_.data(), count);
    self.input_ = count == self.input_.size() ? bytes() : self.input_.slice(count);
    return static_cast<int>(count);
  }

  static int write(BIO* to, const char* data, int size) noexcept {
    BIO_clear_retry_flags(to);
    try {
      of(to).output_.append(data, static_cast<std::size_t>(size));
      return size;
    } catch (const std::exception&) {  // no memory: the connection fails
      return -1;
    }
  }

  static long control(BIO* of_bio, int command, long, void*) noexcept {
    if (command == BIO_CTRL_FLUSH) return 1;
    if (command == BIO_CTRL_EOF) return of(of_bio).is_input_ended_ && of(of_bio).input_.empty();
    return 0;
  }

  /// A table of functions; made once, for it is the same for all.
  static const BIO_METHOD* method() {
    static const std::unique_ptr<BIO_METHOD, method_closer> made = [] {
      std::unique_ptr<BIO_METHOD, method_closer> one(
          BIO_meth_new(BIO_TYPE_SOURCE_SINK | 0x70, "weir"));
      BIO_meth_set_read(one.get(), &read);
      BIO_meth_set_write(one.get(), &write);
      BIO_meth_set_ctrl(one.get(), &control);
      return one;
    }();
    return made.get();
  }
};

tls_engine::tls_engine(ssl_owner of, receive_arena& memory, std::string host)
    : ssl_(std::move(of)), memory_(memory), host_(std::move(host)) {
  BIO* queues = BIO_new(bio_calls::method());
  if (!queues) throw std::bad_alloc();
  BIO_set_data(queues, this);
  BIO_set_init(queues, 1);
  SSL_set_bio(ssl_.get(), queues, queues);
  SSL_set_app_data(ssl_.get(), this);
}

// OpenSSL gives up the session of a connection that goes without our close_notify, which is asked
// for no longer (RFC 5246, 7.2.1): many a client drops what it needs no more. One that has failed
// stays given up.
tls_engine::~tls_engine() {
  WEIR_ASSERT(waits == 0 && "a tls_socket outlives its receive and send, and stays where it is");
  if (is_up_ && !failure_) {
    SSL_set_shutdown(ssl_.get(), SSL_get_shutdown(ssl_.get()) | SSL_SENT_SHUTDOWN);
  }
}

int tls_engine::note_verification(int is_right, X509_STORE_CTX* verification) noexcept {
  if (is_right == 1) return 1;
  const auto* ssl = static_cast<const SSL*>(
      X509_STORE_CTX_get_ex_data(verification, SSL_get_ex_data_X509_STORE_CTX_idx()));
  tls_engine& self = of(ssl);
  try {
    if (self.refusal_.empty()) self.refusal_ = verify_text(verification, self.host_);
  } catch (const std::exception&) {
    self.refusal_.clear();  // no memory for the words
  }
  return 0;
}

void tls_engine::fail() {
  if (!failure_) failure_ = tls_failure(is_up_, refusal_);
  ERR_clear_error();
}

tls_step tls_engine::step_after(int outcome) {
  if (unsent_bytes() > unsent_bytes_max) {
    failure_ = error(errc::malformed, "TLS: the peer wants answers and does not read them");
    return tls_step::failed;
  }
  if (SSL_get_error(ssl_.get(), outcome) == SSL_ERROR_WANT_READ) {
    if (input_.empty()) return tls_step::wants_input;
    failure_ = error(errc::malformed, "TLS: bytes that lead nowhere");  // not seen: all is read
    return tls_step::failed;
  }
  fail();
  return tls_step::failed;
}

tls_step tls_engine::handshake() {
  if (failure_) return tls_step::failed;
  ERR_clear_error();
  const int outcome = SSL_do_handshake(ssl_.get());
  if (outcome != 1) return step_after(outcome);
  is_up_ = true;
  return tls_step::done;
}

tls_step tls_engine::read(bytes& out) {
  if (failure_) return tls_step::failed;
  const receive_arena::space room = memory_.room();
  if (!room.data) {
    failure_ = error(errc::full, "TLS: plain_blocks_max blocks of received bytes are held");
    return tls_step::failed;
  }
  ERR_clear_error();
  std::size_t count = 0;
  const int outcome = SSL_read_ex(ssl_.get(), room.data, room.size, &count);
  if (outcome == 1) {
    out = memory_.take(count);
    return tls_step::done;
  }
  if (SSL_get_error(ssl_.get(), outcome) == SSL_ERROR_ZERO_RETURN) {
    out = bytes();
    return tls_step::done;
  }
  return step_after(outcome);
}

std::size_t tls_engine::seal(const void* data, std::size_t size) {
  ERR_clear_error();
  std::size_t count = 0;
  if (SSL_write_ex(ssl_.get(), data, size, &count) == 1) return count;
  fail();
  return 0;
}

std::size_t tls_engine::write(slice_cursor& from) {
  if (failure_) return 0;
  io_request next;
  from.load(next);
  WEIR_ASSERT(next.slice_count != 0);
  const io_slice& first = next.slices[0];
  std::size_t count = 0;
  if (next.slice_count == 1 || first.size >= record_bytes_max) {
    count = seal(first.data, std::min(first.size, record_bytes_max));
  } else {  // small pieces share a record
    char together[record_bytes_max];
    std::size_t size = 0;
    for (std::size_t i = 0; i < next.slice_count && size < sizeof together; ++i) {
      const std::size_t part = std::min(next.slices[i].size, sizeof together - size);
      if (part != 0) std::memcpy(together + size, next.slices[i].data, part);
      size += part;
    }
    count = seal(together, size);
  }
  from.advance(count);
  return count;
}

void tls_engine::end_write() {
  if (std::exchange(is_write_ended_, true) || failure_) return;
  ERR_clear_error();
  if (SSL_shutdown(ssl_.get()) < 0) ERR_clear_error();  // before the handshake's end: none to tell
}

std::string_view tls_engine::next_to_send() noexcept {
  if (flight_.empty()) flight_.swap(output_);
  return std::string_view(flight_).substr(sent_);  // (1)
}

void tls_engine::note_sent() noexcept {
  sent_ += std::exchange(sending_, 0);
  WEIR_ASSERT(sent_ <= flight_.size());
  if (sent_ < flight_.size()) return;
  sent_ = 0;
  if (flight_.capacity() > output_kept_max) {
    flight_ = std::string();
  } else {
    flight_.clear();
  }
}

}  // namespace weir::detail
