#include <weir/flow/rate_limiter.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <cstdint>
#include <utility>
#include <vector>

namespace weir::rate_limiter_test {
namespace {

using namespace weir::literals;
using testing::elapsed;

FLOW_CONTRACT("a burst passes at once, and then tokens come evenly") {
  typename Kit::rate_limiter calls({.tokens = 10, .per = 1_s, .burst = 3});
  std::vector<std::int64_t> passed_ms;
  for (int i = 0; i < 6; ++i) {
    co_await calls.acquire();
    passed_ms.push_back(elapsed().ns / 1'000'000);
  }
  EXPECT_EQ(passed_ms, (std::vector<std::int64_t>{0, 0, 0, 100, 200, 300}));
  co_await sleep(1_h);
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(calls.try_acquire());
  EXPECT_FALSE(calls.try_acquire()) << "a full bucket holds no more than its size";
  EXPECT_EQ(calls.stats().admitted, 9u);
}

FLOW_CONTRACT(
    "a wait for many tokens is not overtaken, and one that gives up lets the next move up") {
  typename Kit::rate_limiter calls({.tokens = 10, .per = 1_s, .burst = 5});
  co_await calls.acquire(5);
  std::vector<int> order;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await testing::expect_raises<errc::timed_out>(with_timeout(150_ms, calls.acquire(4)));
      order.push_back(4);
    });
    co_await sleep(1_ms);
    s.spawn([&]() -> task<> {
      co_await calls.acquire(1);
      order.push_back(1);
      EXPECT_EQ(elapsed(), 150_ms) << "its token was there, but it was not first";
    });
    s.spawn([&]() -> task<> {
      co_await sleep(1_ms);
      co_await calls.acquire(2);
      order.push_back(2);
      EXPECT_EQ(elapsed(), 300_ms);
    });
    EXPECT_FALSE(calls.try_acquire());
    co_await s.join();
  });
  EXPECT_EQ(order.back(), 2);
}

FLOW_CONTRACT("whoever becomes first has its own time, also when the first one gives up") {
  typename Kit::rate_limiter calls({.tokens = 10, .per = 1_s, .burst = 10});
  co_await calls.acquire(10);
  std::vector<std::pair<int, std::int64_t>> passed_ms;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await testing::expect_raises<errc::timed_out>(with_timeout(20_ms, calls.acquire(10)));
    });
    co_await sleep(1_ms);
    for (int tokens = 3; tokens > 0; --tokens) {
      s.spawn(
          [&](int mine) -> task<> {
            co_await sleep(duration::milliseconds(4 - mine));
            co_await calls.acquire(static_cast<std::uint64_t>(mine));
            passed_ms.emplace_back(mine, elapsed().ns / 1'000'000);
          },
          tokens);
    }
    co_await sleep(5_ms);
    EXPECT_EQ(calls.stats().waiting, 4u);
    co_await s.join();
  });
  EXPECT_EQ(passed_ms, (std::vector<std::pair<int, std::int64_t>>{{3, 300}, {2, 500}, {1, 600}}));
  EXPECT_EQ(calls.stats().admitted, 16u);
}

FLOW_CONTRACT("of two acquires in one select only one takes a token") {
  typename Kit::rate_limiter calls({.tokens = 1000, .per = 1_s, .burst = 1});
  co_await calls.acquire();
  for (int i = 1; i <= 3; ++i) {
    auto [one, other] = co_await select(calls.acquire(), calls.acquire());
    EXPECT_NE(static_cast<bool>(one), static_cast<bool>(other));
    EXPECT_EQ(calls.stats().admitted, static_cast<std::uint64_t>(1 + i));
    EXPECT_EQ(elapsed(), duration::milliseconds(i));
  }
  EXPECT_EQ(calls.stats().waiting, 0u);
}

FLOW_CONTRACT("a wait with a bound stands in line only if its tokens come in time") {
  typename Kit::rate_limiter calls({.tokens = 1, .per = 1_s, .burst = 1, .name = "mails"});
  co_await calls.acquire_within(0_s);
  try {
    co_await calls.acquire_within(1_s - 1_ns);
    ADD_FAILURE() << "the next token comes in 1 s";
  } catch (const call_refused& e) {
    EXPECT_EQ(e.retry_after(), 1_s);
    EXPECT_STREQ(e.by(), "mails");
  }
  EXPECT_EQ(calls.stats().waiting, 0u);
  co_await calls.acquire_within(1_s);
  EXPECT_EQ(elapsed(), 1_s);
  EXPECT_EQ(calls.stats().admitted, 2u);
}

