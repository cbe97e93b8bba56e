// The server of tls_remote: HTTP over TLS, which answers 64 bytes, and for the cases of `echo` one
// that sends each line back reversed, as `openssl s_server -rev` does.
#include <weir/core.hpp>
#include <weir/http/server.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/reader.hpp>
#include <weir/io/socket.hpp>
#include <weir/io/tls_socket.hpp>

#include "tls_certificate.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

namespace {

constexpr std::string_view body =
    "wwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwwww";
static_assert(body.size() == 64);

weir::task<> answer(weir::http::request&, weir::http::response& to) {
  co_await to.send(200, "text/plain", body);
}

weir::task<> send_back(weir::tls_server* by, weir::socket plain) {
  weir::tls_socket peer = co_await weir::tls_accept(*by, std::move(plain));
  weir::reader in(peer);
  while (const auto line = co_await in.read_line()) {
    std::string back(line->text());
    std::ranges::reverse(back);
    back += '\n';
    co_await peer.send(back);
  }
  co_await peer.shutdown_send();
}

weir::task<int> serve(bool is_http) {
  const weir::tls_identity who{.certificate = bench::certificate, .key = bench::key};
  weir::tls_server secure({.identities = {&who, 1}});
  weir::listener door = co_await weir::listen({.port = 0, .backlog = 4096});
  std::printf("listening %u\n", door.local().port());
  std::fflush(stdout);
  if (is_http) {
    weir::http::server one(answer);
    co_await one.run(std::move(door), &secure);
    co_return 0;
  }
  co_return co_await weir::with_scope({.name = "peers", .failures = weir::report},
                                      [&](weir::scope& peers) -> weir::task<int> {
                                        for (;;)
                                          peers.spawn(send_back, &secure, co_await door.accept());
                                      });
}

// Clients that reset their connections are no news here.
void ignore(const weir::unhandled_error&) noexcept {}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view last = argv[argc - 1];  // of --port 0 --case C
  weir::set_unhandled_handler(ignore);
  const auto driver = weir::make_driver();
  return weir::run_on(*driver, serve(!last.starts_with("echo")));
}
