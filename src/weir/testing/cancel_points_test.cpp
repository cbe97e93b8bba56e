#include <weir/testing/cancel_points.hpp>

#include <weir/core/sleep.hpp>
#include <weir/io/file.hpp>
#include <weir/testing/internal/reports.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::cancel_points_test {
namespace {

using namespace weir::literals;

bool is_begun = false;

task<> takes_a_while() {
  is_begun = true;
  co_await sleep(2_s);
  is_begun = false;
}

// Where the operation is cancelled in its sleep, it leaves what it had begun.
task<> leaves_it_begun(testing::victim& v) {
  is_begun = false;
  co_await as_result([](testing::victim& one) -> task<> { co_await one.run(takes_a_while()); }(v));
  EXPECT_FALSE(is_begun);
}

// In a process of its own, where it fails.
TEST(CancelPoints, show_the_steps_of_the_run_that_failed_and_where_it_was_cancelled) {
  const auto all = testing::told_by_this_test("WEIR_CANCEL_POINTS_TEST");
  if (!all) {
    testing::cancel_at_every_point(&leaves_it_begun);
    return;
  }
  EXPECT_NE(all->status, 0);
  EXPECT_NE(all->text.find("cancelled at point 1 of schedule 0\n"), std::string::npos) << all->text;
  const std::size_t title = all->text.find("  step this run; it was cancelled after step 1\n");
  ASSERT_NE(title, std::string::npos) << all->text;
  EXPECT_NE(all->text.find("\n     2 1 leaves_it_begun ", title), std::string::npos) << all->text;
}

// The fault is the scenario's own, and the run that fails is the one that is left alone.
task<> fails_untouched(testing::victim& v) {
  testing::world().add_fault({.op = io_op::write_at});
  co_await as_result([](testing::victim& one) -> task<> {
    co_await one.run([]() -> task<> {
      file log = co_await open_file("/log", {.write = true, .create = true});
      co_await as_result(log.write_at(0, "text"));
      co_await sleep(2_s);
    }());
  }(v));
  EXPECT_TRUE(v.was_cancelled());
}

TEST(CancelPoints, call_no_run_cancelled_that_they_have_left_alone) {
  const auto all = testing::told_by_this_test("WEIR_CANCEL_POINTS_TEST");
  if (!all) {
    testing::cancel_at_every_point(&fails_untouched);
    return;
  }
  EXPECT_NE(all->status, 0);
  EXPECT_NE(all->text.find("  step this run\n     1 1 fails_untouched "), std::string::npos)
      << all->text;
}

}  // namespace
}  // namespace weir::cancel_points_test
