// Planted faults, and what WEIR_TEST says about each.
#include <weir/base/probe.hpp>
#include <weir/core/select.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/io/file.hpp>
#include <weir/io/socket.hpp>
#include <weir/testing/escape_guard.hpp>
#include <weir/testing/internal/reports.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string>

namespace weir::run_schedules_test {
namespace {

using namespace weir::literals;

using testing::report_of;
using testing::with_environment;
using testing::word_after;

int runs_of_update = 0;
task<> add_one(int* count) {
  const int read = *count;
  co_await checkpoint();
  *count = read + 1;
}
task<> loses_an_update() {
  ++runs_of_update;
  int count = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(add_one, &count);
    s.spawn(add_one, &count);
    co_await s.join();
  });
  EXPECT_EQ(count, 2) << "an update was lost";
}

TEST(Report, has_the_expectation_the_schedule_the_switch_in_words_and_the_timeline) {
  const std::string text = report_of(&loses_an_update);
  for (const char* part : {"an update was lost", "run_schedules_test.cpp:", "schedule ",
                           "1 switch needed", "stops and task", "in order", "this run",
                           "replay it:  WEIR_REPLAY=log:t", "--gtest_filter=Report.has_the_exp"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in:\n" << text;
  }
}

TEST(Report, names_a_command_that_replays_the_failure_and_nothing_else) {
  const std::string log = word_after(report_of(&loses_an_update), "WEIR_REPLAY=");
  ASSERT_TRUE(log.starts_with("log:t")) << log;
  const with_environment replay("WEIR_REPLAY", log);
  runs_of_update = 0;
  const std::string again = report_of(&loses_an_update);
  EXPECT_NE(again.find("an update was lost"), std::string::npos) << again;
  EXPECT_EQ(word_after(again, "WEIR_REPLAY="), log);
  EXPECT_LE(runs_of_update, 5) << "a replay is no campaign";
}

TEST(Report, a_seed_replays_too_and_a_schedule_that_passes_passes) {
  {
    const std::string seed = word_after(report_of(&loses_an_update), ", schedule ");
    const with_environment replay("WEIR_REPLAY", seed.substr(0, seed.find('\n')));
    EXPECT_NE(report_of(&loses_an_update).find("an update was lost"), std::string::npos) << seed;
  }
  const with_environment replay("WEIR_REPLAY", "fifo");
  EXPECT_EQ(report_of(&loses_an_update), "");
}

TEST(Report, is_not_made_when_the_schedules_wanted_do_not_meet_the_fault) {
  const with_environment one("WEIR_TEST_SCHEDULES", "1");
  runs_of_update = 0;
  EXPECT_EQ(report_of(&loses_an_update), "");
  EXPECT_EQ(runs_of_update, 2) << "in order, and the one wanted";
}

TEST(DeathTest, no_schedules_at_all_are_refused) {
  const with_environment none("WEIR_TEST_SCHEDULES", "0");
  EXPECT_EXIT(report_of(&loses_an_update), ::testing::ExitedWithCode(2),
              "WEIR_TEST_SCHEDULES=0 is not a number from 1 on: it would try nothing");
}

TEST(Report, of_a_log_whose_choice_the_run_does_not_come_to_says_that_it_shows_nothing) {
  // One that is too late, and one where too few tasks are ready.
  for (const char* stale : {"t99999=1", "t0=7"}) {
    const with_environment replay("WEIR_REPLAY", "log:" + std::string(stale));
    const std::string text = report_of(&loses_an_update);
    EXPECT_NE(text.find("names a choice that this run does not come to: " + std::string(stale)),
              std::string::npos)
        << stale << ": " << text;
  }
  const with_environment plain("WEIR_REPLAY", "log:t99999=0");
  EXPECT_EQ(report_of(&loses_an_update), "") << "a plain choice is made in any case";
}

task<> waits_for_two() {
  int count = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(add_one, &count);
    s.spawn(add_one, &count);
    co_await s.join();
  });
}

TEST(Report, of_a_log_whose_choices_are_all_made_is_not_made_when_it_passes) {
  const with_environment replay("WEIR_REPLAY", "log:t1=1");
  EXPECT_EQ(report_of(&waits_for_two), "");
}

