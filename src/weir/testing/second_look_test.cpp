// Bodies that end their process in one of their schedules, in a process of its own, and what a
// second look tells of each.
#include <weir/testing/internal/second_look.hpp>

#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/escape_guard.hpp>
#include <weir/testing/internal/reports.hpp>
#include <weir/testing/test.hpp>
#include <weir/testing/test_on_nodes.hpp>

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <exception>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace weir::second_look_test {
namespace {

using namespace weir::literals;
using testing::told;
using testing::with_environment;
using testing::word_after;

// What this test, begun anew in a process of its own, says; nothing in that process: there the body
// is run.
std::optional<told> told_by_child(task<> (*body)(), const std::string& before = {}) {
  auto all =
      testing::told_by_this_test("WEIR_SECOND_LOOK_TEST", "WEIR_TEST_SCHEDULES=100 " + before);
  if (!all) testing::run_schedules(body, std::source_location::current());
  return all;
}

void expect_told(const told& all, std::initializer_list<const char*> parts) {
  for (const char* part : parts) {
    EXPECT_NE(all.text.find(part), std::string::npos) << part << " is missing in:\n" << all.text;
  }
}

// The command at the end of a report, without what stands behind the run's name.
std::string replay_of(const told& all) {
  return "WEIR_REPLAY=" + word_after(all.text, "replay it:  WEIR_REPLAY=");
}

constexpr int tasks = 6;

// True when the last of some tasks was the first.
task<bool> is_overtaken() {
  int order = 0;
  int came[tasks] = {};
  co_await with_scope([&](scope& s) -> task<> {
    for (int& one : came) {
      s.spawn(
          [](int* at, int* count) -> task<> {
            *at = ++*count;
            co_await yield();
          },
          &one, &order);
    }
    co_await s.join();
  });
  co_return came[tasks - 1] < came[0];
}

task<> asserts_when_overtaken() { WEIR_ASSERT(!co_await is_overtaken() && "planted"); }

TEST(SecondLook, at_an_assertion_tells_one_switch_its_words_both_columns_and_a_command) {
  const auto all = told_by_child(&asserts_when_overtaken);
  if (!all) return;
  expect_told(*all, {"planted", "in one of its schedules; replay it with WEIR_REPLAY=",
                     "asserts_when_overtaken", "died (Aborted) in schedule ", "1 switch needed (",
                     "  at step ", "before task ", "in order", "this run (* a switch)",
                     "(the process dies)", "replay it:  WEIR_REPLAY=log:t"});
  EXPECT_EQ(replay_of(*all).find(','), std::string::npos) << "one exception\n" << all->text;
}

TEST(SecondLook, names_a_command_that_ends_the_process_again_and_is_looked_at_no_more) {
  const auto all = told_by_child(&asserts_when_overtaken);
  if (!all) return;
  const auto again = told_by_child(&asserts_when_overtaken, replay_of(*all));
  expect_told(*again, {"planted", "replay it with WEIR_REPLAY=log:t"});
  EXPECT_NE(again->status, 0);
  EXPECT_EQ(again->text.find("replay it:"), std::string::npos) << again->text;
  EXPECT_EQ(again->text.find("other process"), std::string::npos) << again->text;
}

task<> faults_when_overtaken() {
  auto* volatile nowhere = reinterpret_cast<int*>(std::uintptr_t{64});
  if (co_await is_overtaken()) *nowhere = 1;
}
task<> terminates_when_overtaken() {
  if (co_await is_overtaken()) std::terminate();
}
task<> exits_when_overtaken() {
  if (co_await is_overtaken()) std::exit(0);
}

TEST(SecondLook, at_a_fault_names_its_signal) {
  const auto all = told_by_child(&faults_when_overtaken);
  if (!all) return;
  EXPECT_NE(all->status, 0);
  expect_told(*all, {"died (Segmentation fault) in schedule ", "1 switch needed (",
                     "(the process dies)", "replay it:  WEIR_REPLAY=log:t"});
}

TEST(SecondLook, at_terminate_is_as_at_an_abort) {
  const auto all = told_by_child(&terminates_when_overtaken);
  if (!all) return;
  expect_told(
      *all, {"died (Aborted) in schedule ", "1 switch needed (", "replay it:  WEIR_REPLAY=log:t"});
}

TEST(SecondLook, at_an_exit_says_so_and_the_process_fails_as_before) {
  const auto all = told_by_child(&exits_when_overtaken);
  if (!all) return;
  expect_told(*all, {"ended the process, as by exit(),", "died (exit) in schedule ",
                     "1 switch needed (", "replay it:  WEIR_REPLAY=log:t"});
  EXPECT_TRUE(WIFEXITED(all->status));
  EXPECT_EQ(WEXITSTATUS(all->status), EXIT_FAILURE);
}

task<> aborts() {
  co_await yield();
  std::abort();
}

TEST(SecondLook, at_what_dies_in_order_has_one_column) {
  const auto all = told_by_child(&aborts);
  if (!all) return;
  expect_told(*all, {"died (Aborted) in schedule fifo\n  it fails with everything in order\n",
                     "  step this run, in order\n     1 ", "(the process dies)\n",
                     "replay it:  WEIR_REPLAY=log: "});
  EXPECT_EQ(all->text.find("needed ("), std::string::npos) << all->text;
}

task<> is_ended_when_overtaken() {
  if (!co_await is_overtaken()) co_return;
  const testing::escape_allowed sends_a_signal;
  ::kill(::getpid(), SIGTERM);
}

TEST(SecondLook, is_not_taken_at_who_was_ended_from_outside) {
  const auto all = told_by_child(&is_ended_when_overtaken);
  if (!all) return;
  expect_told(*all, {"in one of its schedules; replay it with WEIR_REPLAY="});
  EXPECT_EQ(all->text.find("other process"), std::string::npos) << all->text;
}

task<> passes() { co_return; }

TEST(SecondLook, is_at_the_campaign_of_the_test_that_died) {
  if (std::getenv("WEIR_SECOND_LOOK_TEST")) {
    testing::run_schedules(&passes, std::source_location::current());
  }
  const auto all = told_by_child(&exits_when_overtaken);
  if (!all) return;
  expect_told(*all, {"died (exit) in schedule ", "1 switch needed ("});
}

task<> dies_in_its_twentieth_run() {
  static int runs = 0;
  co_await yield();
  if (++runs == 20) std::abort();
}

TEST(SecondLook, at_what_depends_on_earlier_runs_says_so) {
  const auto all = told_by_child(&dies_in_its_twentieth_run);
  if (!all) return;
  expect_told(*all, {"does not end a process that begins with it", "a static variable"});
}

TEST(SecondLook, that_ends_before_its_time_is_told_as_such) {
  if (std::getenv("WEIR_SECOND_LOOK")) std::_Exit(3);
  const auto all = told_by_child(&exits_when_overtaken);
  if (!all) return;
  expect_told(*all, {"replay it with WEIR_REPLAY=", "the other process did not come to an end"});
  EXPECT_EQ(WEXITSTATUS(all->status), EXIT_FAILURE) << "as without it";
}

void dies_on_a_node(explored_nodes& nodes) {
  virtual_node& shop = nodes.add("shop");
  nodes.start(shop, &asserts_when_overtaken);
  nodes.run_to_end(shop);
}

TEST(SecondLook, at_machines_names_them) {
  if (std::getenv("WEIR_SECOND_LOOK_TEST")) {
    testing::run_schedules(&dies_on_a_node, std::source_location::current());
  }
  const auto all = told_by_child(&passes);
  if (!all) return;
  expect_told(*all, {"died (Aborted) in schedule ", "shop's task ", " needed (",
                     "(the process dies)", "replay it:  WEIR_REPLAY=log:t"});
}

task<> expects_a_death() {
  co_await yield();
  const testing::escape_allowed forks;
  EXPECT_DEATH(std::abort(), "");
}

TEST(DeathTest, in_a_body_still_works) {
  const with_environment few("WEIR_TEST_SCHEDULES", "2");
  EXPECT_EQ(testing::report_of(&expects_a_death), "");
}

}  // namespace
}  // namespace weir::second_look_test
