#include <weir/core/task.hpp>

#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace weir::task_test {
namespace {

using namespace weir::literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

task<int> answer() { co_return 42; }
task<std::unique_ptr<int>> boxed(int value) { co_return std::make_unique<int>(value); }
task<int> throwing() {
  co_await yield();
  throw std::runtime_error("from below");
}

WEIR_TEST("a task gives its value to whoever awaits it") {
  EXPECT_EQ(co_await answer(), 42);
  EXPECT_EQ(*co_await boxed(7), 7) << "values that only move";
}

WEIR_TEST("a task that was called does nothing until it is awaited") {
  bool has_run = false;
  auto lazy = [](bool* flag) -> task<> {
    *flag = true;
    co_return;
  }(&has_run);
  co_await sleep(1_ms);
  EXPECT_FALSE(has_run);
  co_await std::move(lazy);
  EXPECT_TRUE(has_run);
}

WEIR_TEST("a task that is never awaited destroys its arguments and runs nothing") {
  auto owned = std::make_shared<int>(1);
  const std::weak_ptr<int> seen = owned;
  {
    auto dropped = [](std::shared_ptr<int>) -> task<> {
      ADD_FAILURE();
      co_return;
    }(std::move(owned));
    EXPECT_FALSE(seen.expired());
    static_cast<void>(dropped);
  }
  EXPECT_TRUE(seen.expired());
  co_return;
}

WEIR_TEST("a moved task runs where it ended up, and the source is empty") {
  auto first = answer();
  task<int> second = std::move(first);
  EXPECT_FALSE(first);  // NOLINT(bugprone-use-after-move)
  EXPECT_TRUE(second);
  second = []() -> task<int> { co_return 43; }();
  EXPECT_EQ(co_await std::move(second), 43);
}

WEIR_TEST("an exception of any type is thrown by the await, with all destructors run") {
  int destroyed = 0;
  struct counted {
    int* count;
    ~counted() { ++*count; }
  };
  try {
    co_await [](int* count) -> task<> {
      const counted one{count};
      co_await throwing();
    }(&destroyed);
    ADD_FAILURE();
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "from below");
  }
  EXPECT_EQ(destroyed, 1);
  bool is_caught = false;
  try {
    co_await []() -> task<> {
      throw 5;
      co_return;
    }();
  } catch (int number) {
    is_caught = number == 5;
  }
  EXPECT_TRUE(is_caught);
}

WEIR_TEST("an exception can be caught, and another thrown, while waiting between") {
  std::string log;
  for (int i = 0; i < 3; ++i) {
    try {
      try {
        co_await throwing();
      } catch (const std::runtime_error&) {
        log += 'a';
      }
      co_await sleep(1_ms);
      throw std::logic_error("other");
    } catch (const std::logic_error&) {
      log += 'b';
    }
  }
  EXPECT_EQ(log, "ababab");
}

WEIR_TEST("the value of a task is destroyed exactly once, awaited or not") {
  struct counted {
    int* balance;
    explicit counted(int* to) : balance(to) { ++*balance; }
    counted(counted&& other) noexcept : balance(other.balance) { ++*balance; }
    counted& operator=(counted&&) = delete;
    ~counted() { --*balance; }
  };
  int balance = 0;
  const auto make = [](int* to) -> task<counted> { co_return counted(to); };
  {
    const counted kept = co_await make(&balance);
    EXPECT_EQ(balance, 1);
  }
  EXPECT_EQ(balance, 0);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(make, &balance);                    // its handle is dropped: nobody takes the value
    const auto kept = s.spawn(make, &balance);  // nor here, though the handle lives
    co_await s.join();
    EXPECT_EQ(balance, 1);
  });
  EXPECT_EQ(balance, 0);
}

struct throws_at_the_end {
  ~throws_at_the_end() noexcept(false) { throw std::runtime_error("late"); }
};
task<std::shared_ptr<int>> fails_after_its_value(std::shared_ptr<int> value) {
  const throws_at_the_end last;
  co_return value;
}
task<> spawns_one_that_fails_late(std::shared_ptr<int> value) {
  co_await with_scope([&](scope& s) -> task<> {
    const auto child = s.spawn(fails_after_its_value, value);
    co_await s.join();
  });
}

WEIR_TEST("an error after the value takes the value's place") {
  const auto value = std::make_shared<int>(1);
  EXPECT_THAT(co_await testing::errors_of(fails_after_its_value(value)), ElementsAre("late"));
  const auto spawned = co_await testing::errors_of(spawns_one_that_fails_late(value));
  EXPECT_THAT(spawned, ElementsAre("late"));
  EXPECT_EQ(value.use_count(), 1) << "the values were dropped";
}

task<int> count_down(int depth) {
  if (depth == 0) {
    co_await yield();
    co_return 0;
  }
  co_return 1 + co_await count_down(depth - 1);
}

WEIR_TEST("a chain of a hundred thousand awaits needs no stack") {
  EXPECT_EQ(co_await count_down(100'000), 100'000);
}

WEIR_TEST("a loop of a hundred thousand awaits needs no stack") {
  int sum = 0;
  for (int i = 0; i < 100'000; ++i) sum += co_await []() -> task<int> { co_return 1; }();
  EXPECT_EQ(sum, 100'000);
}

// The error return trace.

task<> innermost() {
  co_await sleep(1_ms);
  raise(error(errc::not_found, "no such queue"));
}
task<> middle() { co_await innermost(); }
task<> outermost() { co_await middle(); }

TEST(Task, an_error_that_nobody_took_tells_the_awaits_that_it_crossed) {
  const auto outcome = testing::run_outcome(outermost());
  ASSERT_TRUE(outcome.is_failed);
  EXPECT_THAT(outcome.failure, HasSubstr("not_found: no such queue"));
  const std::size_t first = outcome.failure.find("innermost");
  const std::size_t second = outcome.failure.find("middle");
  const std::size_t third = outcome.failure.find("outermost");
  EXPECT_LT(first, second) << outcome.failure;
  EXPECT_LT(second, third) << outcome.failure;
  EXPECT_NE(third, std::string::npos) << outcome.failure;
  EXPECT_THAT(outcome.failure, HasSubstr("task_test.cpp:"));
}

TEST(Task, the_trace_of_an_error_starts_anew_after_it_was_caught) {
  const auto outcome = testing::run_outcome([]() -> task<> {
    try {
      co_await outermost();
    } catch (const exception& first) {  // taken here; the next error is another one
      EXPECT_NE(first.reason(), errc::busy);
    }
    raise(error(errc::busy, "the second"));
  }());
  ASSERT_TRUE(outcome.is_failed);
  EXPECT_THAT(outcome.failure, HasSubstr("the second"));
  EXPECT_EQ(outcome.failure.find("innermost"), std::string::npos) << outcome.failure;
}

TEST(Task, a_long_trace_is_cut_and_counted) {
  const auto outcome = testing::run_outcome([]() -> task<> {
    struct deep {
      static task<> fall(int depth) {
        if (depth == 0) raise(error(errc::broken, "at the bottom"));
        co_await fall(depth - 1);
      }
    };
    co_await deep::fall(40);
  }());
  EXPECT_THAT(outcome.failure, HasSubstr("... 26 more"));
}

TEST(TaskDeathTest, awaiting_a_task_that_was_moved_from_stops_the_process) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 auto first = answer();
                 auto second = std::move(first);
                 co_await std::move(second);
                 co_await std::move(first);  // NOLINT(bugprone-use-after-move)
               }()),
               "a task is awaited once");
}

}  // namespace
}  // namespace weir::task_test
