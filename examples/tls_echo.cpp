// An echo server over TLS: `tls_echo CERT KEY [PORT]`, PEM files both. Try it with
// `openssl s_client -connect localhost:7443`. SIGHUP reads the files anew; SIGTERM ends it.
#include <weir/base/text.hpp>
#include <weir/io.hpp>
#include <weir/io/tls_socket.hpp>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <iterator>
#include <optional>
#include <string>
#include <utility>

namespace {

std::string text_of(const char* path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

struct files {
  const char* certificate;
  const char* key;

  // The settings hold views: they are used while the texts live.
  template <class Use>
  void with_settings(Use use) const {
    const std::string cert = text_of(certificate);
    const std::string secret = text_of(key);
    const weir::tls_identity who{
        .certificate = cert, .key = secret, .certificate_name = certificate, .key_name = key};
    use(weir::tls_server_settings{.identities = {&who, 1}});
  }
};

weir::task<> echo(weir::tls_server* by, weir::socket plain) {
  weir::tls_socket peer = co_await weir::tls_accept(*by, std::move(plain));
  while (auto bytes = co_await peer.receive()) co_await peer.send(bytes);
  co_await peer.shutdown_send();
}

weir::task<> reload(weir::tls_server* server, const files* from) {
  for (;;) {
    co_await weir::wait_signal(SIGHUP);
    from->with_settings([&](const auto& settings) { server->reload(settings); });
  }
}

weir::task<> serve(files from, std::uint16_t port) {
  std::optional<weir::tls_server> server;
  from.with_settings([&](const auto& settings) { server.emplace(settings); });
  auto listener = co_await weir::listen({.port = port});
  std::printf("listening on %s\n", listener.local().text().c_str());
  std::fflush(stdout);
  co_await weir::with_scope(
      {.tasks_max = 10'000, .failures = weir::report}, [&](weir::scope& peers) -> weir::task<> {
        peers.spawn(reload, &*server, &from);
        for (;;)
          co_await peers.spawn_when_room(echo, &*server, co_await listener.accept_patiently());
      });
}

}  // namespace

int main(int argc, char** argv) {
  const auto port = weir::parse_number(argc > 3 ? argv[3] : "7443", 65'535);
  if (argc < 3 || argc > 4 || !port) {
    std::fprintf(stderr, "usage: tls_echo CERT KEY [PORT]\n");
    return 2;
  }
  return weir::run(serve(files{argv[1], argv[2]}, static_cast<std::uint16_t>(*port)));
}
