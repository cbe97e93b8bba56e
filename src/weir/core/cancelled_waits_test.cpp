// Every wait of this floor, cancelled at every point: it has happened or it has not, and what it
// waited for is as if it had never been there.
#include <weir/core.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <string>
#include <tuple>
#include <utility>

namespace weir::cancelled_waits_test {
namespace {

using namespace weir::literals;
using testing::cancel_at_every_point;
using testing::victim;

// What the types say; that it is so, the tests below show.
TEST(CancelSafety, is_part_of_the_type_of_what_is_awaited) {
  using enum cancel_safety;
  EXPECT_EQ(cancel_safety_of<decltype(sleep(1_ms))>, nothing_happened);
  EXPECT_EQ(cancel_safety_of<decltype(yield())>, nothing_happened);
  EXPECT_EQ(cancel_safety_of<decltype(checkpoint())>, nothing_happened);
  EXPECT_EQ(cancel_safety_of<decltype(std::declval<scope&>().join())>, nothing_happened);
  EXPECT_EQ(cancel_safety_of<spawned<int>>, nothing_happened) << "not what it waits for";
  EXPECT_EQ(cancel_safety_of<task<int>>, as_its_waits);
  EXPECT_EQ(cancel_safety_of<decltype(std::declval<generator<int>&>().next())>, as_its_waits);
}

TEST(CancelSafety, of_a_select_is_that_of_its_waits) {
  using enum cancel_safety;
  using handle = spawned<int>&;
  using nothing = decltype(select(sleep(1_ms), std::declval<handle>()));
  EXPECT_EQ(cancel_safety_of<nothing>, nothing_happened);
  EXPECT_EQ(cancel_safety_of<decltype(as_result(std::declval<nothing>()))>, nothing_happened);
}

task<> nap() { co_await sleep(1_ms); }

/// Counts those that live.
class living {
 public:
  explicit living(int* count) noexcept : count_(count) { ++*count_; }
  living(const living&) = delete;
  living& operator=(const living&) = delete;
  ~living() { --*count_; }

 private:
  int* count_;
};
task<int> live_for(int* count, duration length) {
  const living here(count);
  co_await sleep(length);
  co_return 1;
}

template <class Wait>
task<> await_one(Wait wait, bool* has_gone_on) {
  co_await std::move(wait);
  *has_gone_on = true;
}

TEST(CancelledWaits, a_sleep_leaves_no_timer_and_its_task_does_not_go_on) {
  cancel_at_every_point([](victim& v) -> task<> {
    bool has_gone_on = false;
    co_await v.run(await_one(sleep(1_ms), &has_gone_on));
    EXPECT_TRUE(has_gone_on || v.was_cancelled());
    EXPECT_EQ(has_gone_on, testing::elapsed() == 1_ms) << "a time that had come counts (T9)";
    EXPECT_EQ(loop::current()->stats().timers_live, 0u);
  });
}

TEST(CancelledWaits, a_yield_and_a_checkpoint_end_the_task_where_they_stand) {
  cancel_at_every_point([](victim& v) -> task<> {
    int steps = 0;
    co_await v.run([](int* count) -> task<> {
      co_await yield();
      ++*count;
      co_await checkpoint();
      ++*count;
      co_await yield();
      ++*count;
    }(&steps));
    EXPECT_TRUE(steps == 3 || v.was_cancelled());
  });
}

TEST(CancelledWaits, a_join_leaves_the_children_alone) {
  cancel_at_every_point([](victim& v) -> task<> {
    int ended = 0;
    bool has_joined = false;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 3; ++i) {
        s.spawn([&]() -> task<> {
          co_await nap();
          ++ended;
        });
      }
      co_await with_scope([&](scope& beside) -> task<> {
        beside.spawn([&]() -> task<> { co_await v.run(await_one(s.join(), &has_joined)); });
        co_return;
      });
      EXPECT_TRUE(has_joined || v.was_cancelled());
      if (has_joined) EXPECT_EQ(ended, 3);
    });
    EXPECT_EQ(ended, 3);
  });
}

TEST(CancelledWaits, a_wait_for_room_spawns_once_or_not_and_keeps_no_place) {
  cancel_at_every_point([](victim& v) -> task<> {
    int ran = 0;
    co_await with_scope({.tasks_max = 1}, [&](scope& s) -> task<> {
      const auto count = [](int* by) -> task<> {
        ++*by;
        co_return;
      };
      s.spawn(&nap);
      co_await v.run([](scope* to, auto f, int* by) -> task<> {
        co_await to->spawn_when_room(f, by);
      }(&s, count, &ran));
      co_await s.join();
      EXPECT_LE(ran, 1);
      if (!v.was_cancelled()) EXPECT_EQ(ran, 1);
      co_await s.spawn_when_room(count, &ran);  // the place is free
      co_await s.join();
      EXPECT_EQ(s.stats().spawned, static_cast<std::uint64_t>(1 + ran));
    });
  });
}

