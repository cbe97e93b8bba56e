// Uses the installed test kit: a test of a user's own, on virtual time.
#include <weir/core.hpp>
#include <weir/flow/channel.hpp>
#include <weir/testing/contracts/channel_contract.hpp>
#include <weir/testing/fake_peer.hpp>
#include <weir/testing/marbles.hpp>
#include <weir/testing/test.hpp>

WEIR_TEST("an hour of sleep passes at once") {
  co_await weir::sleep(weir::duration::seconds(3600));
  EXPECT_GE(weir::testing::elapsed(), weir::duration::seconds(3600));
}

WEIR_TEST("a diagram comes as it is drawn") {
  weir::testing::marble_source source("a-b|");
  co_await weir::testing::expect_marbles(source.items(), "a-b|");
}

WEIR_TEST("a peer follows its script") {
  weir::testing::fake_peer peer;
  peer.send("hello").expect("bye").expect_end();
  weir::listener door = co_await weir::listen({});
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { co_await peer.serve(door); });
    weir::socket line = co_await weir::connect(door.local());
    co_await line.send("bye");
    co_await line.shutdown_send();
    while (co_await line.receive()) {
    }
  });
  EXPECT_TRUE(peer.has_finished());
}

struct channels {
  template <class T>
  static auto make(std::size_t capacity) {
    return weir::channel<T>(capacity);
  }
};
WEIR_CHANNEL_CONTRACT(channels);
