// Loads a server over TLS: handshakes one after the other, from nothing or resumed, and messages
// over connections that stay. OpenSSL over sockets that block, in one thread. The hard idea: it is
// the same for every server, and says which protocol, cipher and curve there are, so what differs
// is the server's processor time.
#include "client_cases.hpp"
#include "tls_certificate.hpp"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <string_view>
#include <utility>

namespace {

enum class work : unsigned char { shake_hands, resume, request, line };

struct load {
  const char* name;
  work what;
  int connections;
  std::int64_t count;
};
constexpr load loads[] = {
    {"handshake/full", work::shake_hands, 1, 1'000},
    {"handshake/resumed", work::resume, 1, 1'000},
    {"request/c=1,b=64", work::request, 1, 10'000},
    {"request/c=64,b=64", work::request, 64, 30'000},
    {"echo/c=1,b=64", work::line, 1, 10'000},
};

void insist(bool is_fine, const char* what) {
  if (is_fine) return;
  std::fprintf(stderr, "tls_remote_client: %s\n", what);
  ERR_print_errors_fp(stderr);
  std::exit(1);
}

/// Whom the client trusts, and the latest session that a server has given it.
class trust {
 public:
  trust() {
    BIO* text = BIO_new_mem_buf(bench::certificate.data(), int(bench::certificate.size()));
    X509* certificate = PEM_read_bio_X509(text, nullptr, nullptr, nullptr);
    insist(X509_STORE_add_cert(SSL_CTX_get_cert_store(context_), certificate) == 1, "certificate");
    X509_free(certificate);
    BIO_free(text);
    SSL_CTX_set_verify(context_, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_min_proto_version(context_, TLS1_3_VERSION);
    insist(SSL_CTX_set_ciphersuites(context_, "TLS_AES_128_GCM_SHA256") == 1, "cipher");
    insist(SSL_CTX_set1_groups_list(context_, "X25519") == 1, "curve");
    SSL_CTX_set_session_cache_mode(context_, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(context_, this);
    SSL_CTX_sess_set_new_cb(context_, [](SSL* of, SSL_SESSION* made) {
      auto& self = *static_cast<trust*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(of)));
      SSL_SESSION_free(std::exchange(self.session_, made));
      return 1;
    });
  }
  trust(const trust&) = delete;
  trust& operator=(const trust&) = delete;
  ~trust() {
    SSL_SESSION_free(session_);
    SSL_CTX_free(context_);
  }

  SSL* make(bool resumes) const {
    SSL* made = SSL_new(context_);
    SSL_set_tlsext_host_name(made, "localhost");
    SSL_set1_host(made, "localhost");
    if (resumes) insist(session_ && SSL_set_session(made, session_) == 1, "no session to resume");
    return made;
  }

 private:
  SSL_CTX* context_ = SSL_CTX_new(TLS_client_method());
  SSL_SESSION* session_ = nullptr;
};

/// A connection after its handshake.
class connection {
 public:
  connection(const trust& by, int port, bool resumes = false)
      : handle_(socket(AF_INET, SOCK_STREAM, 0)), tls_(by.make(resumes)) {
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    where.sin_port = htons(static_cast<std::uint16_t>(port));
    insist(connect(handle_, reinterpret_cast<sockaddr*>(&where), sizeof where) == 0, "connect");
    const int on = 1;
    setsockopt(handle_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    SSL_set_fd(tls_, handle_);
    insist(SSL_connect(tls_) == 1, "handshake");
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  ~connection() {
    SSL_free(tls_);
    close(handle_);
  }

  bool is_resumed() const { return SSL_session_reused(tls_) == 1; }
  void send(std::string_view text) {
    insist(SSL_write(tls_, text.data(), int(text.size())) == int(text.size()), "send");
  }
  /// Reads until what has come ends with `answer`.
  void expect(std::string_view answer) {
    std::size_t came = 0;
    do {
      const int piece = SSL_read(tls_, memory_ + came, int(sizeof memory_ - came));
      insist(piece > 0, "no answer, or a wrong one");
      came += static_cast<std::size_t>(piece);
    } while (!std::string_view(memory_, came).ends_with(answer));
  }
  /// Says good-bye and waits until the server has closed. Its tickets arrive on the way.
  void end() {
    SSL_shutdown(tls_);
    while (SSL_read(tls_, memory_, sizeof memory_) > 0) {
    }
    while (recv(handle_, memory_, sizeof memory_, 0) > 0) {
    }
    ERR_clear_error();
  }

 private:
  int handle_;
  SSL* tls_;
  char memory_[2'048];
};

/// How many handshakes were of the kind that was asked for.
std::uint64_t shake_hands(const trust& by, int port, bool resumes, std::int64_t count) {
  std::uint64_t as_asked = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    connection one(by, port, resumes);
    as_asked += one.is_resumed() == resumes ? 1 : 0;
    one.end();
  }
  return as_asked;
}

/// Each connection sends, then each waits for its answer.
std::uint64_t exchange(std::deque<connection>& over, std::string_view asked,
                       std::string_view answer, std::int64_t count) {
  std::int64_t done = 0;
  while (done < count) {
    const auto now = std::min(over.size(), static_cast<std::size_t>(count - done));
    for (std::size_t i = 0; i < now; ++i) over[i].send(asked);
    for (std::size_t i = 0; i < now; ++i) over[i].expect(answer);
    done += static_cast<std::int64_t>(now);
  }
  return static_cast<std::uint64_t>(done);
}

/// Runs work(count) for a sixteenth before the server is charged, then for all.
template <class Work>
void charge(const load& what, Work run) {
  run(what.count / 16 + 1);
  bench::begin_charging();
  bench::print_row(what.name, static_cast<double>(what.count), "requests", run(what.count));
}

void run_load(load what, int port, bool is_small) {
  if (is_small) what.count /= 200;
  const trust by;
  if (what.what == work::shake_hands || what.what == work::resume) {
    shake_hands(by, port, false, 1);  // the first session
    return charge(
        what, [&](std::int64_t n) { return shake_hands(by, port, what.what == work::resume, n); });
  }
  std::deque<connection> over;
  for (int i = 0; i < what.connections; ++i) over.emplace_back(by, port);
  if (what.what == work::request) {
    constexpr std::string_view asked = "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n";
    const std::string body(64, 'w');
    charge(what, [&](std::int64_t n) { return exchange(over, asked, "\r\n\r\n" + body, n); });
  } else {
    const std::string asked = std::string(62, 'w') + "e\n";
    charge(what, [&](std::int64_t n) {
      return exchange(over, asked, "e" + std::string(62, 'w') + "\n", n);
    });
  }
}

}  // namespace

int main(int argc, char** argv) { return bench::run_client(argc, argv, loads, run_load); }
