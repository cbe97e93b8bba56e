#include <weir/flow/channel.hpp>

#include <weir/core.hpp>
#include <weir/testing/test.hpp>

#include <memory>
#include <string>
#include <vector>

namespace weir {
namespace {

using namespace weir::literals;

template <class T>
task<> drain(receiver<T> from, std::vector<T>* into) {
  while (auto item = co_await from.receive()) into->push_back(std::move(*item));
}

WEIR_TEST("items arrive in the order of their sends, and the end after the last sender has gone") {
  auto [to, from] = channel<int>(3);
  std::vector<int> got;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(drain<int>, std::move(from), &got);
    for (int i = 0; i < 10; ++i) co_await to.send(i);
    to.close();
  });
  EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

WEIR_TEST("send waits while the channel is full and goes on when a place is free") {
  auto [to, from] = channel<int>(2);
  bool third_was_sent = false;
  co_await with_scope([&](scope& s) -> task<> {
    co_await to.send(1);
    co_await to.send(2);
    s.spawn(
        [](sender<int> mine, bool* sent) -> task<> {
          co_await mine.send(3);
          *sent = true;
        },
        to, &third_was_sent);
    co_await sleep(1_ms);
    EXPECT_FALSE(third_was_sent);
    EXPECT_EQ(to.stats().sends_waiting, 1u);
    EXPECT_EQ(co_await from.receive(), 1);
    co_await sleep(1_ms);
    EXPECT_TRUE(third_was_sent);
    EXPECT_EQ(to.stats().queued, 2u);
  });
}

WEIR_TEST("with capacity 0 a send ends when its item has been taken") {
  auto [to, from] = channel<std::string>(0);
  std::vector<std::string> order;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](sender<std::string> mine, std::vector<std::string>* log) -> task<> {
          co_await mine.send("item");
          log->push_back("sent");
        },
        to, &order);
    co_await sleep(1_ms);
    EXPECT_TRUE(order.empty());
    EXPECT_EQ(co_await from.receive(), "item");
    order.push_back("received");
    co_await sleep(1_ms);
  });
  EXPECT_EQ(order, (std::vector<std::string>{"received", "sent"}));
}

WEIR_TEST("a cancelled send leaves the channel untouched, and a cancelled receive takes nothing") {
  auto [to, from] = channel<int>(1);
  co_await to.send(1);
  const auto late = co_await as_result(with_timeout(1_ms, to.send(2)));
  EXPECT_EQ(late.error().code(), errc::timed_out);
  EXPECT_EQ(to.stats().queued, 1u);
  EXPECT_EQ(to.stats().sends_waiting, 0u);
  EXPECT_EQ(co_await from.receive(), 1);
  const auto nothing = co_await as_result(with_timeout(1_ms, from.receive()));
  EXPECT_EQ(nothing.error().code(), errc::timed_out);
  EXPECT_EQ(from.stats().receives_waiting, 0u);
  co_await to.send(3);
  EXPECT_EQ(co_await from.receive(), 3);
}

WEIR_TEST("when the last receiver goes, waiting and later sends fail as broken") {
  auto [to, from] = channel<int>(1);
  co_await to.send(1);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](sender<int> mine) -> task<> {
          const auto outcome = co_await as_result(mine.send(2));
          EXPECT_EQ(outcome.error().code(), errc::broken);
        },
        to);
    co_await sleep(1_ms);
    from.close();
  });
  const auto later = co_await as_result(to.send(3));
  EXPECT_EQ(later.error().code(), errc::broken);
}

WEIR_TEST("a closed half fails its own uses with closed") {
  auto [to, from] = channel<int>(1);
  to.close();
  EXPECT_EQ((co_await as_result(to.send(1))).error().code(), errc::closed);
  EXPECT_EQ(co_await from.receive(), std::nullopt);
  from.close();
  EXPECT_EQ((co_await as_result(from.receive())).error().code(), errc::closed);
}

WEIR_TEST("the channel ends only when the last clone of its sender has gone") {
  auto [to, from] = channel<int>(4);
  {
    sender<int> clone = to;
    to.close();
    co_await clone.send(7);
    EXPECT_EQ(clone.stats().senders, 1u);
  }
  EXPECT_EQ(co_await from.receive(), 7);
  EXPECT_EQ(co_await from.receive(), std::nullopt);
}

WEIR_TEST("many producers and consumers lose and invent nothing") {
  auto [to, from] = channel<int>(5);
  std::vector<int> got;
  co_await with_scope([&](scope& s) -> task<> {
    for (int c = 0; c < 3; ++c) s.spawn(drain<int>, from, &got);
    from.close();
    for (int p = 0; p < 4; ++p) {
      s.spawn(
          [](sender<int> mine, int base) -> task<> {
            for (int i = 0; i < 50; ++i) co_await mine.send(base + i);
          },
          to, p * 100);
    }
    to.close();
    co_await s.join();
  });
  EXPECT_EQ(got.size(), 200u);
  std::vector<bool> seen(400);
  for (int item : got) {
    EXPECT_FALSE(seen[static_cast<std::size_t>(item)]) << item;
    seen[static_cast<std::size_t>(item)] = true;
  }
}

WEIR_TEST("items that nobody took are destroyed with the channel") {
  auto counted = std::make_shared<int>(1);
  {
    auto [to, from] = channel<std::shared_ptr<int>>(4);
    co_await to.send(counted);
    co_await to.send(counted);
    EXPECT_EQ(counted.use_count(), 3);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

WEIR_TEST("try_send and try_receive never wait and say when they could not") {
  auto [to, from] = channel<std::string>(1);
  std::string one = "one";
  std::string two = "two";
  EXPECT_TRUE(to.try_send(one));
  EXPECT_FALSE(to.try_send(two));
  EXPECT_EQ(two, "two");
  EXPECT_EQ(from.try_receive(), "one");
  EXPECT_EQ(from.try_receive(), std::nullopt);
  co_return;
}

}  // namespace
}  // namespace weir
