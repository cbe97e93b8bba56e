// Uses an installed weir as a user would: an echo server and its client in one program. Fails to
// build when a header or a library is missing from the install rules.
#include <weir/io.hpp>

#include <cstdio>

namespace {

weir::task<> echo(weir::socket peer) {
  while (auto bytes = co_await peer.receive()) co_await peer.send(bytes);
}

weir::task<int> call_and_answer() {
  auto listener = co_await weir::listen({.port = 0});
  co_return co_await weir::with_scope([&](weir::scope& peers) -> weir::task<int> {
    weir::socket caller = co_await weir::connect(listener.local());
    peers.spawn(echo, co_await listener.accept());
    co_await caller.send("hello");
    const auto answer = co_await caller.receive();
    std::printf("consumer: %.*s\n", static_cast<int>(answer.size()), answer.data());
    co_return answer.text() == "hello" ? 0 : 1;
  });
}

}  // namespace

int main() { return weir::run(call_and_answer()); }
