// An echo server: `echo [PORT]`, one loop per core. A failing connection is reported and ends
// alone; at most 10,000 are open at once on a core, then accept waits. SIGTERM or Ctrl-C ends it.
#include <weir/base/text.hpp>
#include <weir/io.hpp>

#include <cstdio>

namespace {

weir::task<> echo(weir::socket peer) {
  while (auto bytes = co_await peer.receive()) co_await peer.send(bytes);
}

weir::task<> serve(std::uint16_t port) {
  auto listener = co_await weir::listen({.port = port});
  std::printf("listening on %s\n", listener.local().text().c_str());
  std::fflush(stdout);
  co_await weir::with_scope(
      {.tasks_max = 10'000, .failures = weir::report}, [&](weir::scope& peers) -> weir::task<> {
        for (;;) co_await peers.spawn_when_room(echo, co_await listener.accept_patiently());
      });
}

}  // namespace

int main(int argc, char** argv) {
  const auto port = weir::parse_number(argc > 1 ? argv[1] : "7000", 65'535);
  if (argc > 2 || !port) {
    std::fprintf(stderr, "usage: echo [PORT]\n");
    return 2;
  }
  return weir::run_on_all_cores(serve, static_cast<std::uint16_t>(*port));
}
