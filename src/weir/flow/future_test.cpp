// Futures among scopes, cancellations and threads.
#include <weir/flow/future.hpp>

#include <weir/core.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/promise.hpp>
#include <weir/flow/thread_loop_test.hpp>
#include <weir/sim/virtual_driver.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::future_test {
namespace {

using namespace weir::literals;

WEIR_TEST("a scope waits for the handlers that were registered in it") {
  promise<int> later;
  int seen = 0;
  co_await with_scope([&](scope& s) -> task<> {
    later.get_future().then([&](int n) { seen = n; });
    s.spawn([&]() -> task<> {
      co_await sleep(1_h);
      later.resolve(4);
    });
    co_return;
  });
  EXPECT_EQ(seen, 4);
}

WEIR_TEST("cancelling a scope ends the handlers that are not due, and frees what they hold") {
  promise<int> never;
  shared_future<int> source = never.get_future();
  auto captured = std::make_shared<int>(0);
  bool has_run = false;
  bool has_heard = false;
  future<> handled;
  co_await with_scope([&](scope& s) -> task<> {
    handled = source.then([&, captured](const int&) { has_run = true; });
    source.finally([&] { has_heard = true; }).ignore_errors();
    co_await sleep(1_ms);
    s.cancel("enough");
  });
  EXPECT_FALSE(has_run);
  EXPECT_FALSE(has_heard);
  EXPECT_EQ(captured.use_count(), 1);
  EXPECT_TRUE(handled.is_ready());
  never.resolve(1);
  co_await testing::expect_raises<errc::cancelled>(std::move(handled));
  EXPECT_EQ(co_await source, 1) << "the source is as it was";
}

WEIR_TEST(
    "a handler that is due runs although its scope is cancelled, and the next one hears of it") {
  bool has_run = false;
  errc heard{};
  co_await with_scope([&](scope& s) -> task<> {
    promise<int> source;
    source.get_future()
        .then([&](int) { has_run = true; })
        .then([] { return promise<>().get_future(); })
        .catch_error([&](const error& reason) { heard = reason.code(); });
    source.resolve(1);
    s.cancel("enough");
    co_return;
  });
  EXPECT_TRUE(has_run);
  EXPECT_EQ(heard, errc::broken);
}

WEIR_TEST("in a cancelled scope a new handler is cancelled at once, but an error passes by") {
  errc of_value{};
  errc of_error{};
  co_await with_scope([&](scope& s) -> task<> {
    s.cancel("before");
    auto value = resolved_future(1).then([](int) { ADD_FAILURE(); });
    auto failed = rejected_future<int>(errc::io).then([](int) { ADD_FAILURE(); });
    EXPECT_TRUE(value.is_ready() && failed.is_ready());
    try {
      std::rethrow_exception(value.failure());
    } catch (const exception& e) {
      of_value = e.reason().code();
    }
    try {
      std::rethrow_exception(failed.failure());
    } catch (const exception& e) {
      of_error = e.reason().code();
    }
    co_return;
  });
  EXPECT_EQ(of_value, errc::cancelled);
  EXPECT_EQ(of_error, errc::io);
}

WEIR_TEST("a handler's endless chain ends with its scope (L7)") {
  int rounds = 0;
  co_await with_scope({.timeout = 1_s}, [&](scope& s) -> task<> {
    struct chain {
      static void go_on(int& count) {
        resolved_future().then([&count] {
          ++count;
          go_on(count);
        });
      }
    };
    chain::go_on(rounds);
    s.spawn([&]() -> task<> {
      while (rounds < 1000) co_await yield();
      s.cancel("enough");
    });
    co_return;
  });
  EXPECT_GE(rounds, 1000);
}

WEIR_TEST("handlers registered outside of a task belong to the loop's root") {
  future<int> doubled;
  event done;
  EXPECT_TRUE(loop::current()->post([&] {
    doubled = resolved_future(4).then([&](int n) {
      done.set();
      return 2 * n;
    });
  }));
  co_await done.wait();
  EXPECT_EQ(co_await doubled, 8);
}

WEIR_TEST("a future is one branch of a select, and keeps its value when it loses") {
  promise<int> later;
  auto result = later.get_future();
  auto [early, late] = co_await select(result, sleep(1_ms));
  EXPECT_TRUE(!early && late);
  later.resolve(3);
  auto [value, timer] = co_await select(result, sleep(1_h));
  EXPECT_EQ(*value, 3);
  EXPECT_FALSE(result) << "taken";
  const auto outcome = co_await as_result(rejected_future(errc::busy));
  EXPECT_EQ(outcome.error().code(), errc::busy);
}

WEIR_TEST("a future may be given a time-out, and is as it was when that was too short") {
  promise<int> later;
  future<int> result = later.get_future();
  co_await testing::expect_raises<errc::timed_out>(with_timeout(1_ms, result));
  EXPECT_TRUE(result) << "it can be asked again";
  later.resolve(3);
  EXPECT_EQ(co_await with_timeout(1_ms, result), 3);
  EXPECT_FALSE(result) << "taken";
  promise<int> never;
  co_await testing::expect_raises<errc::timed_out>(with_timeout(1_ms, never.get_future()));
}

WEIR_TEST("a shared future with a time-out gives a copy, and nothing of it is lost") {
  promise<std::string> later;
  const shared_future<std::string> shared = later.get_future().share();
  co_await testing::expect_raises<errc::timed_out>(with_timeout(1_ms, shared));
  later.resolve("here");
  EXPECT_EQ(co_await with_timeout(1_ms, shared), "here");
  EXPECT_EQ(co_await shared, "here");
  co_await testing::expect_raises<errc::busy>(with_timeout(1_ms, rejected_future(errc::busy)));
}

TEST(Future, a_cancelled_await_leaves_the_future_as_it_was) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    promise<int> later;
    auto result = later.get_future();
    int got = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await yield();
        later.resolve(7);
      });
      co_await v.run([](future<int>& from, int& to) -> task<> { to = co_await from; }(result, got));
      if (got == 0) got = co_await result;
    });
    EXPECT_EQ(got, 7);
    EXPECT_FALSE(result);
  });
}

