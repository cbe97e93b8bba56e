#include <weir/drill/drill_story.hpp>

#include <weir/base/log.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace weir::drill::drill_story_test {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(DrillStory, tells_decisions_by_their_kinds_and_machines) {
  std::vector<told_decision> all;
  for (const choice& one : choice_log::parse("k1=2,f3=1,t9@1=2,p0@3=17")->exceptions)
    all.push_back({.what = one, .when = "00:00:01.000000"});
  ASSERT_EQ(all.size(), 4u);
  all[0].when.clear();
  all[1].then = "server killed";
  all[3].who = "task 7 (work_always)";
  EXPECT_EQ(
      words_of(all),
      "  at first knob 2 is 2 instead of 0\n"
      "  00:00:01.000000 fault 4 is 1 instead of 0: server killed\n"
      "  00:00:01.000000 next task 10 of server is 2 instead of 0\n"
      "  00:00:01.000000 random number 1 of client2, for task 7 (work_always), is another one\n");
  EXPECT_EQ(words_of({}), "  none: the plain run does it\n");
}

TEST(DrillStory, shows_both_runs_by_their_times_from_where_they_part) {
  const std::string text = timeline_of({"00:00:01.000000 a", "00:00:03.000000 b",
                                        "00:00:04.000000 both", "00:00:09.000000 after the end"},
                                       {"00:00:01.000000 a", "00:00:02.000000 server killed",
                                        "00:00:04.000000 both", "00:00:05.000000 drill (2)"});
  const std::string room(46, ' ');
  const auto at = [&](const std::string& line) { return text.find("  " + line + "\n"); };
  EXPECT_NE(at("1 events are the same in both"), text.npos) << text;
  EXPECT_NE(at("00:00:02.000000 " + room + " | server killed"), text.npos) << text;
  EXPECT_LT(at("00:00:02.000000 " + room + " | server killed"), text.find("  00:00:03.000000 b"));
  EXPECT_NE(text.find("  00:00:04.000000 both"), text.npos);
  EXPECT_NE(text.find("| both\n"), text.npos);
  EXPECT_TRUE(text.ends_with("| drill (2)\n")) << text;
  EXPECT_EQ(text.find("after the end"), text.npos);
}

TEST(DrillStory, is_short_and_ends_with_the_violation_however_long_the_run_was) {
  std::vector<std::string> failing;
  for (int i = 100; i < 600; ++i) failing.push_back("00:00:00.000" + std::to_string(i) + " x");
  failing.emplace_back("00:00:01.000000 drill (2)");
  const std::string text = timeline_of({}, failing);
  EXPECT_LE(std::ranges::count(text, '\n'), 42);
  EXPECT_NE(text.find("  ... 461 lines\n"), text.npos) << text;
  EXPECT_TRUE(text.ends_with("| drill (2)\n"));
}

/// A run of 20 s in which only `faults` may strike (by this seed one does), as a log.
drill_case logged(const char* faults, std::uint64_t seed) {
  drill_case what{.settings = {.time = duration::seconds(20), .tls = tls_use::never}};
  what.settings.faults = *chaos_set::parse(faults);
  choices decisions(0);
  decisions.record_next();
  decisions.restart(seed);
  run_drill(what.settings, decisions);
  what.log = decisions.take_record();
  return what;
}

TEST(DrillStory, says_what_came_of_a_fault_and_who_drew_a_number) {
  log::set_level(log::level::off);
  drill_case what = logged("kill", 6);
  std::erase_if(what.log->exceptions, [](const choice& one) {
    return one.kind != choice_kind::fault && one.kind != choice_kind::knob &&
           (one.kind != choice_kind::program || one.machine != 2 || one.index > 9);
  });
  const std::string text = story_of(what, "");
  log::set_level(log::level::info);
  EXPECT_THAT(text,
              ContainsRegex("00:00:[0-9.]+ fault [0-9]+ is [0-9]+ instead of 0: [a-z0-9]+ killed"));
  EXPECT_THAT(text, ContainsRegex("random number [0-9]+ of client1, for task [0-9]+ \\([a-z_]+\\), "
                                  "is another one"));
}

TEST(DrillStory, shows_what_clients_hear_of_the_messages_that_are_named_or_the_last_of_it) {
  log::set_level(log::level::off);
  drill_case what{.settings = {.time = duration::seconds(20), .faults = {}}, .log = choice_log()};
  std::string id;
  struct first_message final : drill_listener {
    explicit first_message(std::string& to) : into(to) {}
    void event(const std::string& /*line*/) override {}
    void heard(const std::string& /*line*/, std::string_view message) override {
      if (into.empty()) into = message;
    }
    std::string& into;
  } first(id);
  run_case(what, &first);
  const std::string named = story_of(what, "(1) message " + id + " is missing");
  const std::string last = story_of(what, "the server ended");
  log::set_level(log::level::info);
  EXPECT_THAT(named, HasSubstr("of the message " + id + "\n"));
  EXPECT_THAT(named, HasSubstr(" submits body 1 to "));
  EXPECT_THAT(named, HasSubstr(" acknowledges attempt 1: 204\n"));
  EXPECT_THAT(named, Not(HasSubstr(" exam-")));
  EXPECT_THAT(last, HasSubstr("decisions that it takes:\n  none: the plain run does it\n"));
  EXPECT_THAT(last, Not(HasSubstr(" submits body 1 to ")));
  EXPECT_THAT(last, HasSubstr(" client1 "));
}

TEST(DrillStory, runs_a_case_and_the_plain_one_beside_it) {
  log::set_level(log::level::off);
  drill_case what{.settings = {.time = duration::seconds(1), .faults = {}, .patience = {}}};
  what.log = choice_log::parse("k0=1");
  const std::string text = story_of(what, "");
  log::set_level(log::level::info);
  EXPECT_NE(text.find("  at first knob 1 is 1 instead of 0\n"), text.npos) << text;
  EXPECT_NE(text.find("the plain run and this one, from where they part:\n"), text.npos) << text;
}

}  // namespace
}  // namespace weir::drill::drill_story_test
