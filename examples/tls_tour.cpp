// TLS from both ends in one program: a server that chooses among protocols, a client that trusts
// it, and one that does not; docs/guide/connecting.md shows them. It runs to its end by itself. Its
// certificate, for "localhost", is made for this example and of no other use.
#include <weir/core/as_result.hpp>
#include <weir/io.hpp>
#include <weir/io/tls_socket.hpp>

#include <array>
#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

using namespace weir::literals;

namespace {

constexpr std::string_view certificate = R"(-----BEGIN CERTIFICATE-----
MIIBaDCCAQ2gAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAlsb2NhbGhv
c3QwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CWxvY2FsaG9zdDBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABLWvmIBsVCYpvSkD
cYYudBaLcZrix6e7w07YKRlOXid5rcVtDgRvMGGmdzw6t1YP7a03jm9LQVDBotG/
dq7EzqGjTjBMMBoGA1UdEQQTMBGCCWxvY2FsaG9zdIcEfwAAATAPBgNVHRMBAf8E
BTADAQH/MB0GA1UdDgQWBBRT930NMYpO9fHFz1KLUrFL3S5QrTAKBggqhkjOPQQD
AgNJADBGAiEAofGfCO5RPNhARlybZDm70ITPuFSUBRcWLCyogInq9ywCIQCSytcn
Vdoy9dSjXsJBecHqGjfKyr87m74HIO0LL+L7nw==
-----END CERTIFICATE-----
)";
constexpr std::string_view key = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgMy928vk5QGCEDYYB
tsRX7Zlyt7I8NHcpa9i+2kch5QehRANCAAS1r5iAbFQmKb0pA3GGLnQWi3Ga4sen
u8NO2CkZTl4nea3FbQ4EbzBhpnc8OrdWD+2tN45vS0FQwaLRv3auxM6h
-----END PRIVATE KEY-----
)";
constexpr std::array<std::string_view, 2> protocols{"h2", "http/1.1"};

// [serve]
weir::task<> greet(weir::tls_server& by, weir::socket plain) {
  weir::tls_socket peer = co_await weir::tls_accept(by, std::move(plain));
  std::printf("server: %s\n", std::string(peer.info().protocol).c_str());
  while (const auto piece = co_await peer.receive()) co_await peer.send(piece);
  co_await peer.shutdown_send();  // close_notify: the peer knows that nothing is missing
}
// [/serve]

// [call]
weir::task<> call(std::uint16_t port) {
  weir::tls_client trust({.ca = certificate, .protocols = {&protocols[1], 1}});
  weir::tls_socket to = co_await weir::tls_connect(trust, "localhost", port);
  co_await to.send("hello");
  co_await to.shutdown_send();
  std::string answer;
  while (const auto piece = co_await to.receive()) answer += piece.text();
  std::printf("client: %s\n", answer.c_str());
}
// [/call]

// [distrust]
weir::task<> call_without_trust(std::uint16_t port) {
  weir::tls_client stranger;  // trusts whom the system trusts
  const auto made = co_await weir::as_result(weir::tls_connect(stranger, "localhost", port));
  if (!made) std::printf("stranger: %s\n", std::string(name(made.error().code())).c_str());
}
// [/distrust]

weir::task<> tour() {
  const weir::tls_identity who{.certificate = certificate, .key = key};
  weir::tls_server server({.identities = {&who, 1}, .protocols = protocols});
  weir::listener door = co_await weir::listen({});
  const std::uint16_t port = door.local().port();
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { co_await greet(server, co_await door.accept()); });
    co_await call(port);
    co_await s.join();
  });
  std::string told;
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> {
      const auto outcome = co_await weir::as_result(greet(server, co_await door.accept()));
      if (!outcome) told = name(outcome.error().code());
    });
    co_await call_without_trust(port);
  });
  std::printf("server: %s\n", told.c_str());
}

}  // namespace

int main() { return weir::run(tour()); }
