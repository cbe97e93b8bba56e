// The twins for several loops, between real threads: what the contract says of one loop must hold
// when partners run at the same time. Nothing here depends on who is faster.
#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/flow/thread_loop_test.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <latch>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace weir::cross_loops_test {
namespace {

constexpr std::int64_t items = 4000;

class CrossChannel : public ::testing::TestWithParam<std::size_t> {};

TEST_P(CrossChannel, keeps_the_order_of_one_sender_and_loses_nothing) {
  auto [to, from] = cross::channel<std::int64_t>(GetParam());
  std::int64_t received = 0;
  bool is_in_order = true;
  auto sending = run_on_thread(
      [mine = std::make_shared<cross::sender<std::int64_t>>(std::move(to))]() -> task<> {
        for (std::int64_t i = 0; i < items; ++i) co_await mine->send(i);
        mine->close();
      });
  auto receiving = run_on_thread([&, &source = from]() -> task<> {
    while (auto item = co_await source.receive()) is_in_order = is_in_order && *item == received++;
  });
  sending.join();
  receiving.join();
  EXPECT_EQ(received, items);
  EXPECT_TRUE(is_in_order);
}

TEST_P(CrossChannel, gives_each_item_to_one_of_many) {
  auto [to, from] = cross::channel<std::int64_t>(GetParam());
  std::atomic<std::int64_t> sum{0};
  std::atomic<std::int64_t> count{0};
  std::vector<std::thread> threads;
  for (std::int64_t t = 0; t < 2; ++t) {
    threads.push_back(
        run_on_thread([t, mine = std::make_shared<cross::sender<std::int64_t>>(to)]() -> task<> {
          co_await with_scope([&](scope& s) -> task<> {
            for (std::int64_t p = 0; p < 2; ++p) {
              s.spawn(
                  [](cross::sender<std::int64_t> out, std::int64_t base) -> task<> {
                    for (std::int64_t i = 0; i < items / 4; ++i) co_await out.send(base + i);
                  },
                  *mine, (2 * t + p) * (items / 4));
            }
            mine->close();
            co_return;
          });
        }));
    threads.push_back(run_on_thread(
        [&, mine = std::make_shared<cross::receiver<std::int64_t>>(from)]() -> task<> {
          while (auto item = co_await mine->receive()) {
            sum += *item;
            ++count;
          }
          mine->close();
        }));
  }
  to.close();
  from.close();
  for (std::thread& one : threads) one.join();
  EXPECT_EQ(count, items);
  EXPECT_EQ(sum, items * (items - 1) / 2);
}

// A select that gives up again and again meets items that are on their way to it.
TEST_P(CrossChannel, loses_nothing_when_receives_are_taken_back) {
  constexpr std::int64_t count = items / 8;  // on a busy machine each waits for its thread's turn
  auto [to, from] = cross::channel<std::int64_t>(GetParam());
  std::int64_t received = 0;
  bool is_in_order = true;
  auto sending = run_on_thread([&, &out = to]() -> task<> {
    for (std::int64_t i = 0; i < count; ++i) co_await out.send(i);
    out.close();
  });
  auto receiving = run_on_thread([&, &in = from]() -> task<> {
    bool is_over = false;
    while (!is_over) {
      auto [item, turn] = co_await select(in.receive(), yield());
      if (!item) continue;
      is_over = !*item;
      if (*item) is_in_order = is_in_order && **item == received++;
    }
  });
  sending.join();
  receiving.join();
  EXPECT_EQ(received, count);
  EXPECT_TRUE(is_in_order);
}

TEST_P(CrossChannel, tells_senders_when_the_receiver_goes_in_the_middle) {
  for (int round = 0; round < 20; ++round) {
    auto [to, from] = cross::channel<std::shared_ptr<int>>(GetParam());
    auto counted = std::make_shared<int>(0);
    auto sending = run_on_thread([&, &out = to]() -> task<> {
      for (;;) {
        auto sent = co_await as_result(out.send(counted));
        if (sent) continue;
        EXPECT_EQ(sent.error().code(), errc::broken);
        break;
      }
      out.close();
    });
    auto receiving = run_on_thread([&, &in = from]() -> task<> {
      for (int i = 0; i < round; ++i) co_await in.receive();
      in.close();
    });
    sending.join();
    receiving.join();
    EXPECT_EQ(counted.use_count(), 1) << "what nobody took is destroyed";
  }
}

INSTANTIATE_TEST_SUITE_P(Capacity, CrossChannel, ::testing::Values(0, 1, 64));

struct numbered {
  int from = 0;
  std::int64_t number = 0;
};

class CrossOverflow : public ::testing::TestWithParam<overflow> {
 protected:
  static constexpr std::size_t capacity = 8;
  static constexpr std::int64_t burst = 100;  // of each sender, before the receiver begins
  static constexpr int senders = 2;

