// The HTTP server of the benchmarks: "Hello, world!" with all limits and time-outs on.
#include <weir/core.hpp>
#include <weir/http/server.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/socket.hpp>

#include <cstdio>

namespace {

weir::task<> hello(weir::http::request&, weir::http::response& answer) {
  co_await answer.send(200, "text/plain", "Hello, world!");
}

weir::task<int> serve() {
  weir::listener door = co_await weir::listen({.port = 0, .backlog = 4096});
  std::printf("listening %u\n", door.local().port());
  std::fflush(stdout);
  co_await weir::http::serve(std::move(door), hello);
  co_return 0;
}

// Clients that reset their connections are no news here.
void ignore(const weir::unhandled_error&) noexcept {}

}  // namespace

int main() {
  weir::set_unhandled_handler(ignore);
  const auto driver = weir::make_driver();
  return weir::run_on(*driver, serve());
}
