// What TLS costs, both ends in one loop over TCP: handshakes, from nothing and resumed, and a
// message there and back. The peer does the same with OpenSSL alone, which is what the cryptography
// costs.
#include <weir/core.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/socket.hpp>
#include <weir/io/tls_socket.hpp>

#include "measure.hpp"
#include "tls_certificate.hpp"

#include <cstdio>
#include <memory>
#include <string>
#include <tuple>
#include <utility>

using weir::task;

namespace {

constexpr weir::tls_identity identity{.certificate = bench::certificate, .key = bench::key};

struct both_sides {
  weir::tls_server server{{.identities = {&identity, 1}}};
  weir::tls_client client{{.ca = bench::certificate}};
};

// One byte from the server: with it come the tickets by which a session is resumed.
task<> accept_and_say(both_sides* all, weir::socket plain, bool says) {
  weir::tls_socket peer = co_await weir::tls_accept(all->server, std::move(plain));
  if (says) co_await peer.send("!");
  while (const weir::bytes piece = co_await peer.receive()) co_await peer.send(piece);
  co_await peer.shutdown_send();
}

task<std::uint64_t> shake_hands(std::int64_t count, bool resumes) {
  both_sides all;
  weir::listener door = co_await weir::listen({});
  std::uint64_t resumed = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    co_await weir::with_scope([&](weir::scope& s) -> task<> {
      weir::socket plain = co_await weir::connect(door.local());
      s.spawn(accept_and_say, &all, co_await door.accept(), resumes);
      weir::tls_socket to = co_await weir::tls_connect(all.client, std::move(plain), "localhost");
      if (resumes) std::ignore = co_await to.receive();
      resumed += to.info().is_resumed ? 1 : 0;
      co_await to.shutdown_send();
      if (resumes) std::ignore = co_await to.receive();
      s.cancel("measured");
    });
  }
  // Each but the first one, or none.
  co_return resumed + 1 >= static_cast<std::uint64_t>(count) && resumes ? 1 : resumed;
}

task<std::uint64_t> echo(std::int64_t count, std::size_t size) {
  both_sides all;
  weir::listener door = co_await weir::listen({});
  std::uint64_t received = 0;
  co_await weir::with_scope([&](weir::scope& s) -> task<> {
    weir::socket plain = co_await weir::connect(door.local());
    s.spawn(accept_and_say, &all, co_await door.accept(), false);
    weir::tls_socket to = co_await weir::tls_connect(all.client, std::move(plain), "localhost");
    const std::string text(size, 'x');
    for (std::int64_t i = 0; i < count; ++i) {
      co_await to.send(text);
      for (std::size_t came = 0; came < size;) {
        const std::size_t piece = (co_await to.receive()).size();
        came += piece;
        received += piece;
      }
    }
    co_await to.shutdown_send();
    std::ignore = co_await to.receive();  // the end
  });
  co_return received;
}

std::uint64_t run(task<std::uint64_t> what) {
  const std::unique_ptr<weir::driver> driver = weir::make_driver({});
  return weir::run_on(*driver, std::move(what));
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 100 : 1;
  bench::measure("handshake", 2'000 / scale,
                 [](std::int64_t n) { return run(shake_hands(n, false)); });
  bench::measure("handshake/resumed", 2'000 / scale,
                 [](std::int64_t n) { return run(shake_hands(n, true)); });
  bench::measure("echo/bytes=64", 50'000 / scale, [](std::int64_t n) { return run(echo(n, 64)); });
  bench::measure("echo/bytes=16384", 10'000 / scale,
                 [](std::int64_t n) { return run(echo(n, 16'384)); });
}
