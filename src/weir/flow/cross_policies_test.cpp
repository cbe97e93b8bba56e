// The rate limiter and the policies for several loops, between real threads. Each loop has a
// virtual clock of its own, which stands still while there is something to do. Nothing here depends
// on who is faster.
#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/flow/thread_loop_test.hpp>
#include <weir/sim/virtual_driver.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

namespace weir {
namespace {

using namespace weir::literals;

/// `tasks` tasks with the same body on each of two loops.
template <class F>
void on_both_loops(int tasks, F body) {
  on_two_loops([&](int) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < tasks; ++i) s.spawn([&](int me) -> task<> { co_await body(me); }, i);
      co_return;
    });
  });
}

/// How many are inside, and at most were.
struct crowd {
  std::atomic<int> now{0};
  std::atomic<int> max{0};
  void enter() {
    const int count = ++now;
    for (int seen = max; count > seen && !max.compare_exchange_weak(seen, count);) {
    }
  }
  void leave() { --now; }
};

/// Two loops of one thread, whose turns and common clock the test gives: what is on its way between
/// them stays there until it is their turn.
struct led_loops {
  virtual_world world{virtual_options{.is_led = true}};
  virtual_driver first_driver{world};
  virtual_driver second_driver{world};
  loop first{first_driver};
  loop second{second_driver};

  void turn_at(loop& on, duration since_start) {
    world.clock().advance_to(virtual_clock::start + since_start);
    on.run_turn();
  }
};

TEST(CrossRateLimiter,
     a_wait_that_is_taken_back_while_it_is_called_lets_the_next_one_have_its_turn) {
  cross::rate_limiter calls({.tokens = 1'000'000, .per = 1_s, .burst = 1});
  led_loops both;
  std::string passed;
  const auto take = [&](char mark) -> task<> {
    co_await calls.acquire();
    passed += mark;
  };
  both.first.root().spawn(take, '0');
  both.first.root().spawn(take, '1');
  both.turn_at(both.first, 0_us);
  both.second.root().spawn(take, '2');
  both.turn_at(both.second, 0_us);
  both.first.root().spawn(take, '3');
  both.turn_at(both.first, 0_us);
  EXPECT_EQ(calls.stats().waiting, 3u);
  both.turn_at(both.first, 1_us);  // '1' passes, and calls '2'
  both.second.cancel_between_turns("not wanted any more");
  EXPECT_EQ(calls.stats().waiting, 1u);
  EXPECT_EQ(both.second.stats().tasks_live, 1u) << "it ends when the call has arrived";
  EXPECT_FALSE(both.second.run_turn());
  both.turn_at(both.first, 1_us);  // '3' has been called
  EXPECT_EQ(passed, "01");
  both.turn_at(both.first, 2_us);
  EXPECT_EQ(passed, "013");
  EXPECT_EQ(calls.stats().admitted, 3u);
}

TEST(CrossRateLimiter, tokens_that_are_given_while_a_call_is_on_its_way_arrive_with_it) {
  cross::rate_limiter calls({.tokens = 1'000'000, .per = 1_s, .burst = 2});
  led_loops both;
  std::string passed;
  const auto take = [&](char mark, std::uint64_t tokens) -> task<> {
    co_await calls.acquire(tokens);
    passed += mark;
  };
  both.first.root().spawn(take, '0', std::uint64_t{2});
  both.first.root().spawn(take, '1', std::uint64_t{2});
  both.turn_at(both.first, 0_us);
  both.second.root().spawn(take, '2', std::uint64_t{1});
  both.second.root().spawn(take, '3', std::uint64_t{1});
  both.turn_at(both.second, 0_us);
  both.turn_at(both.first, 2_us);  // '1' passes, and calls '2'
  EXPECT_EQ(passed, "01");
  both.first.root().spawn([&]() -> task<> {
    co_await testing::expect_raises<errc::timed_out>(with_timeout(1_us, calls.acquire(2)));
  });
  both.turn_at(both.first, 2_us);
  both.turn_at(both.first, 9_us);  // who gives up sees that tokens are there for '2' and '3'
  EXPECT_EQ(calls.stats().admitted, 6u);
  EXPECT_EQ(passed, "01");
  EXPECT_FALSE(both.second.run_turn());
  EXPECT_EQ(passed, "0123");
}

TEST(CrossRateLimiter, keeps_one_rate_for_all_loops_also_when_waits_are_taken_back) {
  constexpr std::uint64_t burst = 4;
  cross::rate_limiter calls({.tokens = 1'000'000, .per = 1_s, .burst = burst});
  std::atomic<std::uint64_t> taken{0};
  std::atomic<std::int64_t> latest_ns{0};
  const auto take_some = [&](int me) -> task<> {
    const time_point begun = loop::current()->now();
    for (int r = 0; r < 300; ++r) {
      const auto tokens = static_cast<std::uint64_t>(1 + (r + me) % 3);
      if (r % 4 == 0) {
        co_await calls.acquire(tokens);
        taken += tokens;
        continue;
      }
      auto [token, turn] = co_await select(calls.acquire(tokens), yield());
      if (token) taken += tokens;
    }
    const std::int64_t took_ns = (loop::current()->now() - begun).ns;
    for (std::int64_t seen = latest_ns;
         took_ns > seen && !latest_ns.compare_exchange_weak(seen, took_ns);) {
    }
  };
  on_both_loops(3, take_some);
  EXPECT_EQ(calls.stats().admitted, taken);
  EXPECT_EQ(calls.stats().waiting, 0u);
  EXPECT_GE(taken, 2u * 3 * 75);
  EXPECT_GE(latest_ns, static_cast<std::int64_t>((taken - burst) * 1000)) << "a token took 1 us";
}

TEST(CrossRateLimiter, gives_each_loop_its_turn_when_waits_end_by_time_too) {
  cross::rate_limiter calls({.tokens = 1'000'000, .per = 1_s, .burst = 2});
  std::atomic<std::uint64_t> taken{0};
  std::atomic<int> given_up{0};
  on_both_loops(4, [&](int me) -> task<> {
    for (int r = 0; r < 200; ++r) {
      auto [token, late] =
          co_await select(calls.acquire(2), sleep(duration::microseconds(1 + (r + me) % 8)));
      if (token) {
        taken += 2;
      } else {
        ++given_up;
      }
    }
  });
  EXPECT_EQ(calls.stats().admitted, taken);
  EXPECT_EQ(calls.stats().waiting, 0u);
  EXPECT_EQ(taken / 2 + static_cast<std::uint64_t>(given_up), 2u * 4 * 200);
}

}  // namespace
}  // namespace weir