TEST(Future, a_cancelled_await_with_a_time_out_leaves_the_future_as_it_was_and_no_timer) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    promise<int> later;
    promise<int> latest;
    auto result = later.get_future();
    const shared_future<int> shared = latest.get_future().share();
    int got = 0;
    int seen = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        later.resolve(7);
        co_await sleep(1_ms);
        latest.resolve(8);
      });
      co_await v.run(
          [](future<int>& from, const shared_future<int>& of, int& to, int& into) -> task<> {
            to = co_await with_timeout(10_ms, from);
            into = co_await with_timeout(10_ms, of);
          }(result, shared, got, seen));
    });
    EXPECT_EQ(loop::current()->stats().timers_live, 0u);
    EXPECT_EQ(static_cast<bool>(result), got == 0);
    if (got == 0) got = co_await result;
    EXPECT_EQ(got, 7);
    EXPECT_TRUE(seen == 8 || (seen == 0 && v.was_cancelled()));
    EXPECT_EQ(co_await shared, 8);
  });
}

TEST(Future, a_cancelled_await_of_a_shared_future_takes_nothing_from_others) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    promise<std::string> later;
    shared_future<std::string> result = later.get_future();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await yield();
        later.resolve("there");
      });
      co_await v.run([](shared_future<std::string> from) -> task<> {
        EXPECT_EQ(co_await from, "there");
      }(result));
      EXPECT_EQ(co_await result, "there");
    });
  });
}

