// Datagrams over UDP and Unix paths; docs/guide/datagrams.md shows them. It runs to its end by
// itself.
#include <weir/io.hpp>
#include <weir/io/datagram_socket.hpp>

#include <unistd.h>

#include <array>
#include <cstdio>
#include <string>
#include <vector>

using namespace weir::literals;

namespace {

// [echo]
weir::task<> echo(weir::datagram_socket* at) {
  for (;;) {
    const weir::datagram one = co_await at->receive();
    co_await at->send_to(one.address, one.text());
  }
}
// [/echo]

// [ask]
// UDP may lose a question or its answer: whoever asks asks again.
weir::task<std::string> ask(weir::datagram_socket& socket, weir::address whom,
                            std::string question) {
  co_await socket.connect(whom);  // only answers of this peer are heard, and its refusals
  for (int attempt = 0; attempt < 5; ++attempt) {
    co_await socket.send(question);
    const auto answer = co_await weir::as_result(weir::with_timeout(1_s, socket.receive()));
    if (answer) co_return std::string(answer->text());
    if (answer.error().code() != weir::errc::timed_out) weir::raise(answer.error());
  }
  weir::raise(weir::error(weir::errc::timed_out, "no answer to five questions"));
}
// [/ask]

// [batch]
weir::task<> count_to(weir::datagram_socket& from, weir::datagram_socket& to, std::size_t count) {
  std::vector<std::string> texts;
  for (std::size_t i = 0; i < count; ++i) texts.push_back(std::to_string(i));
  std::vector<weir::datagram> all;
  for (const std::string& text : texts) all.push_back(weir::datagram_to(to.local(), text));
  co_await from.send_batch(all);
  std::vector<weir::datagram> came(16);
  std::size_t sum = 0;
  for (std::size_t heard = 0; heard < count;) {
    const std::size_t fresh = co_await to.receive_batch(came);
    for (std::size_t i = 0; i < fresh; ++i) sum += std::stoul(std::string(came[i].text()));
    heard += fresh;
  }
  std::printf("batch: %zu datagrams, sum %zu\n", count, sum);
}
// [/batch]

// [connected]
// A peer that doesn't change is told once; the batch then needs no addresses.
weir::task<> greet(weir::datagram_socket& peer) {
  auto from = weir::bind_datagrams_at(weir::value_or_raise(weir::address::parse("127.0.0.1:0")));
  co_await from.connect(peer.local());
  std::array<weir::datagram, 2> words{weir::datagram_of("good"), weir::datagram_of("day")};
  co_await from.send_batch(words);
  for (int heard = 0; heard < 2; ++heard) {
    const weir::datagram one = co_await peer.receive();
    std::printf("%s%s", std::string(one.text()).c_str(), heard == 0 ? " " : "\n");
  }
}
// [/connected]

// [unix]
// Within one machine, by path: nothing is lost, and a receiver that is slow makes its sender wait.
weir::task<> over_paths(std::string path) {
  auto server = weir::bind_datagrams({.path = path});
  const std::string own = path + ".client";  // so that it can be answered
  auto client = weir::bind_datagrams({.path = own});
  co_await client.connect(server.local());
  co_await client.send("by path");
  const weir::datagram one = co_await server.receive();
  co_await server.send_to(one.address, one.text());
  std::printf("unix: %s\n", std::string((co_await client.receive()).text()).c_str());
  for (const std::string& name : {path, own}) co_await weir::remove_path(name);  // they would stay
}
// [/unix]

weir::task<> tour() {
  auto server = weir::bind_datagrams();
  auto client = weir::open_datagrams();
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn(echo, &server);
    std::printf("ask: %s\n", (co_await ask(client, server.local(), "hello")).c_str());
    s.cancel("done");
  });
  const weir::address before = server.local();
  server.close();
  const auto refused = co_await weir::as_result(ask(client, before, "hello"));
  std::printf("nobody: %s\n", refused ? "an answer" : "refused");
  auto one = weir::bind_datagrams();
  auto other = weir::bind_datagrams();
  co_await count_to(one, other, 20);
  co_await greet(other);
  co_await over_paths("/tmp/weir_datagram_tour." + std::to_string(::getpid()));
}

}  // namespace

int main() { return weir::run(tour()); }
