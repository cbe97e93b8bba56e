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

namespace weir::cross_policies_test {
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

TEST(CrossBulkhead, a_place_that_is_on_its_way_is_not_lost_when_the_time_to_wait_has_passed) {
  cross::bulkhead pool({.calls_max = 1, .queue_max = 1, .wait_max = 10_us});
  led_loops both;
  bool has_had_a_place = false;
  both.second.root().spawn([&]() -> task<> {
    auto place = co_await pool.enter();
    co_await sleep(5_us);
  });
  both.turn_at(both.second, 0_us);
  both.first.root().spawn([&]() -> task<> {
    auto place = co_await pool.enter();
    has_had_a_place = true;
  });
  both.turn_at(both.first, 0_us);
  EXPECT_EQ(pool.stats().waiting, 1u);
  both.turn_at(both.second, 5_us);
  EXPECT_EQ(pool.stats().waiting, 0u);
  both.turn_at(both.first, 10_us);  // its timer fires before it looks at what has come
  EXPECT_TRUE(has_had_a_place);
  EXPECT_EQ(pool.stats().refused, 0u);
  EXPECT_EQ(pool.stats().running, 0u);
  EXPECT_EQ(pool.stats().waiting, 0u);
}

TEST(CrossBulkhead, keeps_its_bound_between_loops_while_waits_end_early) {
  cross::bulkhead pool({.calls_max = 2, .queue_max = 4, .wait_max = 2_us});
  crowd inside;
  std::atomic<int> ran{0};
  std::atomic<int> refused{0};
  std::atomic<int> taken_back{0};
  const auto work = [&](int r) -> task<> {
    inside.enter();
    ++ran;
    if (r % 2 == 0) co_await yield();
    if (r % 3 != 0) co_await sleep(duration::microseconds(r % 3));
    inside.leave();
  };
  const auto work_if_soon = [&](int r) -> task<> {
    auto [place, turn] = co_await select(pool.enter(), yield());
    if (!place) {
      ++taken_back;
      co_return;
    }
    co_await work(r);
  };
  on_both_loops(4, [&](int) -> task<> {
    for (int r = 0; r < 400; ++r) {
      const auto end = r % 2 == 0
                           ? co_await as_result(work_if_soon(r))
                           : co_await as_result(pool.run([&]() -> task<> { co_await work(r); }));
      if (end) continue;
      EXPECT_TRUE(end.error().code() == errc::full || end.error().code() == errc::timed_out);
      ++refused;
    }
  });
  const slots_stats seen = pool.stats();
  EXPECT_LE(inside.max, 2);
  EXPECT_EQ(ran + refused + taken_back, 2 * 4 * 400);
  EXPECT_EQ(seen.admitted, static_cast<std::uint64_t>(ran));
  EXPECT_EQ(seen.refused, static_cast<std::uint64_t>(refused));
  EXPECT_EQ(seen.running, 0u);
  EXPECT_EQ(seen.waiting, 0u);
}

TEST(CrossConcurrencyLimit, learns_from_the_calls_of_all_loops_and_stays_within_its_bounds) {
  cross::concurrency_limit limit({}, {.limit_initial = 4, .limit_min = 2, .limit_max = 6});
  crowd inside;
  std::atomic<int> failed{0};
  on_both_loops(8, [&](int me) -> task<> {
    for (int r = 0; r < 100; ++r) {
      const auto end = co_await as_result(limit.run([&]() -> task<> {
        inside.enter();
        co_await sleep(duration::microseconds(1 + r % 2));
        inside.leave();
        if ((r + me) % 16 == 0) raise(error(errc::busy));
      }));
      failed += end ? 0 : 1;
    }
  });
  const slots_stats seen = limit.stats();
  EXPECT_LE(inside.max, 6);
  EXPECT_GE(seen.limit, 2u);
  EXPECT_LE(seen.limit, 6u);
  EXPECT_EQ(seen.admitted, 2u * 8 * 100);
  EXPECT_EQ(seen.running, 0u);
  EXPECT_GE(failed, 2 * 8 * 6);
}

TEST(CrossCircuitBreaker, spares_one_loop_what_another_has_found_out) {
  cross::circuit_breaker breaker({.name = "pricing", .calls_min = 3, .open_for = 1_h});
  cross::event is_open;
  on_two_loops([&](int me) -> task<> {
    bool was_called = false;
    const auto call = [&]() -> task<> {
      was_called = true;
      raise(error(errc::broken, "no route"));
      co_return;
    };
    if (me == 0) {
      for (int i = 0; i < 3; ++i) EXPECT_FALSE(co_await as_result(breaker.run(call)));
      is_open.set();
      co_return;
    }
    co_await is_open.wait();
    const auto end = co_await as_result(breaker.run(call));
    EXPECT_FALSE(was_called);
    EXPECT_EQ(end.error().code(), errc::refused);
    EXPECT_EQ(end.error().cause()->message(), "no route");
  });
  EXPECT_EQ(breaker.state(), breaker_state::open);
  EXPECT_EQ(breaker.stats().opened, 1u);
}

TEST(CrossCircuitBreaker, counts_every_call_once_while_it_opens_and_closes) {
  cross::circuit_breaker breaker(
      {.window_calls = 8, .calls_min = 4, .open_for = 3_us, .probes = 2});
  std::atomic<std::uint64_t> called{0};
  std::atomic<std::uint64_t> failed{0};
  std::atomic<std::uint64_t> refused{0};
  on_both_loops(3, [&](int me) -> task<> {
    for (int r = 0; r < 200; ++r) {
      try {
        co_await breaker.run([&]() -> task<> {
          ++called;
          if (r % 2 == 0) co_await yield();
          if ((r / 20 + me) % 3 != 0) raise(error(errc::broken));
        });
      } catch (const call_refused&) {
        ++refused;
      } catch (const exception&) {
        ++failed;
      }
      co_await sleep(1_us);
    }
  });
  const breaker_stats seen = breaker.stats();
  EXPECT_EQ(called + refused, 2u * 3 * 200);
  EXPECT_EQ(seen.failed, failed);
  EXPECT_EQ(seen.succeeded, called - failed);
  EXPECT_EQ(seen.refused, refused);
  EXPECT_GE(seen.opened, 1u);
}

TEST(CrossRetryBudget, is_spent_once_by_all_threads_together) {
  cross::retry_budget budget({.ratio = 0.5, .retries_per_second_min = 0});
  const time_point now(100'000'000'000);
  std::atomic<std::uint64_t> retries{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 1000; ++i) {
        budget.deposit(now);
        for (int tries = 0; tries < 2; ++tries) retries += budget.try_withdraw(now) ? 1 : 0;
      }
    });
  }
  for (std::thread& one : threads) one.join();
  while (budget.try_withdraw(now)) ++retries;
  EXPECT_EQ(retries, 1000u) << "half of what was called";
  EXPECT_EQ(budget.stats().calls, 2000u);
  EXPECT_EQ(budget.stats().retries, 1000u);
}

