#include <weir/core/sleep.hpp>

#include <weir/base/random.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace weir::sleep_test {
namespace {

using namespace weir::literals;
using testing::elapsed;

WEIR_TEST("sleeping takes exactly its time when nothing else happens") {
  co_await sleep(1_ns);
  EXPECT_EQ(elapsed(), 1_ns);
  co_await sleep(10_h);
  EXPECT_EQ(elapsed(), 10_h + 1_ns);
}

WEIR_TEST("sleeping for zero or less, or until the past, costs no time") {
  co_await sleep(0_ms);
  co_await sleep(-5_ms);
  co_await sleep_until(time_point(0));
  EXPECT_EQ(elapsed(), 0_ms);
}

WEIR_TEST("a sleep's length counts from the moment at which it is awaited") {
  auto late = sleep(5_ms);
  co_await sleep(3_ms);
  co_await late;
  EXPECT_EQ(elapsed(), 8_ms);
}

WEIR_TEST("a thousand sleepers wake in the order of their times, never early") {
  std::vector<std::int64_t> woken;
  random_source random(loop::current()->io().random());
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 1000; ++i) {
      s.spawn(
          [](std::vector<std::int64_t>* log, duration length) -> task<> {
            const time_point due = loop::current()->now() + length;
            co_await sleep(length);
            EXPECT_EQ(loop::current()->now(), due);
            log->push_back(due.ns);
          },
          &woken, duration(static_cast<std::int64_t>(random.below(1'000'000'000))));
    }
    co_return;
  });
  EXPECT_EQ(woken.size(), 1000u);
  EXPECT_TRUE(std::ranges::is_sorted(woken));
}

WEIR_TEST("two sleeps one after the other take the sum, two at once the longer") {
  co_await sleep(3_ms);
  co_await sleep(4_ms);
  EXPECT_EQ(elapsed(), 7_ms);
  co_await with_scope([](scope& s) -> task<> {
    s.spawn([]() -> task<> { co_await sleep(3_ms); });
    s.spawn([]() -> task<> { co_await sleep(4_ms); });
    co_return;
  });
  EXPECT_EQ(elapsed(), 11_ms);
}

TEST(Sleep, yielding_lets_each_ready_task_run_once) {
  std::string log;
  testing::run_virtual([](std::string* out) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      for (const char c : {'a', 'b', 'c'}) {
        s.spawn(
            [](std::string* to, char name) -> task<> {
              for (int i = 0; i < 3; ++i) {
                to->push_back(name);
                co_await yield();
              }
            },
            out, c);
      }
      co_return;
    });
  }(&log));
  EXPECT_EQ(log, "abcabcabc");
}

}  // namespace
}  // namespace weir::sleep_test
