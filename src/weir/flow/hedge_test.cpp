#include <weir/flow/hedge.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_calls_test.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <string>

namespace weir::hedge_test {
namespace {

using namespace weir::literals;
using testing::elapsed;
using testing::scripted;

WEIR_TEST("a call that ends in time is made once") {
  scripted server({{50_ms}});
  EXPECT_EQ(
      co_await hedge({.delay = 100_ms}, [&]() -> task<int> { co_return co_await server.call(); }),
      1);
  EXPECT_EQ(server.calls, 1u);
  EXPECT_EQ(elapsed(), 50_ms);
}

WEIR_TEST("a slow one is made again, the first success counts, and the loser has ended") {
  scripted server({{1_h}, {20_ms}});
  EXPECT_EQ(
      co_await hedge({.delay = 100_ms}, [&]() -> task<int> { co_return co_await server.call(); }),
      2);
  EXPECT_EQ(elapsed(), 120_ms);
  EXPECT_EQ(server.inside_now, 0u);
  EXPECT_EQ(server.ended, 1u) << "the loser was cancelled";
}

WEIR_TEST("a loser is awaited, also when it takes its time to clean up") {
  bool is_clean = false;
  int calls = 0;
  const auto call = [&]() -> task<int> {
    if (++calls == 2) co_return 2;
    const auto ended = co_await as_result(sleep(1_h));
    EXPECT_FALSE(ended);
    co_await shield([](bool* done) -> task<> {
      co_await sleep(5_s);
      *done = true;
    }(&is_clean));
    co_return 1;
  };
  EXPECT_EQ(co_await hedge({.delay = 1_s}, call), 2);
  EXPECT_TRUE(is_clean);
  EXPECT_EQ(elapsed(), 6_s);
}

WEIR_TEST("never more than calls_max run, one more after each delay") {
  scripted server({{1_s}});
  EXPECT_EQ(co_await hedge({.delay = 100_ms, .calls_max = 3},
                           [&]() -> task<int> { co_return co_await server.call(); }),
            1);
  EXPECT_EQ(server.inside_max, 3u);
  EXPECT_EQ(elapsed(), 1_s);
}

WEIR_TEST("a failure lets the next one begin at once") {
  scripted server({{10_ms, errc::broken}, {10_ms}});
  EXPECT_EQ(
      co_await hedge({.delay = 1_s}, [&]() -> task<int> { co_return co_await server.call(); }), 2);
  EXPECT_EQ(elapsed(), 20_ms);
}

WEIR_TEST("a failure that can't pass ends all, and is raised as it is") {
  scripted server({{1_h}, {10_ms, errc::permission_denied}});
  co_await testing::expect_raises<errc::permission_denied>(
      hedge({.delay = 100_ms}, [&]() -> task<int> { co_return co_await server.call(); }));
  EXPECT_EQ(elapsed(), 110_ms);
  EXPECT_EQ(server.inside_now, 0u);
}

WEIR_TEST("when all fail, all their failures are told") {
  scripted server({{150_ms, errc::broken}, {150_ms, errc::refused}});
  try {
    co_await hedge({.delay = 100_ms, .name = "lookup"},
                   [&]() -> task<int> { co_return co_await server.call(); });
    ADD_FAILURE() << "it did not fail";
  } catch (const attempts_failed& e) {
    EXPECT_EQ(e.attempts().size(), 2u);
    EXPECT_EQ(e.reason().message(), "lookup: all 2 calls failed");
    EXPECT_EQ(e.reason().code(), errc::refused);
    EXPECT_EQ(e.reason().cause()->cause()->code(), errc::broken);
  }
  const result<int> lost = co_await hedge(
      {.delay = 100_ms}, [&]() -> task<result<int>> { co_return co_await server.try_call(); });
  EXPECT_EQ(lost.error().code(), errc::refused);
}

FLOW_CONTRACT("a budget bounds the hedges of many calls") {
  typename Kit::retry_budget budget({.ratio = 0.25, .retries_per_second_min = 0, .window = 1_h});
  scripted slow({{1_s}});
  for (int i = 0; i < 8; ++i) {
    co_await hedge({.delay = 1_ms, .budget = &budget},
                   [&]() -> task<> { static_cast<void>(co_await slow.call()); });
  }
  EXPECT_EQ(slow.calls, 10u);
}

WEIR_TEST("the delay is learned from how long calls take") {
  hedge_policy hedged({.delay = 10_s}, {.percent = 90, .calls_min = 10});
  scripted usual({{100_ms}});
  const auto call = [&]() -> task<int> { co_return co_await usual.call(); };
  for (int i = 0; i < 9; ++i) static_cast<void>(co_await hedged.run(call));
  EXPECT_EQ(hedged.delay(), 10_s) << "too few to learn from";
  static_cast<void>(co_await hedged.run(call));
  EXPECT_GE(hedged.delay(), 100_ms);
  EXPECT_LE(hedged.delay(), 113_ms) << "the end of the bucket: an eighth off at most";
  scripted tail({{1_h}, {100_ms}});
  const time_point before = loop::current()->now();
  static_cast<void>(co_await hedged.run([&]() -> task<int> { co_return co_await tail.call(); }));
  EXPECT_LE(loop::current()->now() - before, 213_ms);
  EXPECT_EQ(hedged.stats().hedges, 1u);
  EXPECT_EQ(hedged.stats().won, 1u);
  co_await sleep(61_s);
  EXPECT_EQ(hedged.delay(), 10_s) << "what is older than the window is forgotten";
}

WEIR_TEST("what can't be meant is refused") {
  const auto call = []() -> task<> { co_return; };
  co_await testing::expect_raises<errc::invalid_argument>(hedge({.calls_max = 0}, call));
  co_await testing::expect_raises<errc::invalid_argument>(hedge({.delay = -1_s}, call));
  EXPECT_THROW(hedge_policy({}, {.percent = 0}), exception);
  EXPECT_THROW(hedge_policy({}, {.window = 0_s}), exception);
}

TEST(Hedge, a_cancelled_hedge_leaves_no_call_running) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    scripted server({{5_ms, errc::broken}, {9_ms}, {4_ms}});
    int value = 0;
    co_await v.run([](scripted* to, int* into) -> task<> {
      *into = co_await hedge({.delay = 3_ms, .calls_max = 3},
                             [&]() -> task<int> { co_return co_await to->call(); });
    }(&server, &value));
    EXPECT_EQ(server.inside_now, 0u);
    const std::size_t calls = server.calls;
    co_await sleep(1_s);
    EXPECT_EQ(server.calls, calls);
    EXPECT_TRUE(v.was_cancelled() || value > 1);
  });
}

WEIR_TEST("a call that cancels the scope around it ends the hedge as cancelled") {
  const auto call = []() -> task<int> {
    co_await sleep(1_ms);
    scope::current()->cancel("not needed any more");
    co_await sleep(1_h);
    co_return 1;
  };
  co_await testing::expect_raises<errc::cancelled>(hedge({.delay = 100_ms}, call));
  EXPECT_EQ(elapsed(), 1_ms);
}

}  // namespace
}  // namespace weir::hedge_test
