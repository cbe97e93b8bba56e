// One body, two arms, for timers: under many schedules in the virtual world, whose clock jumps, and
// once on each driver of the kernel. How many timers a loop bears: operation_contract_test.cpp.
// Needs the kernel: it is one of the two arms.
#include <weir/core.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/testing/two_arms.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::sleep_contract_test {
namespace {

using namespace weir::literals;
using contract::code_of;

time_point now() { return loop::current()->now(); }

task<> write_at(time_point when, char what, std::string* into) {
  co_await sleep_until(when);
  EXPECT_GE(now(), when) << what << " came early";
  *into += what;
}

WEIR_TEST_ON_BOTH("timers fire in the order of their moments, whoever was there first") {
  std::string told;
  // A machine that stands still may let a moment pass before its task waits for it: such a round
  // says nothing.
  for (bool was_in_time = false; !was_in_time;) {
    told.clear();
    const time_point from = now() + 10_ms;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(write_at, from + 6_ms, 'd', &told);
      s.spawn(write_at, from + 2_ms, 'b', &told);
      s.spawn(write_at, from + 4_ms, 'c', &told);
      s.spawn(write_at, from, 'a', &told);
      co_await yield();  // now they wait
      was_in_time = now() < from;
      co_await s.join();
    });
  }
  EXPECT_EQ(told, "abcd");
}

WEIR_TEST_ON_BOTH("a sleep until a moment that is over is over") {
  co_await sleep_until(now() - 1_s);
  co_await sleep(duration{});
}

WEIR_TEST_ON_BOTH("a deadline cuts a sleep off, and one that comes first leaves no mark") {
  const time_point from = now();
  EXPECT_EQ(co_await code_of(with_timeout(2_ms, sleep(1_h))), errc::timed_out);
  EXPECT_GE(now(), from + 2_ms);
  EXPECT_EQ(co_await code_of(with_timeout(1_h, sleep(1_ms))), errc{});
  EXPECT_EQ(co_await code_of(with_timeout(2_ms, with_timeout(1_h, sleep(2_h)))), errc::timed_out);
  EXPECT_LT(now(), from + 1_h);
}

WEIR_TEST_ON_BOTH("a timer that is cancelled does not fire, and others do") {
  std::string told;
  const time_point from = now();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(write_at, from + 3_ms, 'b', &told);
    co_await with_scope([&](scope& leaving) -> task<> {
      leaving.spawn(write_at, from + 1_h, 'a', &told);
      co_await yield();
      leaving.cancel("before its time");
    });
  });
  EXPECT_EQ(told, "b");
}

}  // namespace
}  // namespace weir::sleep_contract_test