TEST(Future, a_scope_cancelled_at_any_point_has_run_a_handler_or_said_cancelled) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    promise<int> later;
    shared_future<int> source = later.get_future();
    int runs = 0;
    future<> handled;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await yield();
        later.resolve(7);
      });
      co_await v.run([](shared_future<int> from, int& count, future<>& to) -> task<> {
        to = from.then([&count](const int&) { ++count; });
        co_await sleep(1_ms);
      }(source, runs, handled));
    });
    if (!handled) co_return;  // cancelled before the handler was registered
    EXPECT_TRUE(handled.is_ready()) << "the scope has waited for it";
    EXPECT_EQ(handled.has_value() ? 1 : 0, runs);
    if (!handled.has_value()) {
      co_await testing::expect_raises<errc::cancelled>(std::move(handled));
    }
  });
}

TEST(Future, a_cancelled_task_as_result_is_the_reason_cancelled) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    future<int> result;
    co_await v.run([](future<int>& to) -> task<> {
      to = resolved_future(1).then([](int n) -> task<int> {
        co_await sleep(1_ms);
        co_return n;
      });
      co_await sleep(5_ms);
    }(result));
    if (!result) co_return;
    EXPECT_TRUE(result.is_ready());
    if (!result.has_value()) co_await testing::expect_raises<errc::cancelled>(std::move(result));
  });
}

TEST(FutureDeathTest, misuse_stops_with_a_named_assertion) {
  EXPECT_DEATH(
      {
        future<int> empty;
        empty.get();
      },
      "an empty future");
  EXPECT_DEATH(
      {
        promise<int> one;
        auto first = one.get_future();
        auto second = one.get_future();
      },
      "a promise has one future");
  EXPECT_DEATH(
      {
        promise<int> one;
        const promise<int> other = std::move(one);
        one.resolve(1);  // NOLINT(bugprone-use-after-move)
      },
      "an empty promise is used: it was moved from");
  EXPECT_DEATH(promise<int>().reject(std::exception_ptr()),
               "a promise is rejected with an exception, not with none");
  EXPECT_DEATH(promise<int>().resolve(future<int>()), "an empty future is used");
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 promise<int> never;
                 never.get_future().get();
                 co_return;
               }()),
               "co_await the future instead");
}

TEST(Future, a_handler_needs_a_loop_and_the_error_says_so) {
  auto source = resolved_future(1);
  try {
    source.then([](int) {});
    FAIL() << "this thread runs no loop";
  } catch (const exception& e) {
    EXPECT_EQ(e.reason().code(), errc::invalid_argument);
    EXPECT_NE(std::string(e.what()).find("post()"), std::string::npos);
  }
  EXPECT_EQ(source.get(), 1) << "nothing was taken";
}

TEST(CrossFuture, is_resolved_from_a_thread_without_a_loop_and_read_on_two_loops) {
  for (int round = 0; round < 50; ++round) {
    promise<int> later;
    shared_future<int> result = later.get_future();
    std::atomic<int> sum{0};
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.push_back(run_on_thread([&sum, result]() -> task<> {
        const std::thread::id mine = std::this_thread::get_id();
        result.then([&sum, mine](const int& n) {
          EXPECT_EQ(std::this_thread::get_id(), mine) << "a handler runs where it was registered";
          sum += n;
        });
        sum += co_await result;
      }));
    }
    later.resolve(3);
    for (std::thread& one : threads) one.join();
    EXPECT_EQ(sum, 12);
  }
}

// The first handlers may be told by the resolving thread while later ones find the future settled.
TEST(CrossFuture, handlers_keep_their_order_while_another_thread_resolves) {
  virtual_driver driver(virtual_options{.threads = true});
  loop on(driver);
  event stop;
  std::atomic<int> ended{0};
  std::thread running([&] {
    on.root().spawn([&]() -> task<> { co_await stop.wait(); });
    on.run();
  });
  constexpr int rounds = 500;
  std::vector<std::string> orders(rounds);
  for (int round = 0; round < rounds; ++round) {
    promise<> later;
    const shared_future<> source = later.get_future();
    std::string& order = orders[static_cast<std::size_t>(round)];
    for (char mark : {'a', 'b', 'c', 'd'}) {
      EXPECT_TRUE(
          on.post([&order, source, mark] { source.then([&order, mark] { order += mark; }); }));
    }
    EXPECT_TRUE(on.post([&, source] { source.then([&] { ++ended; }); }));
    later.resolve();
    while (ended != round + 1) std::this_thread::yield();
  }
  EXPECT_TRUE(on.post([&] { stop.set(); }));
  running.join();
  for (const std::string& order : orders) EXPECT_EQ(order, "abcd");
}

