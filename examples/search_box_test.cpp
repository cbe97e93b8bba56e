// What the test kit offers besides WEIR_TEST: marble diagrams, peers that follow a script, and
// contracts. docs/guide/testing.md shows it.
#include <weir/core.hpp>
#include <weir/flow/channel.hpp>
#include <weir/io/reader.hpp>
#include <weir/io/socket.hpp>
#include <weir/testing/contracts/channel_contract.hpp>
#include <weir/testing/fake_peer.hpp>
#include <weir/testing/marbles.hpp>
#include <weir/testing/settle.hpp>

#include <optional>
#include <string>
#include <utility>

namespace {

using namespace weir::literals;

// [settled]
// The newest key, once no other has come for a while.
weir::generator<char> settled(weir::receiver<char> keys, weir::duration quiet) {
  std::optional<char> newest;
  for (;;) {
    auto key = co_await weir::as_result(
        with_timeout(newest ? quiet : weir::duration::max(), keys.receive()));
    if (!key) {
      co_await weir::checkpoint();
      co_yield *std::exchange(newest, std::nullopt);
    } else if (*key) {
      newest = *key;
    } else {
      break;
    }
  }
  if (newest) co_yield *newest;
}
// [/settled]

// [marbles]
WEIR_TEST("a search begins when no key was pressed for 3 ms, and at the end") {
  auto [to_box, keys] = weir::channel<char>(8);
  weir::testing::marble_source typed("ab------c-|");
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { co_await typed.send_to(std::move(to_box)); });
    co_await weir::testing::expect_marbles(settled(std::move(keys), 3_ms), "----b-----(c|)");
  });
}
// [/marbles]

// [by_hand]
WEIR_TEST("a key that comes in time puts the search off") {
  auto [to_box, keys] = weir::channel<char>(8);
  std::string searched;
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> {
      auto searches = settled(std::move(keys), 3_ms);
      while (const auto key = co_await searches.next()) searched += *key;
    });
    co_await to_box.send('a');
    co_await weir::testing::advance(2_ms);
    co_await to_box.send('b');
    co_await weir::testing::advance(2_ms);
    EXPECT_EQ(searched, "");
    co_await weir::testing::advance(1_ms);
    EXPECT_EQ(searched, "b");
    co_await to_box.send('c');
    to_box.close();
    co_await weir::testing::settle();
    EXPECT_EQ(searched, "bc") << "at the end at once";
  });
}
// [/by_hand]

// [client]
weir::task<std::string> ask(weir::address server, std::string question) {
  weir::socket line = co_await weir::connect(server);
  weir::reader in(line);
  co_await line.send(question + "\r\n");
  const auto answer = co_await in.read_line();
  if (!answer) weir::raise(weir::error(weir::errc::end_of_stream, "no answer"));
  co_return std::string(answer->text());
}
// [/client]

// [peer]
WEIR_TEST("an answer that comes in pieces is read whole, and a reset is an error") {
  weir::testing::fake_peer slow;
  slow.expect("weir\r\n").send_in_pieces("a low dam\r\n", 4, 1_s).expect_end();
  weir::testing::fake_peer dies;
  dies.expect("weir\r\n").send("a lo").reset();
  weir::listener door = co_await weir::listen({});
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> {
      co_await slow.serve(door);
      co_await dies.serve(door);
    });
    EXPECT_EQ(co_await ask(door.local(), "weir"), "a low dam");
    co_await weir::testing::expect_raises<weir::errc::broken>(ask(door.local(), "weir"));
  });
}
// [/peer]

// [contract]
struct my_channels {
  template <class T>
  static auto make(std::size_t capacity) {
    return weir::channel<T>(capacity);  // yours
  }
};
WEIR_CHANNEL_CONTRACT(my_channels);
// [/contract]

}  // namespace
