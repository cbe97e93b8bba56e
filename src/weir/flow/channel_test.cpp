#include <weir/flow/channel.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weir::channel_test {
namespace {

using namespace weir::literals;

template <class Receiver, class T>
task<> drain(Receiver from, std::vector<T>* into) {
  while (auto item = co_await from.receive()) into->push_back(std::move(*item));
}

FLOW_CONTRACT(
    "items arrive in the order of their sends, and the end after the last sender has gone") {
  auto [to, from] = Kit::template channel<int>(3);
  std::vector<int> got;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(drain<typename Kit::template receiver<int>, int>, std::move(from), &got);
    for (int i = 0; i < 10; ++i) co_await to.send(i);
    to.close();
  });
  EXPECT_EQ(got, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}));
}

FLOW_CONTRACT("send waits while the channel is full and goes on when a place is free (W1, W4)") {
  auto [to, from] = Kit::template channel<int>(2);
  bool third_was_sent = false;
  co_await with_scope([&](scope& s) -> task<> {
    co_await to.send(1);
    co_await to.send(2);
    s.spawn(
        [](typename Kit::template sender<int> mine, bool* sent) -> task<> {
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

FLOW_CONTRACT("a receive that was called before the last receiver closed finds nothing after it") {
  auto [to, from] = Kit::template channel<int>(4);
  for (int i = 0; i < 2; ++i) {
    co_await to.send(i);
    EXPECT_EQ(co_await from.receive(), i);
  }
  co_await to.send(2);
  co_await to.send(3);
  auto late = from.receive();
  from.close();
  co_await testing::expect_raises<errc::closed>(std::move(late));
}

FLOW_CONTRACT("with capacity 0 a send ends when its item has been taken (T23)") {
  auto [to, from] = Kit::template channel<std::string>(0);
  std::vector<std::string> order;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](typename Kit::template sender<std::string> mine,
           std::vector<std::string>* log) -> task<> {
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
  std::ranges::sort(order);  // both go on once it is taken, in any order
  EXPECT_EQ(order, (std::vector<std::string>{"received", "sent"}));
}

FLOW_CONTRACT(
    "a cancelled send leaves the channel untouched, and a cancelled receive takes nothing") {
  auto [to, from] = Kit::template channel<int>(1);
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

FLOW_CONTRACT("when the last receiver goes, waiting and later sends fail as broken (T23, W5)") {
  auto [to, from] = Kit::template channel<int>(1);
  co_await to.send(1);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](typename Kit::template sender<int> mine) -> task<> {
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

FLOW_CONTRACT("a closed half fails its own uses with closed (T23)") {
  auto [to, from] = Kit::template channel<int>(1);
  to.close();
  EXPECT_EQ((co_await as_result(to.send(1))).error().code(), errc::closed);
  EXPECT_EQ(co_await from.receive(), std::nullopt);
  from.close();
  EXPECT_EQ((co_await as_result(from.receive())).error().code(), errc::closed);
}

FLOW_CONTRACT("the channel ends only when the last clone of its sender has gone (T23)") {
  auto [to, from] = Kit::template channel<int>(4);
  {
    typename Kit::template sender<int> clone = to;
    to.close();
    co_await clone.send(7);
    EXPECT_EQ(clone.stats().senders, 1u);
  }
  EXPECT_EQ(co_await from.receive(), 7);
  EXPECT_EQ(co_await from.receive(), std::nullopt);
}

FLOW_CONTRACT("many producers and consumers lose and invent nothing") {
  auto [to, from] = Kit::template channel<int>(5);
  std::vector<int> got;
  co_await with_scope([&](scope& s) -> task<> {
    for (int c = 0; c < 3; ++c)
      s.spawn(drain<typename Kit::template receiver<int>, int>, from, &got);
    from.close();
    for (int p = 0; p < 4; ++p) {
      s.spawn(
          [](typename Kit::template sender<int> mine, int base) -> task<> {
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

FLOW_CONTRACT("items that nobody took are destroyed with the channel (W5)") {
  auto counted = std::make_shared<int>(1);
  {
    auto [to, from] = Kit::template channel<std::shared_ptr<int>>(4);
    co_await to.send(counted);
    co_await to.send(counted);
    EXPECT_EQ(counted.use_count(), 3);
  }
  EXPECT_EQ(counted.use_count(), 1);
}

FLOW_CONTRACT("try_send and try_receive never wait and say when they could not (W4)") {
  auto [to, from] = Kit::template channel<std::string>(1);
  std::string one = "one";
  std::string two = "two";
  EXPECT_TRUE(to.try_send(one));
  EXPECT_FALSE(to.try_send(two));
  EXPECT_EQ(two, "two");
  EXPECT_EQ(from.try_receive(), "one");
  EXPECT_EQ(from.try_receive(), std::nullopt);
  co_return;
}

FLOW_CONTRACT("a half that is closed ends its own waits with closed, and no others") {
  auto [to, from] = Kit::template channel<int>(1);
  auto clone = to;
  co_await to.send(1);
  co_await with_scope([&](scope& s) -> task<> {
    using sender = typename Kit::template sender<int>;
    s.spawn(
        [](sender* mine) -> task<> {
          co_await testing::expect_raises<errc::closed>(mine->send(2));
        },
        &to);
    s.spawn([](sender* mine) -> task<> { co_await mine->send(3); }, &clone);
    co_await sleep(1_ms);
    to.close();
    co_await sleep(1_ms);
    EXPECT_EQ(clone.stats().sends_waiting, 1u);
    EXPECT_EQ(co_await from.receive(), 1);
    EXPECT_EQ(co_await from.receive(), 3);
    clone.close();
  });
  EXPECT_EQ(co_await from.receive(), std::nullopt);
}

FLOW_CONTRACT("a receiver that is closed while it waits is told, and never hangs") {
  auto [to, from] = Kit::template channel<int>(1);
  co_await with_scope([&](scope& s) -> task<> {
    using receiver = typename Kit::template receiver<int>;
    s.spawn(
        [](receiver* mine) -> task<> {
          co_await testing::expect_raises<errc::closed>(mine->receive());
        },
        &from);
    co_await sleep(1_ms);
    from.close();
  });
  co_await testing::expect_raises<errc::broken>(to.send(1));
}

FLOW_CONTRACT("with policy fail a send into a full channel raises full and keeps what is queued") {
  auto [to, from] = Kit::template channel<int>({.capacity = 1, .when_full = overflow::fail});
  co_await to.send(1);
  co_await testing::expect_raises<errc::full>(to.send(2));
  EXPECT_EQ(co_await from.receive(), 1);
  EXPECT_EQ(to.stats().dropped, 0u);
}

FLOW_CONTRACT("with policy drop_newest the item of the send is dropped and counted") {
  auto [to, from] = Kit::template channel<int>({.capacity = 2, .when_full = overflow::drop_newest});
  for (int i = 0; i < 5; ++i) co_await to.send(i);
  EXPECT_EQ(to.stats().dropped, 3u);
  EXPECT_EQ(co_await from.receive(), 0);
  EXPECT_EQ(co_await from.receive(), 1);
}

FLOW_CONTRACT("with policy drop_oldest the first of the queue is dropped and counted") {
  auto [to, from] = Kit::template channel<int>({.capacity = 2, .when_full = overflow::drop_oldest});
  for (int i = 0; i < 5; ++i) co_await to.send(i);
  int sixth = 5;
  EXPECT_TRUE(to.try_send(sixth));
  EXPECT_EQ(to.stats().dropped, 4u);
  EXPECT_EQ(co_await from.receive(), 4);
  EXPECT_EQ(co_await from.receive(), 5);
}

FLOW_CONTRACT("with policy latest only the newest is kept") {
  auto counted = std::make_shared<int>(0);
  auto [to, from] = Kit::template channel<std::pair<int, std::shared_ptr<int>>>(
      {.capacity = 9, .when_full = overflow::latest});
  for (int i = 0; i < 5; ++i) co_await to.send({i, counted});
  EXPECT_EQ(counted.use_count(), 2) << "dropped items are destroyed at once";
  EXPECT_EQ(to.stats().dropped, 4u);
  EXPECT_EQ((co_await from.receive())->first, 4);
}

FLOW_CONTRACT("options that contradict each other are refused, and say why") {
  try {
    Kit::template channel<int>({.capacity = 0, .when_full = overflow::drop_oldest});
    ADD_FAILURE() << "no error";
  } catch (const exception& e) {
    EXPECT_EQ(e.reason().code(), errc::invalid_argument);
    EXPECT_NE(std::string(e.what()).find("capacity"), std::string::npos) << e.what();
  }
  EXPECT_THROW(Kit::template channel<int>(~std::size_t{0}), exception);
  co_return;
}

FLOW_CONTRACT("a channel says its name, its numbers and its end") {
  auto [to, from] = Kit::template channel<int>({.capacity = 3, .name = "orders"});
  EXPECT_STREQ(to.name(), "orders");
  auto clone = from;
  co_await to.send(1);
  const channel_stats now = from.stats();
  EXPECT_EQ(now.capacity, 3u);
  EXPECT_EQ(now.queued, 1u);
  EXPECT_EQ(now.senders, 1u);
  EXPECT_EQ(now.receivers, 2u);
  to.close();
  EXPECT_FALSE(from.is_at_end());
  EXPECT_EQ(from.try_receive(), 1);
  EXPECT_TRUE(from.is_at_end());
}

FLOW_CONTRACT("a select over two channels takes an item from one of them only") {
  auto [to_one, one] = Kit::template channel<int>(0);
  auto [to_other, other] = Kit::template channel<int>(0);
  int got = 0;
  co_await with_scope([&](scope& s) -> task<> {
    using sender = typename Kit::template sender<int>;
    const auto send_ten = [](sender mine) -> task<> {
      for (int i = 0; i < 10; ++i) co_await mine.send(1);
    };
    s.spawn(send_ten, std::move(to_one));
    s.spawn(send_ten, std::move(to_other));
    while (got < 20) {
      auto [a, b] = co_await select(one.receive(), other.receive());
      EXPECT_TRUE(a || b);
      if (a && *a) ++got;
      if (b && *b) ++got;
    }
  });
  EXPECT_EQ(got, 20);
}

/// Of two channels that are always full: how often a select took from the first. Nothing is lost.
template <class Kit>
task<int> taken_from_the_first_of_two_full_channels(int rounds) {
  auto [to_one, one] = Kit::template channel<int>(2);
  auto [to_other, other] = Kit::template channel<int>(2);
  int sent[2] = {};
  int received[2] = {};
  const auto fill = [](auto& to, int& next) {
    for (int item = next; to.try_send(item); item = next) ++next;
  };
  const auto hear = [&](int which, auto& branch) {
    if (branch) EXPECT_EQ(**branch, received[which]++);
  };
  for (int i = 0; i < rounds; ++i) {
    fill(to_one, sent[0]);
    fill(to_other, sent[1]);
    EXPECT_EQ(one.stats().queued + other.stats().queued, 4u);
    auto [a, b] = co_await select(one.receive(), other.receive());
    EXPECT_NE(static_cast<bool>(a), static_cast<bool>(b)) << "each round takes one item";
    hear(0, a);
    hear(1, b);
  }
  EXPECT_EQ(received[0] + received[1], rounds);
  while (auto item = one.try_receive()) EXPECT_EQ(*item, received[0]++);
  while (auto item = other.try_receive()) EXPECT_EQ(*item, received[1]++);
  EXPECT_EQ(received[0], sent[0]);
  EXPECT_EQ(received[1], sent[1]);
  co_return received[0] - 2;
}

// A fixed seed: the same lots in each run.
template <class Kit>
void check_fairness_of_select() {
  constexpr int half = 5'000;  // of the rounds of a fair coin: five sigma are 250
  testing::run_virtual(
      []() -> task<> {
        const int first = co_await taken_from_the_first_of_two_full_channels<Kit>(2 * half);
        EXPECT_NEAR(first, half, 250);
      }(),
      {.world = {.seed = 7}});
}
TEST(Channel, a_select_over_two_full_channels_takes_of_each_about_as_often) {
  check_fairness_of_select<local_flow>();
  check_fairness_of_select<cross_flow>();
}

FLOW_CONTRACT("a select that sends and receives on one channel ends as one of both") {
  auto [to, from] = Kit::template channel<int>(0);
  auto [sent, received, late] = co_await select(to.send(1), from.receive(), sleep(1_ms));
  EXPECT_TRUE(late) << "nobody meets itself";
  EXPECT_FALSE(sent);
  EXPECT_FALSE(received);
  EXPECT_EQ(to.stats().sends_waiting + to.stats().receives_waiting, 0u);
}

FLOW_CONTRACT("a select on both sides of a channel still meets others") {
  auto [to, from] = Kit::template channel<int>(0);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await sleep(1_ms);
      co_await to.send(2);
    });
    auto [sent, received] = co_await select(to.send(1), from.receive());
    EXPECT_FALSE(sent);
    EXPECT_EQ(**received, 2);
  });
  EXPECT_EQ(testing::elapsed(), 1_ms);
}

/// What was sent and received, when either side may be cut off.
struct tally {
  int sent = 0;
  int received = 0;
};

template <class Kit>
void check_cancelled_send() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    auto [to, from] = Kit::template channel<int>(1);
    tally count;
    co_await with_scope([&](scope& s) -> task<> {
      using receiver = typename Kit::template receiver<int>;
      s.spawn(
          [](receiver mine, tally* all) -> task<> {
            while (auto item = co_await mine.receive()) {
              EXPECT_EQ(*item, all->received);
              ++all->received;
              co_await yield();
            }
          },
          std::move(from), &count);
      co_await v.run([](typename Kit::template sender<int> mine, tally* all) -> task<> {
        for (int i = 0; i < 4; ++i) {
          co_await mine.send(i);
          ++all->sent;
        }
      }(std::move(to), &count));
    });
    EXPECT_EQ(count.received, count.sent) << "sent is received, not sent is not";
  });
}

template <class Kit>
void check_cancelled_receive() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    auto [to, from] = Kit::template channel<int>(1);
    tally count;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](typename Kit::template sender<int> mine) -> task<> {
            for (int i = 0; i < 4; ++i) co_await mine.send(i);
          },
          std::move(to));
      co_await v.run([](typename Kit::template receiver<int>* mine, tally* all) -> task<> {
        while (auto item = co_await mine->receive()) {
          EXPECT_EQ(*item, all->received);
          ++all->received;
        }
      }(&from, &count));
      while (auto item = co_await from.receive()) {
        EXPECT_EQ(*item, count.received) << "a cancelled receive has taken no item";
        ++count.received;
      }
    });
    EXPECT_EQ(count.received, 4);
  });
}

