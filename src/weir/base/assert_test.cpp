#include <weir/base/assert.hpp>

#include <gtest/gtest.h>

#include <cstdio>

namespace weir::assert_test {
namespace {

TEST(assert, a_true_condition_is_evaluated_once_and_has_no_effect) {
  int evaluated = 0;
  WEIR_ASSERT(++evaluated == 1);
  EXPECT_EQ(evaluated, 1);
}

TEST(assert_death, a_false_condition_stops_the_process_and_names_expression_and_place) {
  EXPECT_DEATH(WEIR_ASSERT(1 + 1 == 3), "assertion failed: 1 \\+ 1 == 3\n  at .*assert_test.cpp:");
}

TEST(assert_death, the_hook_is_called_before_the_end_and_an_assertion_in_it_does_not_recurse) {
  EXPECT_DEATH(
      {
        detail::set_assertion_hook([]() noexcept {
          std::fputs("tree of tasks\n", stderr);
          WEIR_ASSERT(1 > 2);
        });
        WEIR_ASSERT(1 > 3);
      },
      "1 > 3\n.*\ntree of tasks\n.*1 > 2");
}

}  // namespace
}  // namespace weir::assert_test
