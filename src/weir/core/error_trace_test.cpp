// The trace of an error, through what takes it and raises it again.
#include <weir/core/error_trace.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/cleanup.hpp>
#include <weir/core/combine.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <initializer_list>
#include <string>

namespace weir::error_trace_test {
namespace {

using namespace weir::literals;
using ::testing::HasSubstr;
using ::testing::Not;

task<int> deep_down(errc code) {
  co_await sleep(1_ms);
  raise(error(code, "the cause"));
}
task<int> half_way(errc code) { co_return co_await deep_down(code); }
task<int> fails_at_once(errc code) {
  raise(error(code, "the cause"));
  co_return 1;
}
task<> cleans_up_badly() {
  co_await sleep(1_ms);
  raise(error(errc::closed, "the cleanup's"));
}

/// Tells where one of the names is missing, or stands before the one before it.
void expect_in_order(const std::string& text, std::initializer_list<const char*> names) {
  std::size_t from = 0;
  for (const char* name : names) {
    const std::size_t at = text.find(name, from);
    if (at == std::string::npos) {
      ADD_FAILURE() << name << " is not there, or too early, in:\n" << text;
      return;
    }
    from = at + 1;
  }
}

task<std::string> group_text_of(task<int> body) {
  try {
    co_await std::move(body);
  } catch (const error_group& group) {
    co_return group.what();
  }
  ADD_FAILURE() << "no group was raised";
  co_return "";
}

// Where the task that is run awaits.
task<> calls(task<int> body) { co_await std::move(body); }

void expect_trace_through(task<int> body) {
  const auto outcome = run_outcome(calls(std::move(body)));
  ASSERT_TRUE(outcome.is_failed);
  expect_in_order(outcome.failure, {"broken: the cause", "deep_down", "half_way", "calls"});
}

TEST(ErrorTrace, goes_on_behind_a_time_out) {
  expect_trace_through(with_timeout(1_h, half_way(errc::broken)));
}

TEST(ErrorTrace, goes_on_behind_a_deadline_that_never_comes) {
  expect_trace_through(with_deadline(time_point::never(), half_way(errc::broken)));
}

TEST(ErrorTrace, goes_on_behind_a_shield) { expect_trace_through(shield(half_way(errc::broken))); }

TEST(ErrorTrace, goes_on_behind_one_bound_in_another) {
  expect_trace_through(shield(with_timeout(1_h, shield(half_way(errc::broken)))));
}

TEST(ErrorTrace, goes_on_behind_cleanups_with_errors_and_time_outs_of_their_own) {
  expect_trace_through(with_cleanups([](cleanups& after) -> task<int> {
    after.defer_async([]() -> task<> {
      const auto slept = co_await as_result(with_timeout(1_ms, sleep(1_h)));
      EXPECT_FALSE(slept);
    });
    co_return co_await half_way(errc::broken);
  }));
}

TEST(ErrorTrace, goes_on_behind_a_body_without_cleanups) {
  expect_trace_through(
      with_cleanups([](cleanups&) -> task<int> { co_return co_await half_way(errc::broken); }));
}

task<> fails_as_a_group() {
  co_await with_scope([](scope&) -> task<> { co_await half_way(errc::broken); });
}

TEST(ErrorTrace, of_an_only_error_goes_on_when_its_group_raises_it) {
  expect_trace_through([]() -> task<int> {
    try {
      co_await fails_as_a_group();
    } catch (const error_group& group) {
      group.raise_if_any();
    }
    co_return 0;
  }());
}

TEST(ErrorTrace, is_not_that_of_an_error_before) {
  const auto outcome = run_outcome([]() -> task<> {
    const auto first = co_await as_result(half_way(errc::busy));
    EXPECT_FALSE(first);
    co_await with_timeout(1_h, fails_at_once(errc::broken));
  }());
  ASSERT_TRUE(outcome.is_failed);
  EXPECT_THAT(outcome.failure, HasSubstr("fails_at_once"));
  EXPECT_THAT(outcome.failure, Not(HasSubstr("deep_down")));
}

WEIR_TEST("a group of first_success has the trace of each error, in the order of the tasks") {
  expect_in_order(
      co_await group_text_of(first_success(half_way(errc::broken), fails_at_once(errc::busy))),
      {"[1] broken: the cause", "deep_down", "half_way", "of scope \"first_success\" spawned at",
       "error_trace_test.cpp", "[2] busy: the cause", "fails_at_once",
       "of scope \"first_success\" spawned at", "error_trace_test.cpp"});
}

WEIR_TEST("a group of with_cleanups has the traces of the body's error and of the cleanups'") {
  const std::string text = co_await group_text_of(with_cleanups([](cleanups& after) -> task<int> {
    after.defer_async(cleans_up_badly);
    co_return co_await half_way(errc::broken);
  }));
  expect_in_order(
      text, {"[1] broken: the cause", "deep_down", "half_way", "[2] closed: ", "cleans_up_badly"});
}

}  // namespace
}  // namespace weir::error_trace_test
