#include <weir/testing/internal/test_register.hpp>

#include <weir/testing/internal/reports.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>
#include <sys/wait.h>

#include <source_location>
#include <string>

namespace weir::test_register_test {
namespace {

using testing::told;
using testing::told_by_this_program;

WEIR_TEST("a test that is there") { co_return; }

TEST(Replay, that_reaches_no_test_with_schedules_fails_and_says_so) {
  for (const std::string filter : {"test_register_test.a_test_that_is_not_there",
                                   "ByteStreamContract.has_more_rules_for_two_directions"}) {
    const told all = told_by_this_program("WEIR_REPLAY=fifo", filter);
    EXPECT_EQ(WEXITSTATUS(all.status), 1) << all.text;
    const std::string wanted = "WEIR_REPLAY=fifo was not replayed: --gtest_filter=" + filter;
    EXPECT_NE(all.text.find(wanted), std::string::npos) << all.text;
  }
}

TEST(Replay, that_reaches_one_passes_and_so_does_a_filter_without_a_replay) {
  for (const char* variables : {"WEIR_REPLAY=fifo", "WEIR_REPLAY="}) {
    const told all = told_by_this_program(variables,
                                          "test_register_test.a_test_that_is_there:"
                                          "ByteStreamContract.has_more_rules_for_two_directions");
    EXPECT_EQ(WEXITSTATUS(all.status), 0) << all.text;
  }
  const told none = told_by_this_program("WEIR_REPLAY=", "there.is_none");
  EXPECT_EQ(WEXITSTATUS(none.status), 0) << none.text;
}

TEST(TestRegisterDeathTest, a_second_test_of_one_name_ends_the_process_and_both_places_are_told) {
  EXPECT_EXIT(testing::detail::register_test("test_register_test", "a_test_that_is_there",
                                             std::source_location::current(), {}),
              ::testing::ExitedWithCode(2),
              "test_register_test.cpp:[0-9]+: there is a test "
              "test_register_test.a_test_that_is_there already, at "
              ".*test_register_test.cpp:[0-9]+: give this one another name");
}

}  // namespace
}  // namespace weir::test_register_test
