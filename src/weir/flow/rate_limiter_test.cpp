#include <weir/flow/rate_limiter.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <cstdint>
#include <utility>
#include <vector>

namespace weir {
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

FLOW_CONTRACT("what can never be given is an error") {
  typename Kit::rate_limiter calls({.tokens = 1, .burst = 2});
  co_await testing::expect_raises<errc::invalid_argument>(calls.acquire(3));
  EXPECT_FALSE(calls.try_acquire(3));
  EXPECT_THROW(typename Kit::rate_limiter({.tokens = 0}), exception);
  EXPECT_THROW(typename Kit::rate_limiter({.burst = 0}), exception);
}

template <class Kit>
void a_cancelled_acquire_takes_no_token() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::rate_limiter calls({.tokens = 1000, .per = 1_s, .burst = 1});
    std::uint64_t taken = 0;
    const auto take_three = [&]() -> task<> {
      for (int i = 0; i < 3; ++i) {
        co_await calls.acquire();
        ++taken;
      }
    };
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(take_three);
      co_await v.run(take_three());
    });
    EXPECT_GE(taken, 3u);
    EXPECT_EQ(calls.stats().admitted, taken);
    EXPECT_EQ(calls.stats().waiting, 0u);
  });
}
TEST(RateLimiter, a_cancelled_acquire_takes_no_token) {
  a_cancelled_acquire_takes_no_token<local_flow>();
  a_cancelled_acquire_takes_no_token<cross_flow>();
}

}  // namespace
}  // namespace weir
