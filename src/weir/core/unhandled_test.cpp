#include <weir/core/unhandled.hpp>

#include <weir/core/run.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

namespace weir::unhandled_test {
namespace {

using namespace weir::literals;

task<> queue_reader() {
  co_await sleep(1_ms);
  raise(error(errc::not_found, "no queue 'mails'"));
}

TEST(UnhandledDeathTest, an_error_that_nobody_takes_ends_the_process_with_its_async_stack) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        virtual_driver driver;
        run_on(driver, []() -> task<> { co_await queue_reader(); }());
      },
      "weir: unhandled error: (.|\n)*no queue 'mails'(.|\n)*queue_reader");
}

TEST(UnhandledDeathTest, a_report_is_printed_and_the_program_goes_on) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(
      {
        virtual_driver driver;
        run_on(driver, []() -> task<> {
          co_await with_scope({.failures = weir::report}, [](scope& s) -> task<> {
            s.spawn(&queue_reader);
            co_return;
          });
        }());
        std::exit(7);
      },
      ::testing::ExitedWithCode(7), "weir: a task failed: (.|\n)*no queue 'mails'");
}

TEST(Unhandled, replacing_the_handler_gives_the_one_before) {
  const unhandled_handler mine = [](const unhandled_error&) noexcept {};
  const unhandled_handler before = set_unhandled_handler(mine);
  EXPECT_EQ(set_unhandled_handler(before), mine);
}

}  // namespace
}  // namespace weir::unhandled_test
