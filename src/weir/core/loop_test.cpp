#include <weir/core/loop.hpp>

#include <weir/core/run.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/unhandled.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace weir::loop_test {
namespace {

using namespace weir::literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

TEST(Run, gives_the_value_of_main) {
  virtual_driver driver;
  EXPECT_EQ(run_on(driver,
                   []() -> task<int> {
                     co_await sleep(1_ms);
                     co_return 3;
                   }()),
            3);
  EXPECT_EQ(loop::current(), nullptr);
}

TEST(Run, gives_loops_of_one_thread_their_turns) {
  virtual_driver first_driver;
  virtual_driver second_driver;
  loop first(first_driver);
  loop second(second_driver);
  std::string order;
  const auto body = [](std::string* out, char mark) -> task<> {
    for (int i = 0; i < 3; ++i) {
      *out += mark;
      co_await sleep(1_ms);
    }
  };
  first.root().spawn(body, &order, 'a');
  second.root().spawn(body, &order, 'b');
  int turns = 0;
  for (bool goes_on = true; goes_on; ++turns) {
    goes_on = first.run_turn();
    goes_on = second.run_turn() || goes_on;
    EXPECT_EQ(loop::current(), nullptr);
  }
  EXPECT_EQ(order, "ababab");
  EXPECT_EQ(turns, 4);
  EXPECT_FALSE(first.run_turn());
}

TEST(Run, is_ended_from_outside_between_turns) {
  virtual_driver driver;
  loop on(driver);
  on.root().spawn([]() -> task<> { co_await sleep(1_h); });
  EXPECT_TRUE(on.run_turn());
  on.cancel_between_turns("enough");
  EXPECT_FALSE(on.run_turn());
  EXPECT_EQ(on.stats().tasks_live, 0u);
}

TEST(Run, gives_one_for_a_main_that_failed_after_the_handler_heard_it) {
  static bool is_heard;
  is_heard = false;
  const auto before = set_unhandled_handler([](const unhandled_error& e) noexcept {
    is_heard = !e.is_report && std::string(e.text).find("main fails") != std::string::npos;
  });
  virtual_driver driver;
  EXPECT_EQ(run_on(driver,
                   []() -> task<int> {
                     raise(error(errc::broken, "main fails"));
                     co_return 0;
                   }()),
            1);
  set_unhandled_handler(before);
  EXPECT_TRUE(is_heard);
}

TEST(Run, a_task_of_the_root_that_fails_ends_main_and_is_heard_T18) {
  static int heard;
  heard = 0;
  const auto before =
      set_unhandled_handler([](const unhandled_error& e) noexcept { heard += !e.is_report; });
  virtual_driver driver;
  loop on(driver);
  bool has_main_ended = false;
  bool has_gone_on = false;
  on.root().spawn([&]() -> task<> {
    struct flag {
      bool* set;
      ~flag() { *set = true; }
    } const at_the_end{&has_main_ended};
    co_await sleep(1_h);
    has_gone_on = true;
  });
  on.root().spawn([]() -> task<> {
    co_await sleep(1_ms);
    raise(error(errc::internal, "a part of the runtime failed"));
  });
  on.run();
  set_unhandled_handler(before);
  EXPECT_EQ(heard, 1);
  EXPECT_TRUE(has_main_ended);
  EXPECT_FALSE(has_gone_on);
}

TEST(Loop, loops_one_after_the_other_share_a_world) {
  virtual_world world;
  for (int i = 0; i < 3; ++i)
    testing::run_virtual_in(world, []() -> task<> { co_await sleep(1_h); }());
  EXPECT_EQ(world.clock().now() - virtual_clock::start, 3_h);
}

// The budget of a step: waits that are ready at once don't keep the loop for themselves.
TEST(Loop, a_task_that_is_always_ready_gives_way_after_its_budget_T1_L2) {
  std::string log;
  testing::run_virtual(
      [](std::string* out) -> task<> {
        co_await with_scope([&](scope& s) -> task<> {
          s.spawn([&]() -> task<> {
            for (int i = 0; i < 25; ++i) {
              out->push_back('a');
              co_await checkpoint();
            }
          });
          s.spawn([&]() -> task<> {
            for (int i = 0; i < 25; ++i) {
              out->push_back('b');
              co_await checkpoint();
            }
          });
          co_return;
        });
      }(&log),
      {.loop = {.step_waits_max = 9}});
  EXPECT_EQ(log, std::string(10, 'a') + std::string(10, 'b') + std::string(10, 'a') +
                     std::string(10, 'b') + std::string(5, 'a') + std::string(5, 'b'));
}

TEST(Loop, a_timer_fires_although_tasks_are_always_ready_L2) {
  // Time does not pass by itself while tasks are ready, so the busy ones move the clock.
  virtual_world world;
  bool is_stopped = false;
  std::uint64_t rounds = 0;
  testing::run_virtual_in(world, [](virtual_world* w, bool* stop, std::uint64_t* count) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 1000; ++i) {
        s.spawn([&]() -> task<> {
          while (!*stop) {
            ++*count;
            w->clock().advance_to(w->clock().now() + 1_us);
            co_await yield();
          }
        });
      }
      co_await sleep(1_ms);
      *stop = true;
    });
  }(&world, &is_stopped, &rounds));
  // Due after 1,000 steps; looked at within a turn of 256 steps, and then in its turn in the queue.
  EXPECT_LE(rounds, 1000u + 256u + 1000u);
}

