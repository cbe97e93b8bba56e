#include <weir/flow/condition.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <exception>
#include <vector>

namespace weir::condition_test {
namespace {

using namespace weir::literals;

FLOW_CONTRACT("a condition gives the mutex up while it waits, and has it again after it") {
  typename Kit::mutex door;
  typename Kit::condition changed;
  bool is_open = false;
  int passed = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn([&]() -> task<> {
        auto held = co_await door.lock();
        // NOLINTNEXTLINE(bugprone-infinite-loop): another task ends it
        while (!is_open) co_await changed.wait(held);
        EXPECT_TRUE(held.holds());
        ++passed;
        co_await yield();
        EXPECT_TRUE(door.is_locked());
      });
    }
    co_await sleep(1_ms);
    EXPECT_EQ(changed.stats().waiting, 3u);
    EXPECT_FALSE(door.is_locked());
    {
      auto held = co_await door.lock();
      is_open = true;
      changed.notify_all();
      co_await sleep(1_ms);
      EXPECT_EQ(passed, 0) << "two hold the mutex";
      EXPECT_EQ(door.stats().waiting, 3u) << "who was told stands in the mutex's line";
    }
    co_await s.join();
  });
  EXPECT_EQ(passed, 3);
  EXPECT_FALSE(door.is_locked());
}

FLOW_CONTRACT("a condition takes its place in line before another task can have the mutex") {
  typename Kit::mutex door;
  typename Kit::condition changed;
  int items = 0;
  int taken = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      while (taken < 10) {
        auto held = co_await door.lock();
        co_await yield();
        // NOLINTNEXTLINE(bugprone-infinite-loop): another task ends it
        while (items == 0) co_await changed.wait(held);
        --items;
        ++taken;
      }
    });
    for (int i = 0; i < 10; ++i) {
      auto held = co_await door.lock();  // may be given to it by the wait itself
      ++items;
      changed.notify_one();
    }
    co_await s.join();
  });
  EXPECT_EQ(taken, 10);
  EXPECT_FALSE(changed.has_waiters());
}

FLOW_CONTRACT("a condition keeps nothing for those who come later") {
  typename Kit::mutex door;
  typename Kit::condition changed;
  EXPECT_FALSE(changed.notify_one());
  changed.notify_all();
  auto held = co_await door.lock();
  co_await testing::expect_raises<errc::timed_out>(with_timeout(1_ms, changed.wait(held)));
  EXPECT_FALSE(held.holds()) << "it was cancelled without the mutex";
  EXPECT_FALSE(door.is_locked());
  EXPECT_FALSE(changed.has_waiters());
}

FLOW_CONTRACT("notify_one of a condition tells who has waited longest, and none who has left") {
  typename Kit::mutex door;
  typename Kit::condition changed;
  std::vector<int> told;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn(
          [&](int me) -> task<> {
            co_await sleep(duration::milliseconds(me));  // fixes the order of arrival
            auto held = co_await door.lock();
            if (me == 0) {
              co_await testing::expect_raises<errc::timed_out>(
                  with_timeout(5_ms, changed.wait(held)));
            } else {
              co_await changed.wait(held);
              told.push_back(me);
            }
          },
          i);
    }
    co_await sleep(10_ms);
    EXPECT_EQ(changed.stats().waiting, 2u);
    EXPECT_TRUE(changed.notify_one());
    co_await sleep(1_ms);
    EXPECT_EQ(told, (std::vector<int>{1}));
    changed.notify_all();
    co_await s.join();
  });
  EXPECT_EQ(told, (std::vector<int>{1, 2}));
}

FLOW_CONTRACT("close() of a condition gives who waits the mutex back, and its end") {
  typename Kit::mutex door;
  typename Kit::condition changed;
  const auto wait = [&](typename Kit::condition& of) -> task<> {
    auto held = co_await door.lock();
    std::exception_ptr failure;
    try {
      co_await of.wait(held);
    } catch (...) {
      failure = std::current_exception();
    }
    EXPECT_TRUE(held.holds());
    if (failure) std::rethrow_exception(failure);
  };
  co_await expect_that_close_ends_all(&changed, wait);
  EXPECT_FALSE(changed.notify_one());
  EXPECT_FALSE(door.is_locked());
}

template <class Kit>
void check_cancelled_wait() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::mutex door;
    typename Kit::condition changed;
    int tokens = 0;
    int taken = 0;
    const auto take = [&]() -> task<> {
      auto held = co_await door.lock();
      // NOLINTNEXTLINE(bugprone-infinite-loop): another task ends it
      while (tokens == 0) co_await changed.wait(held);
      EXPECT_TRUE(held.holds());
      --tokens;
      ++taken;
    };
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(take);
      s.spawn([&]() -> task<> {
        for (int i = 0; i < 2; ++i) {
          co_await sleep(1_ms);
          auto held = co_await door.lock();
          ++tokens;
          changed.notify_all();
        }
      });
      co_await v.run(take());
    });
    EXPECT_GE(taken, 1);
    EXPECT_EQ(taken + tokens, 2);
    EXPECT_FALSE(door.is_locked());
    EXPECT_FALSE(changed.has_waiters());
  });
}

