#include <weir/apps/machine_use.hpp>

#include <gtest/gtest.h>

namespace weir::machine_use_test {
namespace {

TEST(machine_use, idle_time_and_waits_for_the_disk_are_not_busy) {
  const auto use = parse_machine_use("cpu  100 20 30 4000 500 6 7 8 90 0");
  ASSERT_TRUE(use);
  EXPECT_EQ(use->busy, 100u + 20 + 30 + 6 + 7 + 8);
  EXPECT_EQ(use->all, use->busy + 4000 + 500);
}

TEST(machine_use, other_lines_are_none) {
  for (const auto* line : {"", "cpu0 1 2 3 4 5 6 7 8", "cpu ", "cpu  1 2 3 4 5 6 7",
                           "cpu  1 2 x 4 5 6 7 8", "intr 1 2 3 4 5 6 7 8"}) {
    EXPECT_FALSE(parse_machine_use(line)) << line;
  }
}

TEST(machine_use, what_this_process_has_used_is_not_that_of_others) {
  const machine_use before{.busy = 1000, .all = 5000, .own_seconds = 1};
  const machine_use after{.busy = 1800, .all = 6000, .own_seconds = 4};
  EXPECT_DOUBLE_EQ(share_of_others(before, after, 100), 0.5);
}

TEST(machine_use, shares_stay_within_bounds) {
  const machine_use before{.busy = 1000, .all = 5000, .own_seconds = 1};
  EXPECT_EQ(share_of_others(before, before, 100), 0);
  EXPECT_EQ(share_of_others(before, {.busy = 1001, .all = 6000, .own_seconds = 4}, 100), 0);
  EXPECT_EQ(share_of_others(before, {.busy = 9000, .all = 6000, .own_seconds = 1}, 100), 1);
  EXPECT_EQ(share_of_others(before, {.busy = 0, .all = 6000, .own_seconds = 1}, 100), 0);
}

}  // namespace
}  // namespace weir::machine_use_test
