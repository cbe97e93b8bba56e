// The first, second, ... n-th allocation fails, until a whole scenario passes untouched.
#include <weir/core/as_result.hpp>
#include <weir/core/cleanup.hpp>
#include <weir/core/combine.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/start.hpp>
#include <weir/core/unhandled.hpp>
#include <weir/testing/allocation_points.hpp>
#include <weir/testing/allocations.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <exception>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <utility>

namespace weir::allocation_test {
namespace {

using namespace weir::literals;
using ::testing::HasSubstr;

task<int> later(int value) {
  co_await sleep(1_ms);
  co_return value;
}

task<int> scenario() {
  int sum = 0;
  const auto posted = std::make_shared<int>(0);
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn(
          [](int* to, int value) -> task<> {
            co_await yield();
            *to += value;
          },
          &sum, i);
    }
    const auto outcome = co_await as_result(with_timeout(5_ms, later(10)));
    if (!outcome) {
      co_await checkpoint();  // a sibling without memory has cancelled it
      raise(outcome.error());
    }
    sum += *outcome;
    co_await s.join();
    auto [a, b] = co_await when_all(later(20), later(30));
    sum += a + b + co_await when_any(later(40), later(40));
    sum += co_await start<int>(s, [](readiness<int>& ready) -> task<> {
      ready(50);
      co_await sleep(1_ms);
    });
    // It runs whatever becomes of us, perhaps only when the loop ends.
    loop::current()->post([posted] { *posted = 60; });
    co_await s.spawn_when_room(&later, 1);
  });
  co_return sum + *posted;
}

TEST(Allocation, any_that_fails_is_an_error_of_its_task_and_nothing_is_left_behind) {
  testing::for_each_allocation([]() -> task<> {
    // Nothing was heard: then nothing may be missing either.
    EXPECT_EQ(co_await scenario(), 0 + 1 + 2 + 10 + 20 + 30 + 40 + 50 + 60);
  });
}

TEST(Allocation, a_post_without_memory_gives_its_place_back) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << "not under ThreadSanitizer";
  virtual_driver driver;
  loop on(driver, {.posts_max = 1});
  bool has_run = false;
  const testing::failing_allocation first(1);
  const auto too_large_for_the_pool = [ballast = std::array<char, detail::frame_size_max>()] {
    ADD_FAILURE() << ballast.size();
  };
  EXPECT_THROW(on.post(too_large_for_the_pool), std::bad_alloc);
  EXPECT_TRUE(on.post([&] { has_run = true; }));
  on.root().spawn([]() -> task<> { co_return; });
  on.run();
  EXPECT_TRUE(has_run);
}

TEST(Allocation, spawn_throws_when_its_task_finds_no_memory_and_nothing_is_spawned) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << "not under ThreadSanitizer";
  testing::run_virtual([]() -> task<> {
    co_await with_scope([](scope& s) -> task<> {
      {
        const testing::failing_allocation first(1);
        EXPECT_THROW(s.spawn(&later, 1), std::bad_alloc);
      }
      EXPECT_EQ(s.stats().spawned, 0u);
      co_return;
    });
  }());
}

/// What a scope raises whose task fails while the n-th allocation does.
task<> fail_in_scope(std::uint64_t nth, int* kept, int* replaced) {
  const auto failure = std::make_exception_ptr(exception(error(errc::busy)));
  std::optional<testing::failing_allocation> lack;
  try {
    co_await with_scope([&](scope&) -> task<> {
      co_await yield();
      lack.emplace(nth);
      std::rethrow_exception(failure);
    });
  } catch (const error_group& group) {
    lack.reset();
    EXPECT_EQ(group.size(), 1u);
    const bool is_replaced = group.split_by<std::bad_alloc>().wanted.size() == 1;
    ++(is_replaced ? *replaced : *kept);
    EXPECT_EQ(group.dropped(), is_replaced ? 1u : 0u);
  }
}

TEST(Allocation, a_scope_without_memory_for_its_error_raises_that_and_counts_the_error) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << "not under ThreadSanitizer";
  int kept = 0;
  int replaced = 0;
  for (std::uint64_t nth = 1; nth <= 4; ++nth) {
    testing::run_virtual(fail_in_scope(nth, &kept, &replaced));
  }
  EXPECT_EQ(kept + replaced, 4);
  EXPECT_EQ(replaced, 1) << "one of the allocations is the list's";
}

/// What is reported of a task that fails while the n-th allocation does.
task<> fail_and_report(std::uint64_t nth, std::string* told) {
  static std::string heard;
  heard.clear();
  const auto failure = std::make_exception_ptr(exception(error(errc::busy)));
  const unhandled_handler before = set_unhandled_handler([](const unhandled_error& what) noexcept {
    heard = what.is_report && what.what ? what.text : "no report";
  });
  std::optional<testing::failing_allocation> lack;
  co_await with_scope({.failures = report}, [&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await yield();
      lack.emplace(nth);
      std::rethrow_exception(failure);
    });
    co_await s.join();
  });
  lack.reset();
  set_unhandled_handler(before);
  *told = heard;
}

TEST(Allocation, a_report_without_memory_is_made_all_the_same) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << "not under ThreadSanitizer";
  int without_text = 0;
  for (std::uint64_t nth = 1; nth <= 3; ++nth) {
    std::string told;
    testing::run_virtual(fail_and_report(nth, &told));
    EXPECT_THAT(told, ::testing::AnyOf(HasSubstr("task 2"), HasSubstr("no memory to describe it")));
    without_text += told.find("no memory") != std::string::npos;
  }
  EXPECT_EQ(without_text, 1) << "one of the allocations is the list's";
}

/// Two cleanups; the n-th allocation after the body's end fails. Gives how many have run.
task<> clean_up_without_memory(std::uint64_t nth, int* runs, bool* has_struck, bool* is_told) {
  const auto failure = std::make_exception_ptr(exception(error(errc::busy)));
  std::optional<testing::failing_allocation> lack;
  try {
    co_await with_cleanups([&](cleanups& after) -> task<> {
      for (int i = 0; i < 2; ++i) {
        after.defer_async([&]() -> task<> {
          co_await yield();
          ++*runs;
        });
      }
      co_await yield();
      lack.emplace(nth);
      std::rethrow_exception(failure);
    });
    ADD_FAILURE() << "nothing was thrown";
  } catch (const error_group& group) {
    *is_told = group.split_by<std::bad_alloc>().wanted.size() == 1;
  } catch (const exception& e) {
    EXPECT_EQ(e.reason().code(), errc::busy);
  }
  *has_struck = lack->has_struck();
}

TEST(Allocation, a_cleanup_is_missed_only_when_its_own_task_finds_no_memory_and_that_is_heard) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << "not under ThreadSanitizer";
  bool has_struck = true;
  int missed = 0;
  for (std::uint64_t nth = 1; has_struck; ++nth) {
    int runs = 0;
    bool is_told = false;
    testing::run_virtual(clean_up_without_memory(nth, &runs, &has_struck, &is_told));
    EXPECT_EQ(runs, is_told ? 1 : 2) << "allocation " << nth;
    missed += is_told;
    ASSERT_LT(nth, 100u);
  }
  EXPECT_EQ(missed, 2) << "each of them once";
}

}  // namespace
}  // namespace weir::allocation_test
