// Policies together: the order is the meaning.
#include <weir/flow/layers.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_calls_test.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/flow/resilience.hpp>
#include <weir/testing/cancel_points.hpp>

#include <string>
#include <vector>

namespace weir::layers_test {
namespace {

using namespace weir::literals;
using testing::elapsed;
using testing::scripted;

WEIR_TEST("a time limit outside of a retry bounds all attempts, inside of it each one") {
  scripted slow({{1_h}});
  const auto call = [&]() -> task<int> { co_return co_await slow.call(); };
  auto each = layers(retry_policy(fixed(100_ms).recurs(2)), time_limit(1_s));
  co_await testing::expect_raises<errc::timed_out>(each.run(call));
  EXPECT_EQ(slow.calls, 3u);
  EXPECT_EQ(elapsed(), 3_s + 200_ms);
  auto all = layers(time_limit(1_s), retry_policy(fixed(100_ms).recurs(2)));
  co_await testing::expect_raises<errc::timed_out>(all.run(call));
  EXPECT_EQ(slow.calls, 4u);
}

WEIR_TEST("a breaker inside of a retry hears of each attempt, and its refusal is waited out") {
  circuit_breaker breaker({.window_calls = 3, .calls_min = 3, .open_for = 5_s, .probes = 1});
  scripted server({{0_ms, errc::io}, {0_ms, errc::busy}, {0_ms, errc::busy}, {0_ms}});
  auto guarded = layers(retry_policy(fixed(1_ms), {.should_retry = is_any_failure}), breaker);
  EXPECT_EQ(co_await guarded.run([&]() -> task<int> { co_return co_await server.call(); }), 4);
  EXPECT_EQ(elapsed(), 5_s + 2_ms);
  EXPECT_EQ(breaker.stats().refused, 1u);
  EXPECT_EQ(guarded.get<0>().stats().attempts, 5u);
}

FLOW_CONTRACT("everything together, around a call that gives a single wait, too") {
  typename Kit::rate_limiter bucket({.tokens = 1000, .per = 1_s, .burst = 10});
  typename Kit::circuit_breaker breaker({});
  typename Kit::bulkhead pool({.calls_max = 2});
  typename Kit::concurrency_limit limit({}, gradient_options{});
  auto all = layers(fallback_policy([] { return -1; }), time_limit(10_s),
                    retry_policy(exponential(10_ms).recurs(3)), load_shed(pool), breaker,
                    typename Kit::rate_limit(bucket), limit, hedge_policy({.delay = 1_s}));
  scripted server({{5_ms, errc::busy}, {5_ms, errc::busy}, {5_ms}, {5_ms, errc::corrupt}});
  const auto call = [&]() -> task<int> { co_return co_await server.call(); };
  EXPECT_EQ(co_await all.run(call), 3) << "the hedge took two, the retry the third";
  EXPECT_EQ(co_await all.run(call), -1);
  auto around_sleep = layers(time_limit(1_s), pool);
  co_await around_sleep.run([] { return sleep(10_ms); });
  co_await testing::expect_raises<errc::timed_out>(around_sleep.run([] { return sleep(2_s); }));
  EXPECT_EQ(pool.stats().running, 0u);
}

FLOW_CONTRACT("a cache around other policies makes a value once, and again for another key") {
  typename Kit::template call_cache<std::string, int> quotes;
  scripted server({{5_ms, errc::busy}, {5_ms}, {5_ms}});
  const auto load = [&]() -> task<int> { co_return co_await server.call(); };
  const auto ask = [&](const char* item, int expected) -> task<> {
    auto through = layers(cached(quotes, item), retry_policy(fixed(1_ms)), time_limit(1_s));
    EXPECT_EQ(co_await through.run(load), expected);
  };
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) s.spawn(ask, "dates", 2);
    co_await s.join();
  });
  EXPECT_EQ(elapsed(), 11_ms) << "one call, and one more after it failed";
  co_await ask("dates", 2);
  co_await ask("figs", 3);
  EXPECT_EQ(elapsed(), 16_ms);
  EXPECT_EQ(server.calls, 3u);
  EXPECT_EQ(quotes.stats().entries, 2u);
}