TEST(CancelledWaits, an_await_of_a_spawned_task_leaves_the_task_and_its_value) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      auto child = s.spawn([]() -> task<int> {
        co_await nap();
        co_return 7;
      });
      int seen = 0;
      co_await v.run(
          [](spawned<int>* of, int* into) -> task<> { *into = co_await *of; }(&child, &seen));
      EXPECT_EQ(seen, v.was_cancelled() && seen == 0 ? 0 : 7);
      if (seen == 0) EXPECT_EQ(co_await child, 7);
    });
  });
}

TEST(CancelledWaits, a_select_takes_back_all_of_its_waits) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      auto one = s.spawn([]() -> task<int> {
        co_await nap();
        co_return 1;
      });
      auto other = s.spawn([]() -> task<int> {
        co_await nap();
        co_return 2;
      });
      int first = 0;
      int second = 0;
      co_await v.run([](spawned<int>* a, spawned<int>* b, int* x, int* y) -> task<> {
        auto [left, right, late] = co_await select(*a, *b, sleep(1_h));
        if (left) *x = *left;
        if (right) *y = *right;
      }(&one, &other, &first, &second));
      // What the select did not hand out is still there, and nobody else waits for it.
      if (first == 0) first = co_await one;
      if (second == 0) second = co_await other;
      EXPECT_EQ(first, 1);
      EXPECT_EQ(second, 2);
      EXPECT_EQ(loop::current()->stats().timers_live, 0u);
    });
  });
}

TEST(CancelledWaits, a_start_has_handed_its_child_over_or_ended_it) {
  cancel_at_every_point([](victim& v) -> task<> {
    int alive = 0;
    co_await with_scope([&](scope& services) -> task<> {
      int port = 0;
      co_await v.run([](scope* in, int* count, int* into) -> task<> {
        *into = co_await start<int>(
            *in,
            [](readiness<int>& ready, int* living_now) -> task<> {
              const living here(living_now);
              co_await nap();
              ready(80);
              co_await sleep(1_h);
            },
            count);
      }(&services, &alive, &port));
      EXPECT_EQ(alive, static_cast<int>(services.stats().live));
      if (port != 0) EXPECT_EQ(alive, 1);
      if (!v.was_cancelled()) EXPECT_EQ(port, 80);
      services.cancel();
    });
    EXPECT_EQ(alive, 0);
  });
}

// Of combinators: whatever the point, no branch lives when the combinator has ended.
template <class Combine>
void check_that_branches_end(Combine) {
  const std::size_t cancelled = cancel_at_every_point([](victim& v) -> task<> {
    int alive = 0;
    co_await v.run([](int* count) -> task<> { co_await Combine{}(count); }(&alive));
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(loop::current()->stats().timers_live, 0u);
  });
  EXPECT_GT(cancelled, 5u);
}

TEST(CancelledWaits, a_combination_of_tasks_leaves_no_branch_behind) {
  check_that_branches_end([](int* count) -> task<> {
    co_await when_all(live_for(count, 1_ms), live_for(count, 2_ms));
  });
  check_that_branches_end([](int* count) -> task<> {
    std::ignore = co_await when_any(live_for(count, 1_ms), live_for(count, 1_h));
  });
  check_that_branches_end([](int* count) -> task<> {
    std::ignore = co_await race(live_for(count, 1_ms), live_for(count, 1_h));
  });
  check_that_branches_end([](int* count) -> task<> {
    std::ignore = co_await first_success(live_for(count, 1_ms), live_for(count, 1_h));
  });
  check_that_branches_end([](int* count) -> task<> {
    std::ignore = co_await all_settled(live_for(count, 1_ms), live_for(count, 2_ms));
  });
  check_that_branches_end([](int* count) -> task<> {
    std::ignore = co_await as_result(with_timeout(1_ms, live_for(count, 1_h)));
  });
}

TEST(CancelledWaits, a_shield_has_begun_and_ended_or_not_begun) {
  cancel_at_every_point([](victim& v) -> task<> {
    std::string log;
    co_await v.run([](std::string* out) -> task<> {
      co_await yield();
      co_await shield([](std::string* inside) -> task<> {
        *inside += 'b';
        co_await nap();
        *inside += 'e';
      }(out));
    }(&log));
    EXPECT_TRUE(log.empty() || log == "be") << log;
    if (!v.was_cancelled()) EXPECT_EQ(log, "be");
  });
}

}  // namespace
}  // namespace weir::cancelled_waits_test