  channel_options options() const { return {.capacity = capacity, .when_full = GetParam()}; }
  /// What the channel holds after the bursts.
  static std::size_t room() { return GetParam() == overflow::latest ? 1 : capacity; }
  static bool keeps_newest() {
    return GetParam() == overflow::drop_oldest || GetParam() == overflow::latest;
  }

  /// A task that sends `items`, and a thread without a loop that does.
  void begin(const cross::sender<numbered>& to) {
    threads.push_back(
        run_on_thread([this, mine = std::make_shared<cross::sender<numbered>>(to)]() -> task<> {
          for (std::int64_t i = 0; i < items; ++i) {
            const auto outcome = co_await as_result(mine->send({.from = 0, .number = i}));
            if (!outcome) {
              EXPECT_EQ(outcome.error().code(), errc::full);
              ++refused;
            }
            note_burst(i);
          }
          mine->close();
        }));
    threads.emplace_back([this, mine = to] {
      for (std::int64_t i = 0; i < items; ++i) {
        numbered item{.from = 1, .number = i};
        if (!mine.try_send(item)) ++refused;
        note_burst(i);
      }
    });
  }
  /// Receives all there is, and looks whether the numbers of each sender rise.
  void receive(cross::receiver<numbered>& from) {
    threads.push_back(run_on_thread([this, &from]() -> task<> {
      bursts.wait();
      EXPECT_EQ(from.stats().queued, room());
      receives.count_down();
      while (auto item = co_await from.receive()) {
        if (received++ == 0) first = *item;
        last = *item;
        is_in_order = is_in_order && item->number > newest[item->from];
        newest[item->from] = item->number;
      }
    }));
  }
  void join() {
    for (std::thread& one : threads) one.join();
  }

  std::vector<std::thread> threads;
  std::latch bursts{senders};
  std::latch receives{1};
  std::atomic<std::int64_t> refused{0};
  std::int64_t received = 0;
  std::int64_t newest[senders] = {-1, -1};
  numbered first;
  numbered last;
  bool is_in_order = true;

 private:
  /// Each waits once until the receiver begins, so that the rest is sent while it receives.
  void note_burst(std::int64_t sent) {
    if (sent + 1 != burst) return;
    bursts.count_down();
    receives.wait();
  }
};

TEST_P(CrossOverflow, accounts_for_each_item_and_keeps_the_order_of_each_sender) {
  auto [to, from] = cross::channel<numbered>(options());
  begin(to);
  receive(from);
  to.close();
  join();
  const auto dropped = static_cast<std::int64_t>(from.stats().dropped);
  EXPECT_EQ(received + dropped + refused, senders * items);
  EXPECT_TRUE(is_in_order);
  // At least what the bursts had no room for, and by the policy that was asked for.
  const std::int64_t lost = GetParam() == overflow::fail ? refused.load() : dropped;
  EXPECT_GE(lost, senders * burst - static_cast<std::int64_t>(room()));
  EXPECT_EQ(GetParam() == overflow::fail ? dropped : refused.load(), 0);
  if (keeps_newest()) {
    EXPECT_EQ(last.number, items - 1) << "the newest is never dropped";
  } else {
    EXPECT_EQ(first.number, 0) << "what is queued stays";
  }
}

std::string policy_name(const ::testing::TestParamInfo<overflow>& policy) {
  constexpr const char* names[] = {"wait", "fail", "drop_newest", "drop_oldest", "latest"};
  return names[static_cast<int>(policy.param)];
}
INSTANTIATE_TEST_SUITE_P(Policy, CrossOverflow,
                         ::testing::Values(overflow::fail, overflow::drop_newest,
                                           overflow::drop_oldest, overflow::latest),
                         policy_name);

TEST(CrossMutex, lets_one_loop_in_at_a_time) {
  cross::mutex door;
  std::int64_t entered = 0;  // guarded by the mutex alone: a sanitizer would see a race
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.push_back(run_on_thread([&]() -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        for (int i = 0; i < 2; ++i) {
          s.spawn([&]() -> task<> {
            for (int r = 0; r < 500; ++r) {
              auto held = co_await door.lock();
              ++entered;
              if (r % 16 == 0) co_await yield();
            }
          });
        }
        co_return;
      });
    }));
  }
  for (std::thread& one : threads) one.join();
  EXPECT_EQ(entered, 2000);
  EXPECT_FALSE(door.is_locked());
}

