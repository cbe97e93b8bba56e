// A web server: `hello_http [PORT]`, one loop per core. SIGTERM or Ctrl-C drains it.
#include <weir/base/text.hpp>
#include <weir/http.hpp>
#include <weir/io.hpp>

#include <cstdio>

namespace {

weir::task<> hello(weir::http::request& asked, weir::http::response& answer) {
  if (asked.path() == "/") co_return co_await answer.send(200, "text/plain", "Hello, world!\n");
  co_await answer.send_problem(404, "no_page", "there is only /");
}

weir::task<> serve(std::uint16_t port) {
  auto listener = co_await weir::listen({.port = port});
  co_await weir::http::serve(std::move(listener), hello);
}

}  // namespace

int main(int argc, char** argv) {
  const auto port = weir::parse_number(argc > 1 ? argv[1] : "8080", 65'535);
  if (argc > 2 || !port) return std::fputs("usage: hello_http [PORT]\n", stderr), 2;
  std::printf("try: curl http://127.0.0.1:%d/\n", static_cast<int>(*port));
  return weir::run_on_all_cores(serve, static_cast<std::uint16_t>(*port));
}
