#include <weir/core/as_result.hpp>

#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace weir::as_result_test {
namespace {

using namespace weir::literals;
using testing::elapsed;

task<int> value_of(int value) {
  co_await yield();
  co_return value;
}
task<int> failing(errc code) {
  co_await yield();
  raise(error(code, "the text"));
}
task<> forever() { co_await sleep_until(time_point::never()); }

WEIR_TEST("a value stays a value") {
  const result<int> one = co_await as_result(value_of(1));
  EXPECT_EQ(one.value(), 1);
  const result<> nothing = co_await as_result(sleep(1_ms));
  EXPECT_TRUE(nothing);
  auto boxed = co_await as_result(
      []() -> task<std::unique_ptr<int>> { co_return std::make_unique<int>(5); }());
  EXPECT_EQ(**boxed, 5);
}

WEIR_TEST("an error becomes a value with its code, text and place") {
  const result<int> outcome = co_await as_result(failing(errc::not_found));
  WEIR_REQUIRE(!outcome);
  EXPECT_TRUE(outcome.error() == errc::not_found);
  EXPECT_EQ(outcome.error().message(), "the text");
  EXPECT_NE(std::string(outcome.error().place().file_name()).find("as_result_test"),
            std::string::npos);
}

WEIR_TEST("an exception that is not weir's passes: it is a bug, not an outcome") {
  bool is_seen = false;
  try {
    static_cast<void>(co_await as_result([]() -> task<int> {
      throw std::logic_error("bug");
      co_return 1;
    }()));
  } catch (const std::logic_error&) {
    is_seen = true;
  }
  EXPECT_TRUE(is_seen);
}

WEIR_TEST("a time-out below is the value timed_out") {
  const auto outcome = co_await as_result(with_timeout(5_ms, forever()));
  WEIR_REQUIRE(!outcome);
  EXPECT_TRUE(outcome.error() == errc::timed_out);
}

WEIR_TEST("a cancelled task is the value cancelled, after its frames have ended") {
  std::string log;
  struct mark {
    std::string* to;
    ~mark() { *to += 'd'; }
  };
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      const auto outcome = co_await as_result([](std::string* to) -> task<> {
        const mark local{to};
        co_await forever();
      }(&log));
      log += outcome ? '!' : 'v';
      EXPECT_TRUE(!outcome && outcome.error() == errc::cancelled);
      co_await checkpoint();
      log += '!';
    });
    co_await sleep(1_ms);
    s.cancel();
    co_return;
  });
  EXPECT_EQ(log, "dv");
}

WEIR_TEST("a cancelled wait is the value cancelled, and the next one too (T3)") {
  int cancelled = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      for (int i = 0; i < 5; ++i) {
        if (!co_await as_result(sleep(1_h))) ++cancelled;
      }
      if (!co_await as_result(yield())) ++cancelled;
      if (!co_await as_result(checkpoint())) ++cancelled;
    });
    co_await sleep(1_ms);
    s.cancel();
    co_return;
  });
  EXPECT_EQ(cancelled, 7);
  EXPECT_EQ(elapsed(), 1_ms);
}

WEIR_TEST("the end of a spawned task may be asked for as a result") {
  bool has_raised = false;
  try {
    co_await with_scope({.failures = collect}, [](scope& s) -> task<> {
      const auto fine = s.spawn(value_of, 4);
      const auto wrong = s.spawn(failing, errc::busy);
      const auto stopped = s.spawn([]() -> task<int> {
        co_return co_await with_scope([](scope& inner) -> task<int> {
          inner.cancel("on purpose");
          co_await sleep(1_h);
          co_return 1;
        });
      });
      EXPECT_EQ((co_await as_result(fine)).value(), 4);
      EXPECT_EQ((co_await as_result(wrong)).error().code(), errc::busy);
      EXPECT_EQ((co_await as_result(stopped)).error().code(), errc::cancelled);
    });
  } catch (const error_group& both) {
    has_raised = both.size() == 2;
  }
  EXPECT_TRUE(has_raised) << "the scope hears of them all the same";
}

WEIR_TEST("results can be nested") {
  const auto outcome = co_await as_result([]() -> task<int> {
    const auto inner = co_await as_result(failing(errc::busy));
    EXPECT_TRUE(!inner && inner.error() == errc::busy);
    co_return co_await value_of(2);
  }());
  EXPECT_EQ(outcome.value(), 2);
}

WEIR_TEST("a wait that is ready at once spends the step's budget through a result too") {
  bool has_other_run = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      has_other_run = true;
      co_return;
    });
    for (int i = 0; i < 10'000 && !has_other_run; ++i) co_await as_result(checkpoint());
    EXPECT_TRUE(has_other_run);
  });
}

}  // namespace
}  // namespace weir::as_result_test