template <class Kit>
void check_cancelled_select() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    auto [to_one, one] = Kit::template channel<int>(0);
    auto [to_other, other] = Kit::template channel<int>(1);
    int got = 0;
    co_await with_scope([&](scope& s) -> task<> {
      const auto send_three = [](typename Kit::template sender<int> mine) -> task<> {
        for (int i = 0; i < 3; ++i) co_await mine.send(i);
      };
      s.spawn(send_three, std::move(to_one));
      s.spawn(send_three, std::move(to_other));
      using receiver = typename Kit::template receiver<int>;
      co_await v.run([](receiver* a, receiver* b, int* count) -> task<> {
        while (*count < 6) {
          auto [from_a, from_b] = co_await select(a->receive(), b->receive());
          if (from_a && *from_a) ++*count;
          if (from_b && *from_b) ++*count;
        }
      }(&one, &other, &got));
      while (co_await one.receive()) ++got;
      while (co_await other.receive()) ++got;
    });
    EXPECT_EQ(got, 6);
  });
}

TEST(Channel, a_cancelled_send_has_either_sent_or_not) {
  check_cancelled_send<local_flow>();
  check_cancelled_send<cross_flow>();
}
TEST(Channel, a_cancelled_receive_takes_nothing) {
  check_cancelled_receive<local_flow>();
  check_cancelled_receive<cross_flow>();
}
TEST(Channel, a_cancelled_select_over_channels_takes_nothing) {
  check_cancelled_select<local_flow>();
  check_cancelled_select<cross_flow>();
}

}  // namespace
}  // namespace weir::channel_test
