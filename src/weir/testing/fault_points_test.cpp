#include <weir/testing/fault_points.hpp>

#include <weir/core/sleep.hpp>
#include <weir/io/file.hpp>
#include <weir/testing/internal/reports.hpp>

#include <errno.h>
#include <gtest/gtest-spi.h>

#include <optional>
#include <string>
#include <utility>

namespace weir::fault_points_test {
namespace {

// [each]
// A file of two records; true when both are there for good.
task<bool> save(bool is_careless) {
  file log = co_await open_file("/log", {.write = true, .create = true});
  if (!co_await as_result(log.write_at(0, "first"))) co_return false;
  const auto second = co_await as_result(log.write_at(5, "second"));
  if (!second && !is_careless) co_return false;
  co_return (co_await as_result(log.sync())).has_value();
}

void check_saved(bool is_saved) {
  const auto content = testing::world().disk().content_of("/log");
  if (is_saved) EXPECT_EQ(*content, "firstsecond");
}

task<> saves() { check_saved(co_await save(false)); }

TEST(ForEachFault, strikes_each_operation_of_its_kind_once) {
  EXPECT_EQ(testing::for_each_fault({.op = io_op::write_at}, &saves), 2u);
  EXPECT_EQ(testing::for_each_fault({.op = io_op::sync, .code = ENOSPC}, &saves), 1u);
}
// [/each]

task<> saves_carelessly() { check_saved(co_await save(true)); }

TEST(ForEachFault, finds_the_one_that_is_ignored) {
  EXPECT_NONFATAL_FAILURE(testing::for_each_fault({.op = io_op::write_at}, &saves_carelessly),
                          "the fault strikes operation 2");
}

task<> saves_late() {
  using namespace weir::literals;
  co_await sleep(2_s);
  check_saved(co_await save(true));
}

// In a process of its own, where it fails.
TEST(ForEachFault, shows_the_steps_of_the_run_that_failed_and_in_which_the_fault_struck) {
  const auto all = testing::told_by_this_test("WEIR_FAULT_POINTS_TEST");
  if (!all) {
    testing::for_each_fault({.op = io_op::write_at}, &saves_late);
    return;
  }
  EXPECT_NE(all->status, 0);
  const std::size_t title = all->text.find("  step this run; the fault struck in step 2\n");
  ASSERT_NE(title, std::string::npos) << all->text;
  const std::size_t step = all->text.find("\n     2 1 saves_late fault_points_test.cpp:", title);
  ASSERT_NE(step, std::string::npos) << all->text;
  EXPECT_NE(all->text.find(", at 00:00:02.000000\n", step), std::string::npos) << all->text;
}

TEST(ForEachFault, fails_when_there_is_nothing_to_strike) {
  EXPECT_NONFATAL_FAILURE(testing::for_each_fault({.op = io_op::rename}, &saves),
                          "the scenario asks for no such operation");
}

TEST(ForEachFault, names_a_file_that_a_static_variable_keeps_and_lets_it_be_closed) {
  static std::optional<file> kept;  // else it would be closed with the frame
  EXPECT_NONFATAL_FAILURE(testing::for_each_fault({.op = io_op::sync},
                                                  []() -> task<> {
                                                    file log = co_await open_file(
                                                        "/kept", {.write = true, .create = true});
                                                    if (!co_await as_result(log.sync()))
                                                      kept = std::move(log);
                                                  }),
                          "the file /kept");
  ASSERT_TRUE(kept);
  kept.reset();
}

}  // namespace
}  // namespace weir::fault_points_test