TEST(CrossSemaphore, keeps_its_bound_between_loops_and_under_taken_back_waits) {
  cross::semaphore slots(2);
  std::atomic<int> inside{0};
  std::atomic<int> inside_max{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.push_back(run_on_thread([&]() -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        for (int i = 0; i < 3; ++i) {
          s.spawn([&]() -> task<> {
            for (int r = 0; r < 300; ++r) {
              auto [slot, turn] = co_await select(slots.acquire(), yield());
              if (!slot) continue;
              const int now = ++inside;
              for (int seen = inside_max;
                   now > seen && !inside_max.compare_exchange_weak(seen, now);) {
              }
              if (r % 8 == 0) co_await yield();
              --inside;
            }
          });
        }
        co_return;
      });
    }));
  }
  for (std::thread& one : threads) one.join();
  EXPECT_LE(inside_max, 2);
  EXPECT_EQ(slots.stats().free, 2u);
}

TEST(CrossOneshot, brings_answers_back_and_tells_of_those_that_are_not_wanted) {
  using question = std::pair<int, std::shared_ptr<cross::oneshot_sender<int>>>;
  auto [ask, asked] = cross::channel<question>(8);
  std::atomic<int> unwanted{0};
  int answered = 0;
  int given_up = 0;
  auto server = run_on_thread([&, &in = asked]() -> task<> {
    while (auto one = co_await in.receive()) {
      if (!one->second->send(2 * one->first)) ++unwanted;
    }
  });
  auto client = run_on_thread([&, &out = ask]() -> task<> {
    for (int i = 0; i < 200; ++i) {
      auto [to, from] = cross::oneshot<int>();
      co_await out.send({i, std::make_shared<cross::oneshot_sender<int>>(std::move(to))});
      if (i % 3 == 0) {
        auto [answer, turn] = co_await select(from.receive(), yield());
        ++(answer ? answered : given_up);
      } else {
        EXPECT_EQ(co_await from.receive(), 2 * i);
        ++answered;
      }
    }
    out.close();
  });
  client.join();
  server.join();
  EXPECT_EQ(answered + given_up, 200);
  EXPECT_LE(unwanted, given_up);
}

TEST(CrossEvent, is_set_from_any_thread_and_heard_on_every_loop) {
  for (int round = 0; round < 20; ++round) {
    cross::event ready;
    cross::auto_event turn;
    std::atomic<int> heard{0};
    std::atomic<int> passed{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.push_back(run_on_thread([&]() -> task<> {
        co_await ready.wait();
        ++heard;
        co_await turn.wait();
        ++passed;
        turn.set();
      }));
    }
    ready.set();
    turn.set();
    for (std::thread& one : threads) one.join();
    EXPECT_EQ(heard, 2);
    EXPECT_EQ(passed, 2);
    EXPECT_TRUE(turn.is_set());
  }
}

TEST(CrossWatch, shows_the_newest_to_every_loop_and_never_an_older_one) {
  auto [to, from] = cross::watch<int>(0);
  std::vector<std::thread> threads;
  std::atomic<int> reached{0};
  for (int t = 0; t < 2; ++t) {
    threads.push_back(
        run_on_thread([&, mine = std::make_shared<cross::watch_receiver<int>>(from)]() -> task<> {
          int last = 0;
          while (co_await mine->changed()) {
            const int now = mine->get();
            EXPECT_GT(now, last);
            last = now;
          }
          EXPECT_EQ(last, 5000);
          ++reached;
        }));
  }
  for (int i = 1; i <= 5000; ++i) to.set(i);
  to.close();
  for (std::thread& one : threads) one.join();
  EXPECT_EQ(reached, 2);
}

TEST(CrossChannelFromOutside, takes_items_from_threads_that_have_no_loop) {
  auto [to, from] = cross::channel<int>({.capacity = 16, .when_full = overflow::drop_oldest});
  int last = 0;
  auto receiving = run_on_thread([&, &in = from]() -> task<> {
    while (auto item = co_await in.receive()) {
      EXPECT_GT(*item, last);
      last = *item;
    }
  });
  for (int i = 1; i <= 10'000; ++i) {
    int item = i;
    EXPECT_TRUE(to.try_send(item));
  }
  to.close();
  receiving.join();
  EXPECT_EQ(last, 10'000);
}

}  // namespace
}  // namespace weir::cross_loops_test
