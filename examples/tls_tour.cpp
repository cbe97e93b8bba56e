// TLS from both ends in one program: a server that chooses among protocols and names, a client that
// trusts it, and one that does not, sessions, certificates of clients and new ones for a server;
// docs/guide/connecting.md shows them. It runs to its end by itself. Its certificates are made for
// this example and of no other use.
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
// Another one, for "shop.test".
constexpr std::string_view shop_certificate = R"(-----BEGIN CERTIFICATE-----
MIIBljCCATugAwIBAgIUTcxTMB7PmFSaJb/uLkbxkqo1lLswCgYIKoZIzj0EAwIw
FDESMBAGA1UEAwwJc2hvcC50ZXN0MCAXDTI2MTEyNzE2MzcxMVoYDzIxMjUwNjIx
MTYzNzExWjAUMRIwEAYDVQQDDAlzaG9wLnRlc3QwWTATBgcqhkjOPQIBBggqhkjO
PQMBBwNCAAQTCcK+DmwdsHhjzKNillGQyizVmCdmzjlq7qRXa8omUI4LcBUgt2R0
2y+iAZAhK4cP5afNXF92Fy8231cUhZodo2kwZzAdBgNVHQ4EFgQUU7ZJx4ei++l1
e1rUh4z6biUUJAkwHwYDVR0jBBgwFoAUU7ZJx4ei++l1e1rUh4z6biUUJAkwDwYD
VR0TAQH/BAUwAwEB/zAUBgNVHREEDTALgglzaG9wLnRlc3QwCgYIKoZIzj0EAwID
SQAwRgIhAOb8hcdxHn1umPdthTwnJ2JmriMbRnSlxZWp6f4glJtQAiEAo6lfikDa
0aHLtzyU1meP21j+h0ykaTEU41I+7by53YI=
-----END CERTIFICATE-----
)";
constexpr std::string_view shop_key = R"(-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgaW6DxFdX8QD5h9pd
9Xc7E8/9XZlTKZSOABKrimhaxRehRANCAAQTCcK+DmwdsHhjzKNillGQyizVmCdm
zjlq7qRXa8omUI4LcBUgt2R02y+iAZAhK4cP5afNXF92Fy8231cUhZod
-----END PRIVATE KEY-----
)";
constexpr std::array<std::string_view, 2> protocols{"h2", "http/1.1"};

// [serve]
weir::task<> echo(weir::tls_socket& peer) {
  while (const auto piece = co_await peer.receive()) co_await peer.send(piece);
  co_await peer.shutdown_send();  // close_notify: the peer knows that nothing is missing
}
weir::task<> greet(weir::tls_server& by, weir::socket plain) {
  weir::tls_socket peer = co_await weir::tls_accept(by, std::move(plain));
  std::printf("server: %s\n", std::string(peer.info().protocol).c_str());
  co_await echo(peer);
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

// [resume]
weir::task<> part(weir::tls_socket& from) {
  co_await from.shutdown_send();
  while (co_await from.receive()) {  // until the other end says so, too; tickets come on the way
  }
}
// One connection after the other: each client keeps the last session with a host.
weir::task<> call_twice(std::uint16_t port) {
  weir::tls_client trust({.ca = certificate});
  for (int i = 0; i < 2; ++i) {
    weir::tls_socket to = co_await weir::tls_connect(trust, "localhost", port);
    std::printf("session: %s\n", to.info().is_resumed ? "resumed" : "new");
    co_await part(to);
  }
}
// [/resume]

// [names]
// Which certificate a server shows is decided by the name that its client asks for.
weir::task<> visit_shop(std::uint16_t port) {
  weir::tls_client trust({.ca = shop_certificate});
  weir::socket plain = co_await weir::connect("localhost", port);
  plain.set_keep_alive(60_s);  // a peer that has vanished is noticed after about a minute
  weir::tls_socket to = co_await weir::tls_connect(trust, std::move(plain), "shop.test");
  std::printf("shop: trusted\n");
  co_await part(to);
}
// [/names]

// [client_certificate]
weir::task<> call_with_certificate(std::uint16_t port) {
  weir::tls_client member(
      {.ca = certificate, .identity = {.certificate = shop_certificate, .key = shop_key}});
  weir::tls_socket to = co_await weir::tls_connect(member, "localhost", port);
  co_await to.send("hello");
  std::printf("member: %s\n", std::string((co_await to.receive()).text()).c_str());
  co_await part(to);
}
weir::task<> serve_members_only() {
  const weir::tls_identity who{.certificate = certificate, .key = key};
  weir::tls_server server({.identities = {&who, 1},
                           .client_ca = shop_certificate,  // which signed itself
                           .client_auth = weir::tls_client_auth::required});
  weir::listener door = co_await weir::listen({});
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> {
      weir::tls_socket peer = co_await weir::tls_accept(server, co_await door.accept());
      co_await echo(peer);
    });
    co_await call_with_certificate(door.local().port());
  });
}
// [/client_certificate]

// [reload]
// From the next handshake on; connections that stand keep theirs. A wrong text changes nothing.
void renew(weir::tls_server& server, const weir::tls_identity& fresh) {
  try {
    server.reload({.identities = {&fresh, 1}});
    std::printf("reload: done\n");
  } catch (const weir::exception& e) {
    std::printf("reload: %s\n", std::string(name(e.reason().code())).c_str());
  }
}
// [/reload]

weir::task<> serve_names() {
  const std::array<weir::tls_identity, 2> all{
      weir::tls_identity{.certificate = certificate, .key = key},
      weir::tls_identity{.certificate = shop_certificate, .key = shop_key}};
  weir::tls_server server({.identities = all});
  weir::listener door = co_await weir::listen({});
  const std::uint16_t port = door.local().port();
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> {
      for (int i = 0; i < 3; ++i) {
        weir::tls_socket peer = co_await weir::tls_accept(server, co_await door.accept());
        co_await echo(peer);
      }
    });
    co_await call_twice(port);
    co_await visit_shop(port);
  });
  renew(server, {.certificate = shop_certificate, .key = key});
  renew(server, all[1]);
}

// [limits]
// Who connects and then says nothing is given up after a while, with no deadline around it.
weir::task<> meet_a_silent_peer() {
  const weir::tls_identity who{.certificate = certificate, .key = key};
  weir::tls_server server({.identities = {&who, 1}, .handshake_timeout = 20_ms});
  weir::listener door = co_await weir::listen({});
  const weir::socket silent = co_await weir::connect(door.local());
  const auto made = co_await weir::as_result(weir::tls_accept(server, co_await door.accept()));
  std::printf("silent: %s\n", made ? "a peer" : std::string(name(made.error().code())).c_str());
}
// Texts may say which files they are of, for errors.
void trust_a_wrong_file() {
  try {
    const weir::tls_client nobody({.ca = "no PEM", .ca_name = "/etc/shop/ca.pem"});
  } catch (const weir::exception& e) {
    std::printf("%s\n", std::string(e.reason().message()).c_str());
  }
}
// [/limits]

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
  co_await serve_names();
  co_await serve_members_only();
  co_await meet_a_silent_peer();
  trust_a_wrong_file();
}

}  // namespace

int main() { return weir::run(tour()); }
