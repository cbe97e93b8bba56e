#include <weir/drill/drill_story.hpp>

#include <weir/base/log.hpp>

#include <gtest/gtest.h>

#include <algorithm>

namespace weir::drill {
namespace {

TEST(DrillStory, tells_decisions_by_their_kinds_and_machines) {
  EXPECT_EQ(words_of(*choice_log::parse("f3=1,t9@1=2,p0@3=17")),
            "  fault 4 is 1 instead of 0\n"
            "  next task 10 of server is 2 instead of 0\n"
            "  random number 1 of client2 is another one\n");
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

TEST(DrillStory, runs_a_case_and_the_plain_one_beside_it) {
  log::set_level(log::level::off);
  drill_case what{.settings = {.time = duration::seconds(1), .faults = {}, .patience = {}}};
  what.log = choice_log::parse("k0=1");
  const std::string text = story_of(what);
  log::set_level(log::level::info);
  EXPECT_NE(text.find("  knob 1 is 1 instead of 0\n"), text.npos) << text;
  EXPECT_NE(text.find("the plain run and this one, from where they part:\n"), text.npos) << text;
}

}  // namespace
}  // namespace weir::drill
