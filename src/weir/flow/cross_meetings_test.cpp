// Twins for several loops that tasks wait in together, between real threads. Nothing here depends
// on who is faster.
#include <weir/core.hpp>
#include <weir/flow/condition.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/flow/thread_loop_test.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace weir::cross_meetings_test {
namespace {

using namespace weir::literals;

TEST(CrossSharedMutex, lets_readers_in_together_and_a_writer_alone) {
  cross::shared_mutex door;
  std::int64_t written = 0;  // guarded by the lock alone: a sanitizer would see a race
  std::atomic<int> inside{0};
  std::atomic<bool> was_shared_with_a_writer{false};
  on_two_loops([&](int) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 3; ++i) {
        s.spawn(
            [&](int me) -> task<> {
              for (int r = 0; r < 200; ++r) {
                if ((r + me) % 4 == 0) {
                  auto held = co_await door.lock();
                  if (inside != 0) was_shared_with_a_writer = true;
                  ++written;
                  if (r % 16 == 0) co_await yield();
                } else {
                  auto held = co_await door.lock_shared();
                  ++inside;
                  EXPECT_GE(written, 0);
                  if (r % 8 == 0) co_await yield();
                  --inside;
                }
              }
            },
            i);
      }
      co_return;
    });
  });
  EXPECT_EQ(written, 2 * 3 * 50);
  EXPECT_FALSE(was_shared_with_a_writer);
  EXPECT_EQ(door.readers(), 0u);
}

TEST(CrossLatch, lets_every_loop_go_when_threads_have_counted_it_down) {
  for (int round = 0; round < 50; ++round) {
    cross::latch ready(4);
    std::int64_t made = 0;
    std::thread outside([&] {
      made = 1;
      ready.count_down(2);
    });
    on_two_loops([&](int) -> task<> {
      co_await ready.arrive_and_wait();
      EXPECT_EQ(made, 1);
    });
    outside.join();
    EXPECT_TRUE(ready.is_reached());
  }
}

TEST(CrossBarrier, lets_no_loop_into_the_next_round_before_all_have_ended_this_one) {
  constexpr int rounds = 200;
  cross::barrier round(4);
  std::atomic<int> inside[rounds] = {};
  std::atomic<int> last{0};
  on_two_loops([&](int) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 2; ++i) {
        s.spawn([&]() -> task<> {
          for (std::atomic<int>& r : inside) {
            ++r;
            if (co_await round.arrive_and_wait()) ++last;
            EXPECT_EQ(r, 4);
          }
        });
      }
      co_return;
    });
  });
  EXPECT_EQ(round.meetings(), static_cast<std::uint64_t>(rounds));
  EXPECT_EQ(last, rounds);
}

TEST(CrossOnce, is_made_once_for_all_loops_and_again_only_after_a_failure) {
  for (int round = 0; round < 50; ++round) {
    cross::once<std::vector<int>> table;
    std::atomic<int> tries{0};
    std::atomic<int> failures{0};
    on_two_loops([&](int) -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        for (int i = 0; i < 3; ++i) {
          s.spawn([&]() -> task<> {
            auto got = co_await as_result(table.get([&]() -> task<std::vector<int>> {
              co_await yield();
              if (++tries == 1) raise(error(errc::io));
              co_return std::vector<int>{1, 2, 3};
            }));
            if (!got) {
              ++failures;
            } else {
              EXPECT_EQ((*got)->size(), 3u);
            }
          });
        }
        co_return;
      });
    });
    EXPECT_EQ(tries, 2);
    EXPECT_EQ(failures, 1);
    EXPECT_TRUE(table.value());
  }
}

TEST(CrossBroadcast, brings_every_item_to_every_loop_in_order_or_tells_what_was_missed) {
  auto news = cross::broadcast<std::shared_ptr<int>>(16);
  std::vector<cross::broadcast_receiver<std::shared_ptr<int>>> receivers{news.subscribe(),
                                                                         news.subscribe()};
  std::atomic<std::int64_t> counted{0};
  std::vector<std::thread> threads;
  for (auto& mine : receivers) {
    threads.push_back(run_on_thread([&counted, &mine]() -> task<> {
      std::int64_t next = 0;
      while (auto item = co_await mine.receive()) {
        next += static_cast<std::int64_t>(item->missed);
        EXPECT_EQ(*item->value, next);
        ++next;
      }
      counted += next;
    }));
  }
  for (int i = 0; i < 5000; ++i) EXPECT_EQ(news.send(std::make_shared<int>(i)), 2u);
  news.close();
  for (std::thread& one : threads) one.join();
  EXPECT_EQ(counted, 10'000);
}

TEST(CrossBroadcast, tasks_share_a_receiver_that_may_be_closed_while_another_thread_sends) {
  for (int round = 0; round < 20; ++round) {
    auto news = cross::broadcast<int>(256);
    auto all = news.subscribe();
    auto some = news.subscribe();
    std::atomic<int> heard{0};
    std::atomic<int> ends{0};
    const auto hear = [&](cross::broadcast_receiver<int>* mine) -> task<> {
      try {
        while (auto item = co_await mine->receive()) heard += mine == &all ? 1 : 0;
        ++ends;
      } catch (const exception& e) {
        ends += e.reason().code() == errc::closed ? 1 : 0;
      }
    };
    std::thread listener = run_on_thread([&]() -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        for (int i = 0; i < 2; ++i) {
          s.spawn(hear, &all);
          s.spawn(hear, &some);
        }
        for (int i = 0; i < 10; ++i) co_await yield();
        some.close();
      });
    });
    for (int i = 0; i < 200; ++i) news.send(i);
    news.close();
    listener.join();
    EXPECT_EQ(heard, 200);
    EXPECT_EQ(ends, 4);
  }
}

