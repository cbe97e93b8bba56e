// `weir sim serve` when a promise is broken: whatever it prints has to lead back to the failure.
// Where defects can't be planted there is nothing to find.
#include <weir/apps/command.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

namespace weir::sim_command_test {
namespace {

using ::testing::HasSubstr;

struct outcome {
  int code = -1;
  std::string text;

  // From the words about the decisions to the command that replays it.
  std::string story() const {
    const std::size_t begin = text.find("decisions that it takes:\n");
    return begin == text.npos ? "no story in " + text : text.substr(begin);
  }
  // What follows `label` in its line.
  std::string after(const std::string& label) const {
    const std::size_t at = text.find(label);
    if (at == text.npos) return "nothing after " + label;
    const std::size_t begin = at + label.size();
    return text.substr(begin, text.find('\n', begin) - begin);
  }
};

class SimCommand : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!defects_can_be_planted) GTEST_SKIP() << "this build plants no defects";
  }
  void TearDown() override {
    log::set_level(log::level::info);
    std::remove(saved_.c_str());
  }

  // As a shell would split it.
  static outcome run(const std::string& words) {
    std::istringstream from(words);
    std::vector<std::string> all;
    for (std::string one; from >> one;) all.push_back(one);
    std::vector<char*> arguments;
    for (std::string& one : all) arguments.push_back(one.data());
    command_line line("", "weir");
    command_choice choice;
    add_sim_command(line.top(), choice);
    ::testing::internal::CaptureStdout();
    const auto ended = line.parse(static_cast<int>(arguments.size()), arguments.data());
    const exit_code code = ended ? *ended : run_command(choice);
    return {static_cast<int>(code), ::testing::internal::GetCapturedStdout()};
  }

  const std::string saved_ =
      ::testing::TempDir() + "weir-sim-" + std::to_string(::getpid()) + ".case";
};

TEST_F(SimCommand, a_campaign_that_finds_something_fails_and_prints_a_command_that_shows_it) {
  std::string replay;
  std::string violation;
  {
    const planted_defect forgotten("broker: forgets an extension");
    const outcome campaign =
        run("weir sim serve --seed 1 --campaign 1m --seeds 2 --jobs 1 --time 5s");
    EXPECT_EQ(campaign.code, 1);
    EXPECT_THAT(campaign.text, HasSubstr("BROKEN: seed 2: "));
    violation = campaign.after("BROKEN: seed 1: ");
    EXPECT_THAT(violation, HasSubstr("too early"));
    replay = campaign.after("replay it:  ");
    const outcome again = run(replay);
    EXPECT_EQ(again.code, 1) << replay;
    EXPECT_EQ(again.after("BROKEN: "), violation);
    EXPECT_THAT(again.text, HasSubstr("the last events:\n  "));
    EXPECT_EQ(again.after("replay it:  "), replay);
    EXPECT_EQ(again.after("see why:    "), replay + " --shrink");
    EXPECT_EQ(campaign.after("see why:    "), replay + " --shrink");
  }
  const outcome mended = run(replay);
  EXPECT_EQ(mended.code, 0) << mended.text;
  EXPECT_THAT(mended.text, HasSubstr("all promises were kept"));
}

TEST_F(SimCommand, a_campaign_shrinks_and_tells_its_first_finding_as_its_replay_does) {
  const planted_defect forgotten("broker: forgets an extension");
  const outcome campaign =
      run("weir sim serve --seed 1 --campaign 1m --seeds 2 --jobs 1 --time 2s --faults none "
          "--shrink --shrink-runs 4 --save " +
          saved_);
  EXPECT_EQ(campaign.code, 1);
  EXPECT_THAT(campaign.text, HasSubstr("BROKEN: seed 1: "));
  EXPECT_THAT(campaign.text, HasSubstr("shrunk in "));
  EXPECT_THAT(campaign.story(), HasSubstr("too early\nreplay it:  weir sim serve --replay "));
  EXPECT_EQ(run("weir sim serve --replay " + saved_).story(), campaign.story());
}

