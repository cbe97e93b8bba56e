// One body, two arms: a test that runs in the virtual world, as WEIR_TEST does, and once on each
// driver of the kernel. The hard idea: a simulator that differs from the kernel hides faults, so
// what a test relies on is shown on both.
#pragma once

#include <weir/testing/test.hpp>

#include <source_location>

namespace weir::testing {

inline constexpr duration kernel_patience = duration::seconds(60);  // for a body on the kernel

/// Runs body() once on the driver "epoll" or "io_uring". An error that leaves it or is reported,
/// an end that does not come in time, sockets and pipes that stay open, and child processes that
/// are left fail the test; a driver that the machine refuses skips it. world() and elapsed() are
/// not there.
void run_on_kernel(const char* driver, task<> (*body)(), duration patience = kernel_patience,
                   std::source_location place = std::source_location::current());

/// Registers "kernel/FILE.SENTENCE_on_epoll" and "..._on_io_uring"; for WEIR_TEST_ON_BOTH.
bool add_kernel_tests(const char* sentence, task<> (*body)(),
                      std::source_location place = std::source_location::current());
/// Registers a test for each arm.
bool add_test_on_both(const char* sentence, task<> (*body)(),
                      std::source_location place = std::source_location::current());

}  // namespace weir::testing

#define WEIR_TEST_ON_BOTH_NAMED(sentence, body)                     \
  static ::weir::task<> body();                                     \
  [[maybe_unused]] static const bool WEIR_TEST_JOIN(body, _added) = \
      ::weir::testing::add_test_on_both(sentence, &body);           \
  static ::weir::task<> body()
/// A test whose body is a task, on the virtual driver under many schedules and on the kernel's
/// drivers once. It uses no time that would be long when it is real.
#define WEIR_TEST_ON_BOTH(sentence) \
  WEIR_TEST_ON_BOTH_NAMED(sentence, WEIR_TEST_JOIN(weir_test_body_, __LINE__))