TEST(CrossFuture, one_of_several_threads_resolves_it_and_the_others_are_told) {
  for (int round = 0; round < 50; ++round) {
    promise<int> contested;
    auto result = contested.get_future();
    std::atomic<int> winners{0};
    std::atomic<int> value{0};
    std::vector<std::thread> threads;
    for (int t = 1; t <= 4; ++t) {
      threads.emplace_back([&, t] {
        const bool has_won =
            t % 2 == 0 ? contested.resolve(t) : contested.resolve(resolved_future(t));
        if (!has_won) return;
        ++winners;
        value = t;
      });
    }
    const int seen = result.get();
    for (std::thread& one : threads) one.join();
    EXPECT_EQ(winners, 1);
    EXPECT_EQ(seen, value);
  }
}

TEST(CrossFuture, scopes_are_cancelled_while_other_threads_resolve) {
  for (int round = 0; round < 100; ++round) {
    promise<int> later;
    auto captured = std::make_shared<int>(0);
    std::atomic<int> runs{0};
    std::atomic<int> ends{0};
    shared_future<int> source = later.get_future();
    auto reading = run_on_thread([&, captured]() -> task<> {
      co_await with_scope([&](scope& s) -> task<> {
        for (int i = 0; i < 8; ++i) {
          source.then([&, captured](const int&) { ++runs; })
              .then([&] { ++ends; }, [&](std::exception_ptr) { ++ends; })
              .ignore_errors();
        }
        for (int i = 0; i < round % 10; ++i) co_await yield();
        s.cancel("in the middle");
      });
    });
    std::thread resolving([&] { later.resolve(1); });
    reading.join();
    resolving.join();
    EXPECT_LE(runs, 8);
    EXPECT_LE(ends, 8);
    EXPECT_EQ(captured.use_count(), 1) << "no handler is kept";
  }
}

TEST(CrossFuture, circles_made_at_once_by_two_threads_are_found) {
  for (int round = 0; round < 200; ++round) {
    promise<int> a;
    promise<int> b;
    shared_future<int> of_a = a.get_future();
    shared_future<int> of_b = b.get_future();
    std::thread one([&a, of_b] { a.resolve(of_b); });
    std::thread other([&b, of_a] { b.resolve(of_a); });
    one.join();
    other.join();
    EXPECT_THROW(of_a.get(), exception);
    EXPECT_THROW(of_b.get(), exception);
  }
}

TEST(CrossFuture, a_chain_is_adopted_while_it_is_settled) {
  for (int round = 0; round < 50; ++round) {
    constexpr int length = 20;
    std::vector<promise<int>> chain(length);
    std::vector<future<int>> futures;
    for (promise<int>& one : chain) futures.push_back(one.get_future());
    auto last = std::move(futures[length - 1]);
    std::thread linking([&] {
      for (int i = length - 1; i > 0; --i)
        chain[static_cast<std::size_t>(i)].resolve(
            std::move(futures[static_cast<std::size_t>(i - 1)]));
    });
    std::thread settling([&] { chain[0].resolve(5); });
    EXPECT_EQ(last.get(), 5);
    linking.join();
    settling.join();
  }
}

struct not_copied {
  not_copied() = default;
  not_copied(not_copied&&) noexcept {}
  not_copied(const not_copied&) { throw std::runtime_error("no copy"); }
};

WEIR_TEST("what the copy of a shared value throws is thrown, by as_result too") {
  const shared_future<not_copied> source = resolved_future(not_copied());
  EXPECT_EQ(co_await testing::errors_of([](shared_future<not_copied> from) -> task<> {
              std::ignore = co_await as_result(from);
            }(source)),
            std::vector<std::string>{"no copy"});
}

}  // namespace
}  // namespace weir::future_test
