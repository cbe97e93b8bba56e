#include <weir/flow/broadcast.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace weir::broadcast_test {
namespace {

using namespace weir::literals;

FLOW_CONTRACT("every receiver gets every item that was sent after it came (W7)") {
  auto news = Kit::template broadcast<int>(4);
  EXPECT_EQ(news.send(0), 0u) << "nobody is there";
  auto early = news.subscribe();
  EXPECT_EQ(news.send(1), 1u);
  auto late = news.subscribe();
  EXPECT_EQ(news.send(2), 2u);
  EXPECT_EQ((co_await early.receive())->value, 1);
  EXPECT_EQ((co_await early.receive())->value, 2);
  EXPECT_EQ((co_await late.receive())->value, 2);
  EXPECT_FALSE(late.try_receive());
}

FLOW_CONTRACT(
    "a receiver that lags is told how many it missed, and goes on with the oldest kept (W7)") {
  auto news = Kit::template broadcast<int>(3);
  auto mine = news.subscribe();
  for (int i = 0; i < 10; ++i) news.send(i);
  auto next = co_await mine.receive();
  EXPECT_EQ(next->value, 7);
  EXPECT_EQ(next->missed, 7u);
  next = co_await mine.receive();
  EXPECT_EQ(next->value, 8);
  EXPECT_EQ(next->missed, 0u);
  EXPECT_EQ(news.stats().missed, 7u);
}

FLOW_CONTRACT("receivers that wait are woken by a send, and drain what is left at the end") {
  auto news = Kit::template broadcast<std::string>(4);
  std::vector<std::string> heard;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 2; ++i) {
      s.spawn(
          [](typename Kit::template broadcast_receiver<std::string> mine,
             std::vector<std::string>* log) -> task<> {
            while (auto next = co_await mine.receive()) log->push_back(next->value);
          },
          news.subscribe(), &heard);
    }
    co_await sleep(1_ms);
    EXPECT_EQ(news.stats().receives_waiting, 2u);
    news.send("a");
    news.send("b");
    news.close();
  });
  EXPECT_EQ(heard.size(), 4u);
}

FLOW_CONTRACT("a receiver that is closed while it waits is told, others wait on") {
  auto news = Kit::template broadcast<int>(4);
  auto mine = news.subscribe();
  auto other = mine;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await testing::expect_raises<errc::closed>(mine.receive()); });
    s.spawn([&]() -> task<> { EXPECT_EQ((co_await other.receive())->value, 1); });
    co_await sleep(1_ms);
    mine.close();
    news.send(1);
  });
  EXPECT_EQ(news.stats().receivers, 1u);
  EXPECT_THROW(static_cast<void>(Kit::template broadcast<int>(0)), exception);
}

FLOW_CONTRACT("a receiver may go when its receive has been told of an item and hasn't gone on") {
  auto news = Kit::template broadcast<int>(4);
  auto mine = std::make_unique<typename Kit::template broadcast_receiver<int>>(news.subscribe());
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await testing::expect_raises<errc::closed>(mine->receive()); });
    co_await sleep(1_ms);
    news.send(1);
    mine.reset();
  });
  EXPECT_EQ(news.stats().receivers, 0u);
  EXPECT_EQ(news.send(2), 0u);
}

FLOW_CONTRACT("tasks that share a receiver share its items, and hear of the end when it has come") {
  auto news = Kit::template broadcast<int>(4);
  auto mine = news.subscribe();
  std::vector<int> heard;
  int ends = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn([&]() -> task<> {
        while (auto next = co_await mine.receive()) heard.push_back(next->value);
        ++ends;
      });
    }
    co_await sleep(1_ms);
    news.send(0);
    EXPECT_EQ(news.stats().receives_waiting, 2u);
    EXPECT_FALSE(mine.try_receive()) << "it is promised";
    co_await sleep(1_ms);
    EXPECT_EQ(news.stats().receives_waiting, 3u);
    for (int i = 1; i < 8; ++i) news.send(i);
    co_await sleep(1_ms);
    EXPECT_EQ(ends, 0);
    news.close();
  });
  EXPECT_EQ(ends, 3);
  std::ranges::sort(heard);
  EXPECT_EQ(heard, (std::vector{0, 4, 5, 6, 7}));
}

FLOW_CONTRACT("no more receives of a receiver are woken than items are kept for it") {
  auto news = Kit::template broadcast<int>(2);
  auto mine = news.subscribe();
  std::vector<int> heard;
  std::uint64_t missed = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn([&]() -> task<> {
        const auto next = co_await mine.receive();
        heard.push_back(next->value);
        missed += next->missed;
      });
    }
    co_await sleep(1_ms);
    for (int i = 0; i < 5; ++i) news.send(i);
    EXPECT_EQ(news.stats().receives_waiting, 1u);
    co_await sleep(1_ms);
    EXPECT_EQ(news.stats().receives_waiting, 1u);
    news.send(5);
  });
  std::ranges::sort(heard);
  EXPECT_EQ(heard, (std::vector{3, 4, 5}));
  EXPECT_EQ(missed, 3u);
}

