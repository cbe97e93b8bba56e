// Tests of tasks: WEIR_TEST("a sentence") { co_await ...; } on GoogleTest. The hard idea: a body is
// run many times in a virtual world, once with everything in order and then under schedules that
// strategies choose (sim/explored_schedule.hpp), so that no test can rely on a lucky order. What
// fails is shrunk to the few switches that it takes and printed with the command that replays it.
//
//   WEIR_REPLAY=log:t3=1    runs one schedule only, as a failure has printed it
//   WEIR_TEST_SCHEDULES=n   how many are tried
#pragma once

#include <weir/core/as_result.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/task.hpp>
#include <weir/sim/virtual_driver.hpp>
#include <weir/sim/virtual_run.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <source_location>
#include <string>
#include <utility>
#include <vector>

namespace weir::testing {

inline constexpr std::uint64_t schedules_default = 100;  // per test, besides the one in order
inline constexpr std::uint64_t schedules_least = 20;     // also for tests with many steps
/// Of all schedules of one test, unless WEIR_TEST_SCHEDULES says how many are wanted.
inline constexpr std::uint64_t schedule_steps_max = 200'000;

using weir::run_outcome;
using weir::run_outcome_in;
using weir::virtual_outcome;
using weir::virtual_run_options;

/// Runs a task to its end; an error that leaves it, a report, or an open handle fails the test.
void run_virtual(task<> body, virtual_run_options options = {},
                 std::source_location place = std::source_location::current());
void run_virtual_in(virtual_world& world, task<> body, virtual_run_options options = {},
                    std::source_location place = std::source_location::current());

/// The world around the running task.
virtual_world& world();
/// Virtual time since the world began.
duration elapsed();

/// Calls body() under each schedule, as WEIR_TEST does, until one fails. Fails also when two runs
/// of one schedule differ, and when a sometimes() in `place`'s file is never met.
void run_schedules(task<> (*body)(), std::source_location place);
/// Registers a test with GoogleTest; for WEIR_TEST.
bool add_test(const char* sentence, task<> (*body)(),
              std::source_location place = std::source_location::current());

namespace detail {
void note_outcome(errc wanted, const error* got, std::source_location place);
}

/// Awaits a task or a single wait; the test fails unless it raises an error with this code.
template <class A>
task<> expect_raises(errc code, A awaited,
                     std::source_location place = std::source_location::current()) {
  auto outcome = co_await as_result(std::move(awaited));
  detail::note_outcome(code, outcome ? nullptr : &outcome.error(), place);
}
template <errc Code, class A>
task<> expect_raises(A awaited, std::source_location place = std::source_location::current()) {
  co_await expect_raises(Code, std::move(awaited), place);
}

/// What() of each error that a task ends with: several for a group, none for success.
std::vector<std::string> texts_of(std::exception_ptr failure);
template <class T>
task<std::vector<std::string>> errors_of(task<T> body) {
  std::exception_ptr failure;
  try {
    co_await std::move(body);
  } catch (...) {
    failure = std::current_exception();
  }
  co_return texts_of(failure);
}

}  // namespace weir::testing

/// In a task, where GoogleTest's ASSERT_ macros can't return: fails the test and ends the task
/// unless `condition` is true.
#define WEIR_REQUIRE(condition)                          \
  if (condition) {                                       \
  } else /* NOLINT */ {                                  \
    ADD_FAILURE() << "needed for the rest: " #condition; \
    co_return;                                           \
  }

#define WEIR_TEST_JOIN_(a, b) a##b
#define WEIR_TEST_JOIN(a, b) WEIR_TEST_JOIN_(a, b)
#define WEIR_TEST_NAMED(sentence, body)                             \
  static ::weir::task<> body();                                     \
  [[maybe_unused]] static const bool WEIR_TEST_JOIN(body, _added) = \
      ::weir::testing::add_test(sentence, &body);                   \
  static ::weir::task<> body()
/// A test whose body is a task on the virtual driver.
#define WEIR_TEST(sentence) WEIR_TEST_NAMED(sentence, WEIR_TEST_JOIN(weir_test_body_, __LINE__))