struct counted_up {
  int by;
  int number;
};

TEST(CrossEventBus, lets_every_loop_hear_the_events_of_all_in_one_order) {
  constexpr int events = 1000;
  cross::event_bus bus({.capacity = 2 * events});
  std::vector<cross::broadcast_receiver<counted_up>> receivers{bus.subscribe<counted_up>(),
                                                               bus.subscribe<counted_up>()};
  std::vector<int> heard[2];
  on_two_loops([&](int me) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (int i = 0; i < events; ++i) {
          EXPECT_EQ(bus.publish(counted_up{me, i}), 2u);
          if (i % 64 == 0) co_await yield();
        }
      });
      int next[2] = {};
      for (int i = 0; i < 2 * events; ++i) {
        const auto item = co_await receivers[static_cast<std::size_t>(me)].receive();
        EXPECT_EQ(item->missed, 0u);
        EXPECT_EQ(item->value.number, next[item->value.by]++);
        heard[me].push_back(item->value.by);
      }
    });
  });
  EXPECT_EQ(heard[0], heard[1]);
  EXPECT_EQ(bus.stats().published, 2u * events);
}

TEST(CrossEventBus, makes_a_topic_once_whoever_asks_for_it_at_the_same_time) {
  for (int round = 0; round < 50; ++round) {
    cross::event_bus bus({.capacity = 4, .topics_max = 8});
    std::atomic<int> refusals{0};
    std::atomic<int> heard{0};
    cross::barrier all(2);
    on_two_loops([&](int) -> task<> {
      std::vector<cross::broadcast_receiver<int>> mine;
      for (int i = 0; i < 8; ++i) mine.push_back(bus.subscribe<int>(std::to_string(i)));
      try {
        static_cast<void>(bus.subscribe<int>("one too many"));
      } catch (const exception& e) {
        refusals += e.reason().code() == errc::full ? 1 : 0;
      }
      co_await all.arrive_and_wait();
      for (int i = 0; i < 4; ++i) EXPECT_EQ(bus.publish(i, std::to_string(i)), 2u);
      for (int i = 0; i < 4; ++i) {
        for (int by = 0; by < 2; ++by)
          heard += (co_await mine[static_cast<std::size_t>(i)].receive())->value == i ? 1 : 0;
      }
    });
    EXPECT_EQ(bus.stats().topics, 8u);
    EXPECT_EQ(refusals, 2);
    EXPECT_EQ(heard, 16);
  }
}

TEST(CrossCondition, loses_no_wake_up_between_the_check_and_the_wait) {
  cross::mutex door;
  cross::condition changed;
  std::deque<int> items;  // guarded by the mutex
  std::atomic<int> sum{0};
  on_two_loops([&](int t) -> task<> {
    for (int i = 1; i <= 1000; ++i) {
      auto held = co_await door.lock();
      if (t == 0) {
        items.push_back(i);
        changed.notify_one();
        continue;
      }
      while (items.empty()) co_await changed.wait(held);
      sum += items.front();
      items.pop_front();
    }
  });
  EXPECT_EQ(sum, 500'500);
  EXPECT_FALSE(door.is_locked());
  EXPECT_FALSE(changed.has_waiters());
}

TEST(CrossCondition, that_is_closed_ends_the_waits_of_all_loops_with_the_mutex_held) {
  cross::mutex door;
  cross::condition changed;
  int ended = 0;  // guarded by the mutex
  on_two_loops([&](int t) -> task<> {
    auto held = co_await door.lock();
    if (t == 0) {
      changed.close();
      held.unlock();
      held = co_await door.lock();
    }
    // Before or after the end: the one is told as the other.
    co_await testing::expect_raises<errc::closed>(changed.wait(held));
    EXPECT_TRUE(held.holds());
    ++ended;
  });
  EXPECT_EQ(ended, 2);
  EXPECT_FALSE(door.is_locked());
}

}  // namespace
}  // namespace weir::cross_meetings_test