TEST(Loop, a_turn_ends_after_its_time_even_with_steps_left_L2) {
  virtual_world world;
  std::uint64_t turns = 0;
  testing::run_virtual_in(world,
                          [](virtual_world* w, std::uint64_t* out) -> task<> {
                            co_await with_scope([&](scope& s) -> task<> {
                              for (int i = 0; i < 160; ++i) {
                                s.spawn([&]() -> task<> {
                                  w->clock().advance_to(w->clock().now() + 1_ms);
                                  co_return;
                                });
                              }
                              co_await s.join();
                              *out = loop::current()->stats().turns;
                            });
                          }(&world, &turns),
                          {.loop = {.turn_time_max = 1_ms}});
  EXPECT_GE(turns, 10u) << "the clock is looked at each 16 steps";
}

/// How many of `count` steps, the first `quick` of which take no time and the others 1 ms each, ran
/// in the longest turn.
std::uint64_t steps_of_longest_turn(int count, int quick, duration turn_time_max) {
  virtual_world world;
  std::vector<std::uint64_t> steps;  // by turn
  testing::run_virtual_in(
      world,
      [](virtual_world* w, int all, int first, std::vector<std::uint64_t>* out) -> task<> {
        const auto step = [w, first, out](int i) -> task<> {
          if (i >= first) w->clock().advance_to(w->clock().now() + 1_ms);
          out->resize(loop::current()->stats().turns + 1);
          ++out->back();
          co_return;
        };
        co_await with_scope([&](scope& s) -> task<> {
          for (int i = 0; i < all; ++i) s.spawn(step, i);
          co_return;
        });
      }(&world, count, quick, &steps),
      {.loop = {.turn_steps_max = 10'000, .turn_time_max = turn_time_max}});
  return *std::ranges::max_element(steps);
}

TEST(Loop, slow_steps_behind_quick_ones_end_the_turn) {
  // The chain that began with the last quick steps is seen through: 64 steps.
  EXPECT_LE(steps_of_longest_turn(1600, 0, 1_ms), 16u);
  EXPECT_LE(steps_of_longest_turn(1600, 800, 1_ms), 800u + 64u);
  EXPECT_GE(steps_of_longest_turn(1600, 800, 1_ms), 800u) << "quick steps are one turn";
}

TEST(Loop, a_slow_chain_is_followed_by_short_ones) {
  // One step spawns the others; 16 quick ones, 64 slow ones, then 16 and 16 and 16.
  EXPECT_LE(steps_of_longest_turn(1600, 16, 100_ms), 1u + 16u + 64u + 48u);
}

class recording_observer final : public loop_observer {
 public:
  void before_run() noexcept override { log += "( "; }
  void after_run() noexcept override { log += ") "; }
  void task_spawned(std::uint64_t id) noexcept override { note('n', id); }
  void task_scheduled(std::uint64_t id) noexcept override { note('s', id); }
  void before_step(std::uint64_t id) noexcept override { note('<', id); }
  void after_step(std::uint64_t id) noexcept override { note('>', id); }
  void task_exited(std::uint64_t id) noexcept override { note('x', id); }
  void before_io_wait(time_point) noexcept override { log += "w "; }
  void after_io_wait() noexcept override { log += "W "; }
  std::string log;

 private:
  void note(char what, std::uint64_t id) { ((log += what) += std::to_string(id)) += ' '; }
};

TEST(Loop, an_observer_hears_every_event_in_order_T24) {
  virtual_driver driver;
  loop on(driver);
  recording_observer observer;
  on.observe(&observer);
  on.root().spawn([]() -> task<> { co_await sleep(1_ms); });
  on.run();
  EXPECT_EQ(observer.log, "n1 s1 ( <1 >1 w W s1 <1 x1 >1 ) ");
}

class io_wait_recorder final : public loop_observer {
 public:
  void before_io_wait(time_point until) noexcept override {
    waits.push_back(until);
    if (until == time_point::never()) is_asleep.count_down();
  }
  std::vector<time_point> waits;
  std::latch is_asleep{1};
};

TEST(Loop, waits_in_the_driver_until_the_next_timer_and_not_at_all_while_a_task_is_ready_L1) {
  virtual_driver driver(virtual_options{.threads = true});
  loop on(driver, {.turn_steps_max = 16});
  io_wait_recorder observer;
  on.observe(&observer);
  const time_point began = on.now();
  std::thread other([&] {
    observer.is_asleep.wait();
    on.post([&] { on.root().cancel(); });
  });
  on.root().spawn([]() -> task<> {
    for (int i = 0; i < 20; ++i) co_await yield();  // more than a turn's steps
    co_await sleep(5_ms);
    co_await sleep_until(time_point::never());
  });
  on.run();
  other.join();
  EXPECT_THAT(observer.waits, ElementsAre(began, began + 5_ms, time_point::never()));
}

class wake_up_counter final : public loop_observer {
 public:
  void task_scheduled(std::uint64_t) noexcept override { most = std::max(most, ++in_a_row); }
  void before_step(std::uint64_t) noexcept override { in_a_row = 0; }
  std::size_t in_a_row = 0;
  std::size_t most = 0;
};

TEST(Loop, a_turn_fires_no_more_timers_than_it_runs_steps) {
  virtual_driver driver;
  loop on(driver, {.turn_steps_max = 16});
  std::vector<int> order;
  for (int i = 0; i < 100; ++i) {
    on.root().spawn(
        [](int number, std::vector<int>* out) -> task<> {
          co_await sleep(1_ms);
          out->push_back(number);
        },
        i, &order);
  }
  wake_up_counter observer;
  on.observe(&observer);
  on.run();
  EXPECT_EQ(observer.most, 16u);
  ASSERT_EQ(order.size(), 100u);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST(Loop, stats_count_what_happened) {
  virtual_driver driver;
  loop on(driver, {.name = "counted"});
  EXPECT_STREQ(on.name(), "counted");
  for (int i = 0; i < 3; ++i) on.root().spawn([]() -> task<> { co_await sleep(1_ms); });
  EXPECT_EQ(on.stats().tasks_live, 3u);
  on.run();
  const loop_stats stats = on.stats();
  EXPECT_EQ(stats.tasks_spawned, 3u);
  EXPECT_EQ(stats.tasks_live, 0u);
  EXPECT_EQ(stats.steps, 6u);
  EXPECT_EQ(stats.timers_live, 0u);
}

TEST(Loop, a_loop_can_run_again_after_its_tasks_have_ended) {
  virtual_driver driver;
  loop on(driver);
  int runs = 0;
  for (int i = 0; i < 3; ++i) {
    on.root().spawn([&]() -> task<> {
      ++runs;
      co_await sleep(1_ms);
    });
    on.run();
  }
  EXPECT_EQ(runs, 3);
}

TEST(Loop, one_seed_gives_one_order_and_different_seeds_different_ones_L5) {
  const auto order = [](std::uint64_t seed) {
    std::string log;
    testing::run_virtual(
        [](std::string* out) -> task<> {
          co_await with_scope([&](scope& s) -> task<> {
            for (char c = 'a'; c <= 'z'; ++c) {
              s.spawn(
                  [](std::string* to, char name) -> task<> {
                    to->push_back(name);
                    co_await yield();
                    to->push_back(name);
                  },
                  out, c);
            }
            co_return;
          });
        }(&log),
        {.world = virtual_options::explored(seed)});
    return log;
  };
  EXPECT_EQ(order(1), order(1));
  EXPECT_NE(order(1), order(2));
}

TEST(LoopDeathTest, a_deadlock_prints_who_waits_for_what_and_ends_the_process) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        virtual_driver driver;
        run_on(driver, []() -> task<> {
          co_await with_scope({.name = "stuck"}, [](scope& s) -> task<> {
            s.spawn([]() -> task<> { co_await scope::current()->join(); });
            co_return;
          });
        }());
      },
      "deadlock: every task waits and nothing can wake one(.|\n)*scope \"stuck\"(.|\n)*end of a "
      "scope's tasks");
}

TEST(LoopDeathTest, a_second_loop_on_the_same_thread_is_a_bug) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 virtual_driver driver;
                 run_on(driver, []() -> task<> { co_return; }());
                 co_return;
               }()),
               "one loop runs on a thread at a time");
}

}  // namespace
}  // namespace weir::loop_test
