// Names, services and connections, one function for each; docs/guide/connecting.md shows them. It
// runs to its end by itself, and asks no name server but its own, which stays silent.
#include <weir/core/as_result.hpp>
#include <weir/io.hpp>
#include <weir/io/connect_any.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/resolve.hpp>
#include <weir/io/resolve_service.hpp>

#include <unistd.h>

#include <cstdio>
#include <optional>
#include <string>
#include <utility>
#include <vector>

using namespace weir::literals;

namespace {

// [connect]
weir::task<std::string> ask(std::string host, std::uint16_t port) {
  weir::socket to = co_await weir::connect(std::move(host), port);
  co_await to.send("hello");
  co_await to.shutdown_send();
  std::string answer;
  while (const auto piece = co_await to.receive()) answer += piece.text();
  co_return answer;
}
// [/connect]

// [any]
weir::task<> use_whichever_answers(std::vector<weir::address> replicas) {
  const weir::socket nearest = co_await weir::connect_any(std::move(replicas), 100_ms);
  std::printf("connected: %s\n", nearest ? "yes" : "no");
}
// [/any]

// [resolve]
// Each next try takes longer than the one before; the only server here never answers.
weir::task<> ask_in_vain() {
  const weir::datagram_socket silent = weir::bind_datagrams();
  const std::string server = silent.local().text();
  const auto found = co_await weir::as_result(weir::resolve(
      "shop.test", 443, {.try_timeout = 5_ms, .tries = 2, .servers = server.c_str()}));
  std::printf("resolve: %s\n", found ? "found" : std::string(name(found.error().code())).c_str());
}
// [/resolve]

// [service]
weir::task<std::optional<weir::socket>> connect_to_service(std::string name) {
  for (const weir::service_target& one : co_await weir::resolve_service(std::move(name))) {
    auto made = co_await weir::as_result(weir::connect(one.host, one.port));
    if (made) co_return std::move(*made);
    co_await weir::checkpoint();  // a cancellation is no reason to try the next one
  }
  co_return std::nullopt;
}
// [/service]

// [order]
// In which order to try what was found by other means than resolve() and resolve_service().
void print_orders() {
  const auto at = [](const char* text) { return weir::value_or_raise(weir::address::parse(text)); };
  for (const weir::address& one :
       weir::in_turn_by_family({at("[::1]:80"), at("[::2]:80"), at("10.0.0.1:80")}))
    std::printf("%s ", one.text().c_str());
  std::printf("\n");
  weir::random_source lots(1);
  const auto targets = weir::by_priority_and_lot(
      {{.host = "spare", .priority = 20}, {.host = "main", .priority = 10}}, lots);
  std::printf("%s, then %s\n", targets[0].host.c_str(), targets[1].host.c_str());
}
// [/order]

weir::task<> echo_once(weir::listener& door) {
  weir::socket peer = co_await door.accept();
  while (const auto piece = co_await peer.receive()) co_await peer.send(piece);
  co_await peer.shutdown_send();
}

// [unix]
// Within one machine a path does instead of a port, and the folder's rights say who may connect.
weir::task<> over_a_path(std::string path) {
  weir::listener door = co_await weir::listen({.path = path});
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { co_await echo_once(door); });
    weir::socket to = co_await weir::connect(door.local());
    co_await to.send("by path");
    std::printf("unix: %s\n", std::string((co_await to.receive()).text()).c_str());
    co_await to.shutdown_send();
  });
  co_await weir::remove_path(path);  // it stays until then, or until somebody listens there
}
// [/unix]

// [shared]
// Two loops, or two processes, may listen at one port: the kernel gives each connection to one.
weir::task<> share_a_port() {
  const weir::listener one = co_await weir::listen({.reuse_port = true});
  const std::uint16_t port = one.local().port();
  const weir::listener other = co_await weir::listen({.port = port, .reuse_port = true});
  const auto third = co_await weir::as_result(weir::listen({.port = port}));  // does not say so
  std::printf("third: %s\n", third ? "listens" : std::string(name(third.error().code())).c_str());
}
// [/shared]

weir::task<> tour() {
  weir::listener door = co_await weir::listen({});
  const weir::address here = door.local();
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { co_await echo_once(door); });
    std::printf("answer: %s\n", (co_await ask("localhost", here.port())).c_str());
  });

  weir::listener gone = co_await weir::listen_at(here.with_port(0));
  const weir::address nobody = gone.local();
  gone.close();
  co_await use_whichever_answers({nobody, here});

  const std::string path = "/tmp/weir_connect_tour." + std::to_string(::getpid());
  co_await over_a_path(path);

  co_await share_a_port();
  co_await ask_in_vain();

  const auto wrong = co_await weir::as_result(connect_to_service("no name"));
  std::printf("service: %s\n", std::string(name(wrong.error().code())).c_str());
  print_orders();
}

}  // namespace

int main() { return weir::run(tour()); }
