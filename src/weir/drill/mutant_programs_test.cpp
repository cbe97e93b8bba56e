#include <weir/drill/mutant_programs.hpp>

#include <weir/base/defect.hpp>

#include <gtest/gtest.h>

#include <csignal>
#include <cstdlib>
#include <set>
#include <string>

namespace weir::drill::mutant_programs_test {
namespace {

std::set<const mutant_program*> all_programs() {
  std::set<const mutant_program*> all;
  for (const runtime_mutant& one : runtime_mutants()) all.insert(one.killed_by);
  return all;
}

TEST(mutant_programs, pass_under_every_schedule_without_a_defect) {
  const std::uint64_t schedules = defects_can_be_planted ? 1'000 : 100;  // sanitizers are slow
  for (const mutant_program* one : all_programs()) {
    const mutant_verdict verdict = try_program(*one, {.tries_max = schedules});
    EXPECT_FALSE(verdict.is_killed) << one->name << ": " << verdict.by;
    EXPECT_EQ(verdict.tries, schedules);
  }
}

// By a verdict or by the end of the process, which a deadlock behind a shield is.
bool is_killed(int status) {
  return ::testing::ExitedWithCode(0)(status) || ::testing::KilledBySignal(SIGABRT)(status);
}

TEST(mutant_programs, kill_every_mutant_of_the_runtime) {
  if (!defects_can_be_planted) GTEST_SKIP() << "this build can't plant defects";
  for (const runtime_mutant& one : runtime_mutants()) {
    EXPECT_EXIT(std::exit(try_runtime_mutant(one).is_killed ? 0 : 1), is_killed, "")
        << one.defect << " lives";
  }
}

TEST(mutant_programs, say_which_promise_was_broken) {
  if (!defects_can_be_planted) GTEST_SKIP() << "this build can't plant defects";
  const runtime_mutant& one = runtime_mutants().front();
  struct counter final : try_listener {
    std::uint64_t last = 0;
    void trying(std::uint64_t nth) override { last = nth; }
  } heard;
  const mutant_verdict verdict = try_runtime_mutant(one, {}, &heard);
  EXPECT_TRUE(verdict.is_killed);
  EXPECT_EQ(heard.last, verdict.tries);
  EXPECT_EQ(verdict.by, "expected: a timer fires when it is due");
  EXPECT_EQ(verdict.tries, 1u);
  EXPECT_FALSE(is_planted(one.defect)) << "it is planted no longer than it is tried";
}

TEST(mutant_programs, name_each_defect_once) {
  std::set<std::string> names;
  for (const runtime_mutant& one : runtime_mutants()) {
    EXPECT_TRUE(names.insert(one.defect).second) << one.defect;
  }
  EXPECT_GE(names.size(), 24u);
}

}  // namespace
}  // namespace weir::drill::mutant_programs_test