TEST_F(SimCommand, a_run_that_is_made_twice_says_so_and_what_it_came_to) {
  const outcome calm = run("weir sim serve --seed 2 --time 1s --faults none --tls never --twice");
  EXPECT_EQ(calm.code, 0);
  EXPECT_THAT(calm.text, HasSubstr("two runs are the same: "));
  EXPECT_THAT(calm.text, HasSubstr("all promises were kept"));
  const planted_defect forgotten("broker: forgets an extension");
  const outcome broken = run("weir sim serve --seed 2 --time 1s --faults none --tls never --twice");
  EXPECT_EQ(broken.code, 1);
  EXPECT_THAT(broken.text, HasSubstr("two runs are the same: "));
  EXPECT_THAT(broken.after("BROKEN: "), HasSubstr("too early"));
}

TEST_F(SimCommand, a_run_that_fails_is_shrunk_to_a_file_that_replays_it) {
  std::string replay;
  {
    const planted_defect forgotten("broker: forgets an extension");
    const outcome made =
        run("weir sim serve --seed 1 --time 5s --shrink --shrink-runs 5 --save " + saved_);
    EXPECT_EQ(made.code, 1);
    EXPECT_THAT(made.text, HasSubstr("shrunk in "));
    const std::string violation = made.after("BROKEN: ");
    EXPECT_THAT(violation, HasSubstr("too early"));
    const outcome saved = run("weir sim serve --replay " + saved_);
    EXPECT_EQ(saved.code, 1) << saved.text;
    EXPECT_EQ(saved.after("BROKEN: "), violation);
    replay = made.after("replay it:  ");
    const outcome again = run(replay);
    EXPECT_EQ(again.code, 1) << replay;
    EXPECT_EQ(again.after("BROKEN: "), violation);
  }
  EXPECT_THAT(run(replay + " --shrink").text, HasSubstr("nothing to shrink"));
}

TEST_F(SimCommand, a_shrunk_run_is_told_as_its_replay_is) {
  const planted_defect forgotten("broker: forgets an extension");
  const outcome made = run(
      "weir sim serve --seed 1 --time 5s --faults none --shrink --shrink-runs 8 --save " + saved_);
  EXPECT_THAT(made.story(), HasSubstr("decisions that it takes:\n  none: the plain run does it\n"));
  EXPECT_THAT(made.story(), HasSubstr(" client1 POST /v1/queues/exam-leases/leases?max=1"));
  const outcome again = run(made.after("replay it:  "));
  EXPECT_EQ(again.story(), made.story());
}

TEST_F(SimCommand, a_case_is_told_in_words_and_beside_the_plain_run_by_each_that_runs_it) {
  std::ofstream(saved_) << "weir sim serve, version 2\nnodes 3\ntime 1s\nfaults none\nlog k5=2\n";
  const planted_defect forgotten("broker: forgets an extension");
  const outcome made = run("weir sim serve --replay " + saved_);
  EXPECT_EQ(made.code, 1);
  EXPECT_THAT(made.story(),
              HasSubstr("decisions that it takes:\n  at first knob 6 is 2 instead of 0"));
  EXPECT_THAT(made.story(), HasSubstr("from where they part:\n  time"));
  EXPECT_THAT(made.story(), HasSubstr("| client1 POST /v1/queues/exam-"));
  EXPECT_THAT(made.story(), HasSubstr("too early\nreplay it:  weir sim serve --replay " + saved_));
  EXPECT_EQ(run(made.after("replay it:  ")).story(), made.story());
}

TEST_F(SimCommand, a_log_that_the_run_does_not_come_to_shows_nothing_and_fails) {
  std::ofstream(saved_) << "weir sim serve, version 2\nnodes 2\ntime 1s\nfaults none\ntls never\n"
                           "log f99999=1\n";
  for (const char* also : {"", " --shrink"}) {
    const outcome made = run("weir sim serve --replay " + saved_ + also);
    EXPECT_EQ(made.code, 1);
    EXPECT_THAT(made.text, HasSubstr("STALE: the run does not come to 1 of the decisions of its "
                                     "log, f99999=1 first"));
  }
}

}  // namespace
}  // namespace weir::sim_command_test