FLOW_CONTRACT("who would wait too long for a token is told when to come again") {
  typename Kit::rate_limiter bucket({.tokens = 1, .per = 1_s, .burst = 1, .name = "mails"});
  typename Kit::rate_limit patient(bucket, 2_s);
  const auto call = []() -> task<> { co_return; };
  EXPECT_TRUE(patient.is_ready());
  co_await patient.run(call);
  EXPECT_FALSE(patient.is_ready());
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 2; ++i) s.spawn([&]() -> task<> { co_await patient.run(call); });
    co_await sleep(1_ms);
    try {
      co_await patient.run(call);
      ADD_FAILURE() << "two wait already";
    } catch (const call_refused& e) {
      EXPECT_EQ(e.retry_after(), 3_s - 1_ms);
      EXPECT_EQ(e.reason().code(), errc::full);
      EXPECT_STREQ(e.by(), "mails");
    }
    co_await s.join();
  });
  EXPECT_EQ(elapsed(), 2_s);
}

FLOW_CONTRACT("a bucket knows how long a wait for it would be") {
  typename Kit::rate_limiter bucket({.tokens = 10, .per = 1_s, .burst = 5});
  EXPECT_EQ(bucket.delay(5), 0_s);
  EXPECT_EQ(bucket.delay(6), duration::max());
  co_await bucket.acquire(5);
  EXPECT_EQ(bucket.delay(), 100_ms);
  EXPECT_EQ(bucket.delay(5), 500_ms);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await bucket.acquire(3); });
    co_await sleep(100_ms);
    const duration foretold = bucket.delay(2);
    const time_point before = loop::current()->now();
    EXPECT_EQ(foretold, 400_ms) << "three for the one in line, and two more, less 100 ms";
    co_await bucket.acquire(2);
    EXPECT_EQ(loop::current()->now() - before, foretold);
  });
}

// Another call waits for the same value: what the cancelled one leaves behind would be in its way.
template <class Kit>
void expect_that_a_cancelled_call_leaves_nothing_behind() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::template call_cache<std::string, int> values;
    typename Kit::retry_budget budget(retry_budget_options{});
    typename Kit::bulkhead pool({.calls_max = 1});
    typename Kit::circuit_breaker breaker({});
    typename Kit::concurrency_limit limit({}, gradient_options{});
    typename Kit::rate_limiter bucket({.tokens = 500, .per = 1_s, .burst = 1});
    scripted server({{3_ms, errc::busy}, {3_ms}});
    auto all =
        layers(fallback_policy([] { return -1; }), cached(values, "key"),
               retry_policy(fixed(1_ms), {.budget = &budget}), time_limit(1_s), load_shed(pool),
               breaker, limit, hedge_policy({.delay = 1_ms}), typename Kit::rate_limit(bucket));
    const auto call = [](auto* by, scripted* to, int* value) -> task<> {
      *value = co_await by->run([&]() -> task<int> { co_return co_await to->call(); });
    };
    int victims = 0;
    int others = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        co_await call(&all, &server, &others);
      });
      co_await v.run(call(&all, &server, &victims));
    });
    EXPECT_GT(others, 0) << "it has its value, and did not fall back";
    EXPECT_TRUE(victims == others || (victims == 0 && v.was_cancelled())) << victims;
    EXPECT_EQ(all.template get<0>().stats().fell_back, 0u);
    EXPECT_EQ(values.stats().in_flight, 0u);
    EXPECT_EQ(values.stats().made, 1u);
    EXPECT_LE(budget.stats().retries + budget.stats().calls, server.calls);
    EXPECT_EQ(pool.stats().running, 0u);
    EXPECT_EQ(pool.stats().waiting, 0u);
    EXPECT_EQ(limit.stats().running, 0u);
    EXPECT_EQ(bucket.stats().waiting, 0u);
    EXPECT_EQ(bucket.stats().admitted, server.calls) << "a token was taken for no call";
    EXPECT_EQ(server.inside_now, 0u);
    EXPECT_LE(breaker.stats().failed, server.ended);
  });
}

TEST(Layers, a_cancelled_call_leaves_nothing_behind_in_any_policy) {
  expect_that_a_cancelled_call_leaves_nothing_behind<local_flow>();
}
TEST(Layers, a_cancelled_call_leaves_nothing_behind_in_any_policy_between_loops) {
  expect_that_a_cancelled_call_leaves_nothing_behind<cross_flow>();
}

}  // namespace
}  // namespace weir::layers_test