TEST(DeathTest, a_replay_that_is_no_schedule_is_refused) {
  const with_environment replay("WEIR_REPLAY", "pos:first");
  EXPECT_EXIT(report_of(&loses_an_update), ::testing::ExitedWithCode(2),
              "WEIR_REPLAY=pos:first is not a schedule");
}

task<> lock_both(mutex* first, mutex* second) {
  const auto one = co_await first->lock();
  const auto two = co_await second->lock();
}
task<> locks_crosswise() {
  mutex accounts("accounts");
  mutex audit("audit");
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(lock_both, &accounts, &audit);
    s.spawn(lock_both, &audit, &accounts);
    co_await s.join();
  });
}

TEST(Report, of_a_deadlock_has_the_wait_graph_and_one_switch) {
  const std::string text = report_of(&locks_crosswise);
  for (const char* part :
       {"deadlock: every task waits", "waits for mutex audit", "waits for mutex accounts",
        "held by task", "in a circle: task", "failed (deadlock)", "1 switch needed"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in:\n" << text;
  }
}

task<> fails_in_order() {
  co_await sleep(1_ms);
  raise(error(errc::not_found, "no such queue"));
}

TEST(Report, of_what_fails_in_order_too_says_so) {
  const std::string text = report_of(&fails_in_order);
  EXPECT_NE(text.find("no such queue"), std::string::npos) << text;
  EXPECT_NE(text.find("it fails with everything in order"), std::string::npos) << text;
  EXPECT_EQ(text.find("0 switches needed"), std::string::npos) << text;
  EXPECT_NE(text.find("  step this run, in order\n     1 "), std::string::npos) << text;
}

task<> takes_the_first_of_two_each_time() {
  event one;
  event other;
  one.set();
  other.set();
  int firsts = 0;
  for (int i = 0; i < 8; ++i) {
    const auto [first, second] = co_await select(one.wait(), other.wait());
    if (first) ++firsts;
  }
  EXPECT_LT(firsts, 8) << "always the first";
}

TEST(Report,
     of_what_fails_in_order_with_plain_random_numbers_only_does_not_say_that_the_first_run_failed) {
  const with_environment enough("WEIR_TEST_SCHEDULES", "10000");
  const std::string text = report_of(&takes_the_first_of_two_each_time);
  EXPECT_NE(text.find("when its random numbers are the plain ones"), std::string::npos) << text;
  EXPECT_NE(text.find("WEIR_REPLAY=log: "), std::string::npos) << text;
}

int runs_of_sleeps = 0;
task<> sleeps_often() {
  for (int i = 0; i < 2'000; ++i) co_await sleep(1_ns);
  ++runs_of_sleeps;
}

TEST(Schedules, that_are_asked_for_by_number_are_all_made) {
  runs_of_sleeps = 0;
  {
    const with_environment many("WEIR_TEST_SCHEDULES", "120");
    EXPECT_EQ(report_of(&sleeps_often), "");
  }
  EXPECT_GT(runs_of_sleeps, 120);
  runs_of_sleeps = 0;
  EXPECT_EQ(report_of(&sleeps_often), "");
  EXPECT_LT(runs_of_sleeps, 120) << "otherwise it is enough after so many steps";
}

task<> fails_twice() {
  EXPECT_EQ(1 + 1, 3) << "the reason";
  co_await sleep(1_ms);
  raise(error(errc::not_found, "the consequence"));
}

TEST(Report, of_an_error_has_the_expectations_that_failed_too) {
  const std::string text = report_of(&fails_twice);
  EXPECT_LT(text.find("the reason"), text.find("the consequence")) << text;
  EXPECT_NE(text.find("failed (error)"), std::string::npos) << text;
}

task<> reports_an_error() {
  co_await with_scope({.failures = weir::report}, [](scope& s) -> task<> {
    s.spawn([]() -> task<> {
      co_await yield();
      raise(error(errc::busy, "a reported one"));
    });
    co_await s.join();
  });
}

TEST(Report, of_an_error_that_nobody_took_fails_the_test) {
  const std::string text = report_of(&reports_an_error);
  EXPECT_NE(text.find("a reported one"), std::string::npos) << text;
}

task<> leaves_a_socket() {
  co_await yield();
  loop::current()->io().make_socket(2);
}

TEST(Report, of_a_descriptor_that_is_left_open_fails_the_test) {
  const std::string text = report_of(&leaves_a_socket);
  EXPECT_NE(text.find("left open: 1"), std::string::npos) << text;
}

task<> leaves_much_open() {
  static std::optional<file> note;  // else they would be closed with the frame
  static std::optional<listener> door;
  static std::optional<socket> line;
  note = co_await open_file("/note", {.write = true, .create = true});
  door = co_await listen({.host = "127.0.0.1", .port = 80});
  line = co_await connect("127.0.0.1", 80);
  loop::current()->io().make_socket(2);
}

TEST(Report, of_what_is_left_open_names_each) {
  const std::string text = report_of(&leaves_much_open);
  for (const char* part :
       {"left open: 4 sockets or files\n  the file /note\n", "\n  a listener at 127.0.0.1:80\n",
        "\n  a socket from 127.0.0.1:", " to 127.0.0.1:80\n", "\n  a socket\n"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in:\n" << text;
  }
}

task<> fails_when_its_queue_is_full() {
  co_await yield();
  EXPECT_FALSE(maybe("the queue is full"));
}

TEST(Report, of_a_maybe_that_it_takes_names_it) {
  const with_environment enough("WEIR_TEST_SCHEDULES", "100");
  const std::string text = report_of(&fails_when_its_queue_is_full);
  EXPECT_NE(text.find("): maybe(\"the queue is full\") at run_schedules_test.cpp:"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find(" is true\n"), std::string::npos) << text;
  EXPECT_EQ(text.find("instead of 0"), std::string::npos) << text;
}

int runs_of_counter = 0;
task<> depends_on_a_static() {
  const int turns = ++runs_of_counter % 7;
  for (int i = 0; i < turns; ++i) co_await yield();
}

TEST(Report, of_two_runs_that_differ_has_both_stacks) {
  const std::string text = report_of(&depends_on_a_static);
  EXPECT_NE(text.find("two runs of "), std::string::npos) << text;
  EXPECT_NE(text.find("the same schedule must do the same twice"), std::string::npos) << text;
  const std::string schedule = word_after(text, "WEIR_REPLAY=");
  const with_environment replay("WEIR_REPLAY", schedule);
  const std::string again = report_of(&depends_on_a_static);
  EXPECT_NE(again.find("two runs of " + schedule), std::string::npos) << again;
}

TEST(Report, of_a_log_that_asks_for_more_than_the_run_can_do_and_fails_says_how_it_ran) {
  const std::string log = word_after(report_of(&loses_an_update), "WEIR_REPLAY=");
  const std::string more = log.substr(0, log.rfind('=') + 1) + "99";
  const with_environment replay("WEIR_REPLAY", more);
  const std::string text = report_of(&loses_an_update);
  EXPECT_NE(text.find("the log names what this run can't do, "), std::string::npos) << text;
  EXPECT_NE(text.find("99: it ran as " + log), std::string::npos) << text;
}

task<> fails_from_its_tenth_run_on() {
  static int runs = 0;
  EXPECT_LT(++runs, 10) << "the static variable is large";
  co_await yield();
}

TEST(Report, of_what_passed_in_order_and_fails_so_later_does_not_blame_the_order) {
  const with_environment enough("WEIR_TEST_SCHEDULES", "100");
  const std::string text = report_of(&fails_from_its_tenth_run_on);
  for (const char* part : {"the static variable is large", "failed (expectation) in run 10",
                           "now it fails with everything in order, too, and it had passed so"}) {
    EXPECT_NE(text.find(part), std::string::npos) << part << " is missing in:\n" << text;
  }
}

task<> is_longer_each_other_time() {
  static int runs = 0;
  co_await yield();
  if (++runs % 2 == 0) co_await yield();
}

TEST(Report, of_two_runs_of_different_length_has_the_stack_where_the_longer_one_goes_on) {
  const with_environment enough("WEIR_TEST_SCHEDULES", "100");
  const std::string text = report_of(&is_longer_each_other_time);
  EXPECT_NE(text.find(" steps\n  the longer one goes on: task 1, spawned at"), std::string::npos)
      << text;
  EXPECT_NE(text.find("in task<> weir::run_schedules_test::(anonymous "
                      "namespace)::is_longer_each_other_time() at"),
            std::string::npos)
      << text;
}

task<> never_meets() {
  sometimes(testing::elapsed() > 1_s, "it takes more than a second");
  co_return;
}
task<> meets() {
  co_await sleep(2_s);
  sometimes(testing::elapsed() > 1_s, "it takes more than a second");
}

TEST(Report, of_a_sometimes_that_is_never_met_names_it) {
  EXPECT_NE(report_of(&never_meets).find("\"it takes more than a second\""), std::string::npos);
  EXPECT_EQ(report_of(&meets), "");
  const with_environment few("WEIR_TEST_SCHEDULES", "19");
  EXPECT_EQ(report_of(&never_meets), "") << "too few schedules to say so";
}

task<> asserts_when_late() {
  int done = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(add_one, &done);
    co_await checkpoint();
    WEIR_ASSERT(done == 0 && "planted");
    co_await s.join();
  });
}

TEST(DeathTest, an_assertion_in_a_schedule_ends_the_process_and_names_it) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(testing::run_schedules(&asserts_when_late, std::source_location::current()),
               "planted(.|\n)*replay it with WEIR_REPLAY=[a-z0-9]+:[0-9]");
}

// The first child is not the first to come when tasks have changed places.
task<bool> is_overtaken() {
  int order = 0;
  int came[2] = {};
  co_await with_scope([&](scope& s) -> task<> {
    for (int* one : {&came[0], &came[1]}) {
      s.spawn(
          [](int* at, int* count) -> task<> {
            *at = ++*count;
            co_return;
          },
          one, &order);
    }
    co_await s.join();
  });
  co_return came[1] < came[0];
}

void send_to_itself(int number) {
  const testing::escape_allowed sends_a_signal;
  ::kill(::getpid(), number);
}
task<> crashes_when_overtaken() {
  if (co_await is_overtaken()) send_to_itself(SIGSEGV);
}
task<> is_ended_when_overtaken() {
  if (co_await is_overtaken()) send_to_itself(SIGTERM);
}
void run_from_here(task<> (*body)()) {
  testing::run_schedules(body, std::source_location::current());
}

TEST(DeathTest, a_signal_in_a_schedule_names_the_command_that_repeats_it_and_the_task) {
  const std::string told =
      "replay it with WEIR_REPLAY=[a-z0-9]+:[0-9]+ .*--gtest_filter=DeathTest.a_signal_in_a_sched"
      "(.|\n)*";
  EXPECT_DEATH(run_from_here(&crashes_when_overtaken), told + "crashes_when_overtaken");
  EXPECT_EXIT(run_from_here(&is_ended_when_overtaken), ::testing::KilledBySignal(SIGTERM),
              told + "is_ended_when_overtaken")
      << "what a test that hangs is ended by";
}

task<> exits_when_overtaken() {
  if (co_await is_overtaken()) std::exit(0);
}
task<> exits_quickly_when_overtaken() {
  if (co_await is_overtaken()) std::quick_exit(0);
}
task<> exits_at_once_when_overtaken() {
  if (co_await is_overtaken()) ::_exit(0);
}
task<> exits_at_once_by_the_standards_name_when_overtaken() {
  if (co_await is_overtaken()) std::_Exit(0);
}

TEST(DeathTest, an_exit_in_a_schedule_is_no_success) {
  constexpr task<> (*bodies[])() = {&exits_when_overtaken, &exits_quickly_when_overtaken,
                                    &exits_at_once_when_overtaken,
                                    &exits_at_once_by_the_standards_name_when_overtaken};
  for (task<> (*body)() : bodies) {
    EXPECT_EXIT(run_from_here(body), ::testing::ExitedWithCode(1),
                "ended the process, as by exit.., in one of its schedules; replay it with "
                "WEIR_REPLAY=[a-z0-9]+:[0-9]");
  }
}

task<> aborts() {
  co_await yield();
  std::abort();
}

TEST(DeathTest, a_log_of_any_length_is_named_as_it_is) {
  std::string log = "log:t0=1";
  for (int i = 1; i < 200; ++i) log += ",t" + std::to_string(i) + "=1";
  const with_environment replay("WEIR_REPLAY", log);
  EXPECT_EXIT(run_from_here(&aborts), ::testing::KilledBySignal(SIGABRT), log + " ");
}

}  // namespace
}  // namespace weir::run_schedules_test