TEST(CrossCallCache, makes_a_value_once_for_all_loops) {
  cross::call_cache<int, std::string> names;
  std::atomic<int> made{0};
  std::atomic<int> found{0};
  on_both_loops(4, [&](int) -> task<> {
    for (int key = 0; key < 100; ++key) {
      const std::string name = co_await names.get(key, [&](int of) -> task<std::string> {
        ++made;
        co_await yield();
        co_return std::to_string(of);
      });
      found += name == std::to_string(key) ? 1 : 0;
    }
  });
  EXPECT_EQ(made, 100);
  EXPECT_EQ(found, 2 * 4 * 100);
  EXPECT_EQ(names.stats().entries, 100u);
  EXPECT_EQ(names.stats().in_flight, 0u);
}

TEST(CrossCallCache, lets_nobody_wait_for_a_maker_that_was_taken_back_or_failed) {
  cross::call_cache<int, int> squares({.entries_max = 4, .fresh_for = 4_us});
  std::atomic<int> found{0};
  std::atomic<int> failed{0};
  std::atomic<int> given_up{0};
  on_both_loops(4, [&](int me) -> task<> {
    for (int r = 0; r < 200; ++r) {
      const int key = r % 6;
      auto got = co_await as_result(with_timeout(2_us, squares.get(key, [&](int of) -> task<int> {
        co_await sleep(duration::microseconds((r + me) % 4));
        if ((r + me) % 7 == 0) raise(error(errc::io, "no square today"));
        co_return of* of;
      })));
      if (got) {
        EXPECT_EQ(*got, key * key);
        ++found;
      } else {
        ++(got.error().code() == errc::io ? failed : given_up);
      }
      if (r % 50 == 0) squares.erase(key);
      if (r % 70 == 0) squares.clear();
    }
  });
  EXPECT_EQ(found + failed + given_up, 2 * 4 * 200);
  EXPECT_EQ(squares.stats().in_flight, 0u);
  EXPECT_LE(squares.stats().entries, 4u);
  std::thread after = run_on_thread([&]() -> task<> {
    for (int key = 0; key < 6; ++key) {
      EXPECT_EQ(co_await squares.get(key, [](int of) -> task<int> { co_return of* of; }),
                key * key);
    }
  });
  after.join();
}

}  // namespace
}  // namespace weir::cross_policies_test