TEST(Condition, a_cancelled_wait_takes_no_wake_up_and_leaves_the_mutex_free) {
  check_cancelled_wait<local_flow>();
  check_cancelled_wait<cross_flow>();
}

template <class Kit>
void check_wait_that_was_told_and_cancelled() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::mutex door;
    typename Kit::condition changed;
    int tokens = 0;
    const auto take = [&]() -> task<> {
      auto held = co_await door.lock();
      // NOLINTNEXTLINE(bugprone-infinite-loop): another task ends it
      while (tokens == 0) co_await changed.wait(held);
      --tokens;
    };
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        s.spawn(take);
        co_await sleep(1_ms);
        {
          auto held = co_await door.lock();
          ++tokens;
          changed.notify_one();
          co_await yield();  // who was told stands in the mutex's line
        }
        co_await sleep(1_ms);
        EXPECT_TRUE(tokens == 0 || !changed.has_waiters()) << "somebody sleeps beside a token";
        auto held = co_await door.lock();
        tokens += 2;
        changed.notify_all();
      });
      co_await v.run(take());
    });
    EXPECT_FALSE(door.is_locked());
    EXPECT_FALSE(changed.has_waiters());
  });
}

TEST(Condition, a_wait_that_was_told_and_then_cancelled_passes_its_wake_up_on) {
  check_wait_that_was_told_and_cancelled<local_flow>();
  check_wait_that_was_told_and_cancelled<cross_flow>();
}

// From here on: wait() without a mutex, which is for one loop.

TEST(Condition, a_cancelled_wait_passes_its_turn_on) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    condition changed;
    int victims_turns = 0;
    int others_turns = 0;
    const auto take_turn = [](condition* on, int* turns) -> task<> {
      co_await on->wait();
      ++*turns;
    };
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        EXPECT_TRUE(changed.notify_one()) << "the other one waits";
        co_await sleep(1_ms);
        EXPECT_EQ(victims_turns + others_turns, 1) << "a turn was lost or made up";
        changed.notify_one();
      });
      s.spawn(take_turn, &changed, &others_turns);
      co_await v.run(take_turn(&changed, &victims_turns));
    });
    EXPECT_EQ(others_turns, 1);
    if (!v.was_cancelled()) EXPECT_EQ(victims_turns, 1);
  });
}

WEIR_TEST("without a mutex, too, a condition wakes who waits now and keeps nothing for others") {
  condition changed;
  EXPECT_FALSE(changed.notify_one());
  co_await testing::expect_raises<errc::timed_out>(with_timeout(1_ms, changed.wait()));
  EXPECT_FALSE(changed.has_waiters());
}

WEIR_TEST("close() of a condition ends who waits without a mutex") {
  condition changed;
  co_await expect_that_close_ends_all(&changed, [](condition& of) { return of.wait(); });
  EXPECT_FALSE(changed.notify_one());
}

WEIR_TEST("notify_one wakes the task that has waited longest, and a cancelled one takes no turn") {
  condition changed;
  std::vector<int> woken;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn(
          [](condition* on, std::vector<int>* log, int me) -> task<> {
            co_await sleep(duration::milliseconds(me));  // fixes the order of arrival
            if (me == 0) {
              static_cast<void>(co_await as_result(with_timeout(5_ms, on->wait())));
            } else {
              co_await on->wait();
            }
            log->push_back(me);
          },
          &changed, &woken, i);
    }
    co_await sleep(10_ms);
    EXPECT_EQ(woken, (std::vector<int>{0}));
    EXPECT_TRUE(changed.notify_one());
    co_await sleep(1_ms);
    EXPECT_EQ(woken, (std::vector<int>{0, 1}));
    changed.notify_all();
    co_await s.join();
  });
  EXPECT_EQ(woken, (std::vector<int>{0, 1, 2}));
}

WEIR_TEST("waits with a mutex and without one stand in one line of a condition") {
  mutex door;
  condition changed;
  std::vector<int> woken;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 4; ++i) {
      s.spawn(
          [&](int me) -> task<> {
            co_await sleep(duration::milliseconds(me));  // fixes the order of arrival
            if (me % 2 == 0) {
              auto held = co_await door.lock();
              co_await changed.wait(held);
              EXPECT_TRUE(held.holds());
            } else {
              co_await changed.wait();
            }
            woken.push_back(me);
          },
          i);
    }
    co_await sleep(10_ms);
    while (changed.notify_one()) co_await sleep(1_ms);
    co_await s.join();
  });
  EXPECT_EQ(woken, (std::vector<int>{0, 1, 2, 3}));
}

}  // namespace
}  // namespace weir::condition_test
