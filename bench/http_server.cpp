// The web server of the benchmarks: the whole server of weir, with its time-outs and limits, and a
// handler that says hello.
#include <weir/http.hpp>

#include <weir/core.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/socket.hpp>

#include <cstdio>

namespace {

weir::task<> hello(weir::http::request&, weir::http::response& answer) {
  co_await answer.send(200, "text/plain", "Hello, world!");
}

// Clients that reset their connections are no news here.
void ignore(const weir::unhandled_error&) noexcept {}

weir::task<> serve() {
  weir::listener listener = co_await weir::listen({.port = 0, .backlog = 4096});
  std::printf("listening %u\n", listener.local().port());
  std::fflush(stdout);
  co_await weir::http::serve(std::move(listener), hello, {.connections_max = 100'000});
}

}  // namespace

int main() {
  weir::set_unhandled_handler(ignore);
  const auto driver = weir::make_driver();
  weir::run_on(*driver, serve());
}
