// The echo server of the benchmarks: a coroutine for each connection.
#include <weir/core.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/socket.hpp>

#include <cstdio>

namespace {

weir::task<> echo(weir::socket peer) {
  while (auto bytes = co_await peer.receive()) co_await peer.send(bytes.text());
}

// Clients that reset their connections are no news here.
void ignore(const weir::unhandled_error&) noexcept {}

weir::task<int> serve() {
  weir::listener listener = co_await weir::listen({.port = 0, .backlog = 4096});
  std::printf("listening %u\n", listener.local().port());
  std::fflush(stdout);
  co_return co_await weir::with_scope({.name = "peers", .failures = weir::report},
                                      [&](weir::scope& peers) -> weir::task<int> {
                                        for (;;) peers.spawn(echo, co_await listener.accept());
                                      });
}

}  // namespace

int main() {
  weir::set_unhandled_handler(ignore);
  const auto driver = weir::make_driver();
  return weir::run_on(*driver, serve());
}
