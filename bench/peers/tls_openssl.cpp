// OpenSSL's side of tls_bench: both ends in one thread that tries them in turn, without an event
// loop. Nobody who uses OpenSSL over sockets can do with less.
#include "../measure.hpp"
#include "../tls_certificate.hpp"
#include "listen.hpp"
#include <fcntl.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace {

void insist(bool is_fine) {
  if (is_fine) return;
  ERR_print_errors_fp(stderr);
  std::abort();
}

BIO* text_of(std::string_view text) {
  return BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
}

struct contexts {
  SSL_CTX* server = SSL_CTX_new(TLS_server_method());
  SSL_CTX* client = SSL_CTX_new(TLS_client_method());
  SSL_SESSION* session = nullptr;

  contexts() {
    BIO* certificate_text = text_of(bench::certificate);
    BIO* key_text = text_of(bench::key);
    X509* certificate = PEM_read_bio_X509(certificate_text, nullptr, nullptr, nullptr);
    EVP_PKEY* key = PEM_read_bio_PrivateKey(key_text, nullptr, nullptr, nullptr);
    insist(SSL_CTX_use_certificate(server, certificate) == 1);
    insist(SSL_CTX_use_PrivateKey(server, key) == 1);
    insist(X509_STORE_add_cert(SSL_CTX_get_cert_store(client), certificate) == 1);
    SSL_CTX_set_verify(client, SSL_VERIFY_PEER, nullptr);
    SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_set_app_data(client, this);
    SSL_CTX_sess_set_new_cb(client, [](SSL* of, SSL_SESSION* made) {
      auto& all = *static_cast<contexts*>(SSL_CTX_get_app_data(SSL_get_SSL_CTX(of)));
      SSL_SESSION_free(std::exchange(all.session, made));
      return 1;
    });
    EVP_PKEY_free(key);
    X509_free(certificate);
    BIO_free(key_text);
    BIO_free(certificate_text);
  }
  ~contexts() {
    SSL_SESSION_free(session);
    SSL_CTX_free(client);
    SSL_CTX_free(server);
  }
};

/// A connection of two TCP sockets that don't block, and TLS at both of its ends.
struct connection {
  SSL* client;
  SSL* server;
  int near;
  int far;

  connection(contexts& all, int door, bool resumes)
      : client(SSL_new(all.client)), server(SSL_new(all.server)) {
    sockaddr_in where{};
    socklen_t size = sizeof where;
    auto* address = reinterpret_cast<sockaddr*>(&where);
    getsockname(door, address, &size);
    near = socket(AF_INET, SOCK_STREAM, 0);
    insist(connect(near, address, size) == 0);
    far = accept4(door, nullptr, nullptr, SOCK_NONBLOCK);
    insist(far >= 0);
    fcntl(near, F_SETFL, O_NONBLOCK);
    bench::set_no_delay(near);
    bench::set_no_delay(far);
    SSL_set_fd(client, near);
    SSL_set_fd(server, far);
    SSL_set_connect_state(client);
    SSL_set_accept_state(server);
    SSL_set_tlsext_host_name(client, "localhost");
    SSL_set1_host(client, "localhost");
    if (resumes && all.session) SSL_set_session(client, all.session);
    while (!SSL_is_init_finished(client) || !SSL_is_init_finished(server)) {
      SSL_do_handshake(client);
      SSL_do_handshake(server);
    }
  }
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;
  ~connection() {
    SSL_free(client);
    SSL_free(server);
    close(near);
    close(far);
  }
};

int bytes_of(int outcome) { return outcome > 0 ? outcome : 0; }

void say_good_bye(connection& over) {
  char byte = 0;
  SSL_shutdown(over.client);
  while (SSL_read(over.server, &byte, 1) > 0 || SSL_get_shutdown(over.server) == 0) {
  }
  SSL_shutdown(over.server);
}

std::uint64_t shake_hands(std::int64_t count, bool resumes) {
  contexts all;
  const int door = bench::listen_quietly();
  std::uint64_t resumed = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    connection over(all, door, resumes);
    char byte = 0;
    if (resumes) {
      insist(SSL_write(over.server, "!", 1) == 1);
      while (SSL_read(over.client, &byte, 1) != 1) {
      }
    }
    resumed += SSL_session_reused(over.client) ? 1 : 0;
    say_good_bye(over);
  }
  close(door);
  return resumed + 1 >= static_cast<std::uint64_t>(count) && resumes ? 1 : resumed;
}

std::uint64_t echo(std::int64_t count, std::size_t size) {
  contexts all;
  const int door = bench::listen_quietly();
  connection over(all, door, false);
  const std::string text(size, 'x');
  std::string memory(size, ' ');
  std::uint64_t received = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    insist(SSL_write(over.client, text.data(), static_cast<int>(size)) > 0);
    for (std::size_t came = 0; came < size;) {
      const int piece = bytes_of(SSL_read(over.server, memory.data(), static_cast<int>(size)));
      if (piece > 0) insist(SSL_write(over.server, memory.data(), piece) == piece);
      came += static_cast<std::size_t>(piece);
    }
    for (std::size_t came = 0; came < size;) {
      const int piece = bytes_of(SSL_read(over.client, memory.data(), static_cast<int>(size)));
      came += static_cast<std::size_t>(piece);
      received += static_cast<std::size_t>(piece);
    }
  }
  say_good_bye(over);
  close(door);
  return received;
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 100 : 1;
  bench::measure("handshake", 2'000 / scale, [](std::int64_t n) { return shake_hands(n, false); });
  bench::measure("handshake/resumed", 2'000 / scale,
                 [](std::int64_t n) { return shake_hands(n, true); });
  bench::measure("echo/bytes=64", 50'000 / scale, [](std::int64_t n) { return echo(n, 64); });
  bench::measure("echo/bytes=16384", 10'000 / scale,
                 [](std::int64_t n) { return echo(n, 16'384); });
}