/// A value whose copies fail while `fails`.
struct fails_to_copy {
  int left = 1;
  fails_to_copy() = default;
  fails_to_copy(fails_to_copy&&) noexcept = default;
  fails_to_copy(const fails_to_copy& other) : left(other.left) {
    if (fails) raise(error(errc::no_space));
  }
  fails_to_copy& operator=(fails_to_copy&&) noexcept = default;
  fails_to_copy& operator=(const fails_to_copy&) = delete;
  ~fails_to_copy() = default;
  static inline bool fails = false;
};

FLOW_CONTRACT("an item that can't be copied is for the next task that shares the receiver") {
  auto news = Kit::template broadcast<fails_to_copy>(4);
  auto mine = news.subscribe();
  int failures = 0;
  int heard = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 2; ++i) {
      s.spawn([&]() -> task<> {
        try {
          heard += (co_await mine.receive())->value.left;
        } catch (const exception&) {
          ++failures;
          fails_to_copy::fails = false;
        }
      });
    }
    co_await sleep(1_ms);
    fails_to_copy::fails = true;
    news.send(fails_to_copy());
  });
  EXPECT_EQ(failures, 1);
  EXPECT_EQ(heard, 1);
}

FLOW_CONTRACT("an item that was promised to a receive which never takes it is for the next") {
  auto news = Kit::template broadcast<int>(4);
  auto mine = news.subscribe();
  news.send(7);
  {
    auto unread = mine.receive();
    EXPECT_TRUE(unread.try_now());
    EXPECT_FALSE(mine.try_receive());
  }
  EXPECT_EQ((co_await mine.receive())->value, 7);
}

FLOW_CONTRACT("a receiver that is assigned to ends its waits and goes on as the other") {
  auto news = Kit::template broadcast<int>(4);
  auto mine = news.subscribe();
  auto behind = mine;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await testing::expect_raises<errc::closed>(mine.receive()); });
    co_await sleep(1_ms);
    news.send(1);
    mine = behind;
  });
  EXPECT_EQ((co_await mine.receive())->value, 1);
  EXPECT_EQ((co_await behind.receive())->value, 1);
  EXPECT_EQ(news.stats().receivers, 2u);
}

template <class Kit>
void a_cancelled_receive_takes_no_item() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    auto news = Kit::template broadcast<int>(8);
    auto mine = news.subscribe();
    int next = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (int i = 0; i < 4; ++i) {
          news.send(i);
          co_await yield();
        }
        news.close();
      });
      const auto follow = [&]() -> task<> {
        while (auto item = co_await mine.receive()) {
          EXPECT_EQ(item->value, next);
          ++next;
        }
      };
      co_await v.run(follow());
      co_await follow();
    });
    EXPECT_EQ(next, 4);
  });
}
TEST(Broadcast, a_cancelled_receive_takes_no_item) {
  a_cancelled_receive_takes_no_item<local_flow>();
  a_cancelled_receive_takes_no_item<cross_flow>();
}

struct order_placed {
  int id;
};
struct order_paid {
  int id;
};

FLOW_CONTRACT("the type of an event is its topic, and a name tells topics of one type apart") {
  typename Kit::event_bus bus({.capacity = 8, .topics_max = 3});
  EXPECT_EQ(bus.publish(order_placed{0}), 0u);
  auto placed = bus.template subscribe<order_placed>();
  auto placed_too = bus.template subscribe<order_placed>();
  auto paid = bus.template subscribe<order_paid>();
  auto express = bus.template subscribe<order_placed>("express");
  EXPECT_EQ(bus.publish(order_placed{1}), 2u);
  EXPECT_EQ(bus.publish(order_paid{2}), 1u);
  EXPECT_EQ(bus.publish(order_placed{3}, "express"), 1u);
  EXPECT_EQ((co_await placed.receive())->value.id, 1);
  EXPECT_EQ((co_await placed_too.receive())->value.id, 1);
  EXPECT_EQ((co_await paid.receive())->value.id, 2);
  EXPECT_EQ((co_await express.receive())->value.id, 3);
  EXPECT_FALSE(placed.try_receive());
  EXPECT_EQ(bus.stats().topics, 3u);
  EXPECT_EQ(bus.stats().subscribers, 4u);
  try {
    static_cast<void>(bus.template subscribe<int>());
    ADD_FAILURE() << "no error";
  } catch (const exception& e) {
    EXPECT_EQ(e.reason().code(), errc::full);
  }
}

FLOW_CONTRACT("subscribers outlive their bus: they hear what is left and then the end") {
  std::optional<typename Kit::template broadcast_receiver<int>> mine;
  {
    typename Kit::event_bus bus;
    mine = bus.template subscribe<int>();
    bus.publish(1);
  }
  EXPECT_EQ((co_await mine->receive())->value, 1);
  EXPECT_FALSE(co_await mine->receive());
}

}  // namespace
}  // namespace weir::broadcast_test