FLOW_CONTRACT("tokens that take no whole number of ns come at the first ns after their time") {
  for (const rate_options& of : {rate_options{.tokens = 3, .per = 1_s, .burst = 3},
                                 rate_options{.tokens = 7, .per = 1_s, .burst = 1}}) {
    typename Kit::rate_limiter calls(of);
    const std::uint64_t rate = of.tokens;
    const duration begin = elapsed();
    for (std::uint64_t i = 0; i < of.burst; ++i) co_await calls.acquire();
    EXPECT_EQ(elapsed(), begin) << "the last token of a burst is as early as the first";
    for (std::uint64_t token = 1; token <= 3 * rate; ++token) {
      const std::uint64_t ns = (token * 1'000'000'000 + rate - 1) / rate;
      EXPECT_EQ(calls.delay(), begin + duration(static_cast<std::int64_t>(ns)) - elapsed());
      co_await calls.acquire();
      EXPECT_EQ((elapsed() - begin).ns, static_cast<std::int64_t>(ns)) << token << " of " << rate;
    }
  }
}

FLOW_CONTRACT("what can never be given is an error") {
  typename Kit::rate_limiter calls({.tokens = 1, .burst = 2});
  co_await testing::expect_raises<errc::invalid_argument>(calls.acquire(3));
  EXPECT_FALSE(calls.try_acquire(3));
  EXPECT_THROW(typename Kit::rate_limiter({.tokens = 0}), exception);
  EXPECT_THROW(typename Kit::rate_limiter({.burst = 0}), exception);
}

using detail::token_bucket;
using detail::token_cost;

/// The first ns at which so many tokens have come in.
std::int64_t ns_until(std::uint64_t tokens, const rate_options& rate) {
  const auto parts =
      static_cast<unsigned __int128>(tokens) * static_cast<std::uint64_t>(rate.per.ns);
  return static_cast<std::int64_t>((parts + rate.tokens - 1) / rate.tokens);
}

TEST(RateLimiter, is_neither_early_nor_late_by_a_ns_over_many_tokens_at_any_rate) {
  for (const rate_options& rate : {
           rate_options{.tokens = 3, .per = 1_s, .burst = 3},
           rate_options{.tokens = 3, .per = 1_s, .burst = 4},
           rate_options{.tokens = 7, .per = 1_s, .burst = 100},
           rate_options{.tokens = 86'399, .per = 24_h, .burst = 8},
           rate_options{.tokens = 999'999'999, .per = 1_s, .burst = 3},
           rate_options{.tokens = 1'000'000'001, .per = 1_s, .burst = 3},
           rate_options{.tokens = 7'000'000'000, .per = 1_s, .burst = 50},
           rate_options{.tokens = ~std::uint64_t{0}, .per = duration::max(), .burst = 3},
           rate_options{.tokens = 1, .per = 1_ns, .burst = 4},
       }) {
    token_bucket bucket(rate);
    const time_point start(5'000'000'000);
    ASSERT_TRUE(bucket.try_take(bucket.cost_of(rate.burst), start));
    std::uint64_t taken = 0;
    for (std::uint64_t i = 0; i < 100'000; ++i) {
      const std::uint64_t more = 1 + i % 3;  // three are a whole bucket of some
      taken += more;
      const token_cost cost = bucket.cost_of(more);
      const time_point due = start + duration(ns_until(taken, rate));
      ASSERT_EQ(bucket.due(cost), due) << rate.tokens << ": " << taken;
      ASSERT_FALSE(bucket.try_take(cost, due - 1_ns));
      ASSERT_TRUE(bucket.try_take(cost, due));
    }
  }
}

TEST(RateLimiter, whose_tokens_are_taken_late_loses_none_until_it_is_full) {
  const rate_options rate{.tokens = 7, .per = 1_s, .burst = 7};
  token_bucket bucket(rate);
  const token_cost one = bucket.cost_of(1);
  const time_point start(1'000'000'000);
  ASSERT_TRUE(bucket.try_take(bucket.cost_of(7), start));
  for (std::uint64_t round = 1; round <= 1000; ++round) {
    const time_point late = start + duration(ns_until(5 * round, rate));
    EXPECT_TRUE(bucket.try_take(bucket.cost_of(5), late)) << round;
    EXPECT_FALSE(bucket.try_take(one, late)) << round;
  }
  const time_point much_later = start + 1_h;
  EXPECT_TRUE(bucket.try_take(bucket.cost_of(7), much_later));
  EXPECT_EQ(bucket.due(one), much_later + duration(ns_until(1, rate)));
}

TEST(RateLimiter, whose_bucket_takes_longer_than_time_lasts_to_fill_still_gives_what_it_holds) {
  const rate_options rate{.tokens = 3, .per = 1_h, .burst = ~std::uint64_t{0}};
  token_bucket bucket(rate);
  EXPECT_TRUE(bucket.try_take(bucket.cost_of(rate.burst), time_point(1)));
  EXPECT_FALSE(bucket.try_take(bucket.cost_of(1), time_point(1)));
  EXPECT_EQ(bucket.due(bucket.cost_of(1)), time_point(1) + 20_min);
  EXPECT_EQ(bucket.due(bucket.cost_of(rate.burst)), time_point::never());
}

// Two tasks take tokens, of which one is there at first and one more comes each millisecond; one of
// the tasks is cancelled at each point.
template <class Kit, int times, std::uint64_t taken_min, auto acquire>
void expect_that_the_cancelled_take_none() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::rate_limiter calls({.tokens = 1000, .per = 1_s, .burst = 1});
    std::uint64_t taken = 0;
    const auto take_some = [&]() -> task<> {
      for (int i = 0; i < times; ++i) {
        if (co_await as_result(acquire(calls))) ++taken;
      }
    };
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(take_some);
      co_await v.run(take_some());
    });
    EXPECT_GE(taken, taken_min);
    EXPECT_EQ(calls.stats().admitted, taken);
    EXPECT_EQ(calls.stats().waiting, 0u);
    co_await sleep(1_ms);
    EXPECT_TRUE(calls.try_acquire());
  });
}

TEST(RateLimiter, a_cancelled_acquire_takes_no_token) {
  constexpr auto acquire = [](auto& calls) { return calls.acquire(); };
  expect_that_the_cancelled_take_none<local_flow, 3, 3, acquire>();
  expect_that_the_cancelled_take_none<cross_flow, 3, 3, acquire>();
}

// One has a token, one waits for the next, and the others are refused.
TEST(RateLimiter, a_cancelled_acquire_within_takes_no_token) {
  constexpr auto acquire = [](auto& calls) { return calls.acquire_within(1_ms); };
  expect_that_the_cancelled_take_none<local_flow, 2, 1, acquire>();
  expect_that_the_cancelled_take_none<cross_flow, 2, 1, acquire>();
}

}  // namespace
}  // namespace weir::rate_limiter_test
