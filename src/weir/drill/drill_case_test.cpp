#include <weir/drill/drill_case.hpp>

#include <weir/base/log.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::drill::drill_case_test {
namespace {

class DrillCase : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::level::off); }
  void TearDown() override { log::set_level(log::level::info); }
};

drill_case short_case(std::uint64_t seed) {
  return {.settings = {.time = duration::seconds(120)}, .seed = seed};
}

TEST_F(DrillCase, does_the_same_twice_and_another_seed_something_else) {
  const drill_report first = run_case(short_case(3));
  EXPECT_EQ(first.violation, "");
  EXPECT_EQ(first.fingerprint, run_case(short_case(3)).fingerprint);
  EXPECT_NE(first.fingerprint, run_case(short_case(4)).fingerprint);
}

TEST_F(DrillCase, keeps_its_promises_without_faults_and_under_all_of_them) {
  drill_case calm = short_case(5);
  calm.settings.faults = {};
  const drill_report easy = run_case(calm);
  EXPECT_EQ(easy.violation, "");
  EXPECT_GT(easy.counts.done, 0u);
  EXPECT_GE(easy.server_starts, 3u) << "the one at the end, and the one for its examiner";
  std::uint64_t strikes = 0;
  for (std::uint64_t seed = 6; seed < 9; ++seed) {
    const drill_report hard = run_case(short_case(seed));
    EXPECT_EQ(hard.violation, "") << seed;
    for (const std::uint64_t count : hard.strikes) strikes += count;
  }
  EXPECT_GT(strikes, 0u);
}

// A seed draws which of those that may strike exist, and whom: one that is alone may strike nobody.
TEST_F(DrillCase, lets_each_kind_of_fault_strike_by_itself) {
  for (std::size_t i = 0; i < chaos_kinds; ++i) {
    const auto kind = static_cast<chaos_kind>(i);
    drill_case what = short_case(1);
    what.settings.time = duration::seconds(30);
    what.settings.patience = {};  // what comes of them is asked by the tests around
    what.settings.faults = {};
    what.settings.faults.set(kind, true);
    what.settings.tls = tls_use::never;
    std::uint64_t strikes = 0;
    for (; strikes == 0 && what.seed <= 50; ++what.seed) {
      const drill_report made = run_case(what);
      for (std::size_t other = 0; other < chaos_kinds; ++other) {
        EXPECT_TRUE(other == i || made.strikes[other] == 0) << name(kind);
      }
      strikes = made.strikes[i];
    }
    EXPECT_GT(strikes, 0u) << name(kind);
  }
}

// Found by a campaign (seed 1475690551 of ten minutes): what a message waits for comes later by
// what the clock was set back. Of 40 seeds this one was too late without that.
TEST_F(DrillCase, is_patient_with_a_server_whose_clock_was_set_back) {
  drill_case what = short_case(16);
  what.settings = {.time = duration::seconds(60), .faults = {}, .patience = duration::seconds(200)};
  what.settings.faults.set(chaos_kind::clock, true);
  const drill_report made = run_case(what);
  EXPECT_EQ(made.violation, "");
  EXPECT_GT(made.simulated, what.settings.time + what.settings.patience);
}

TEST_F(DrillCase, keeps_its_promises_over_tls_and_does_the_same_twice) {
  drill_case what = short_case(3);
  what.settings.tls = tls_use::always;
  for (; what.seed < 5; ++what.seed) {
    const drill_report first = run_case(what);
    EXPECT_EQ(first.violation, "") << what.seed;
    EXPECT_TRUE(first.swarm.ends_with("; over TLS"));
    if (what.seed == 3) EXPECT_EQ(run_case(what).fingerprint, first.fingerprint);
  }
}

TEST_F(DrillCase, speaks_tls_by_some_seeds_and_not_by_others) {
  std::size_t secure = 0;
  drill_case what{.settings = {.time = duration::seconds(1), .faults = {}, .patience = {}}};
  for (what.seed = 1; what.seed <= 16; ++what.seed) {
    if (run_case(what).swarm.ends_with("; over TLS")) ++secure;
  }
  EXPECT_GT(secure, 0u);
  EXPECT_LT(secure, 12u);
}

TEST_F(DrillCase, is_a_text_that_can_be_read_again) {
  drill_case what = short_case(17);
  what.settings.faults = *chaos_set::parse("kill,power");
  what.settings.nodes = 5;
  const auto read = drill_case::parse(what.text());
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(read->text(), what.text());
  EXPECT_EQ(read->command(""), "weir sim serve --seed 17 --nodes 5 --time 2m --faults kill,power");
  what.settings.tls = tls_use::always;
  EXPECT_EQ(drill_case::parse(what.text())->settings.tls, tls_use::always);
  EXPECT_TRUE(what.command("").ends_with(" --faults kill,power --tls always"));
  what.log = *choice_log::parse("f3=1,f9=2");
  const auto again = drill_case::parse(what.text());
  ASSERT_TRUE(again) << again.error().message();
  EXPECT_EQ(again->log->text(), "f3=1,f9=2");
}

TEST_F(DrillCase, says_which_line_is_wrong) {
  const auto message = [](std::string_view text) {
    const auto read = drill_case::parse(text);
    return read ? std::string() : std::string(read.error().message());
  };
  EXPECT_EQ(message(""), "it is empty: no case of weir sim");
  EXPECT_EQ(message("what"), "line 1 is not 'weir sim serve, version 2': no case of weir sim");
  EXPECT_EQ(message("weir sim serve, version 1\nseed 1\n"),
            "line 1: it is a case of version 1, and this weir replays those of version 2");
  EXPECT_EQ(message("weir sim serve, version 2\nnodes 1\n"),
            "line 2: 'nodes 1' is not a number of machines, 2 to 100");
  EXPECT_EQ(message("weir sim serve, version 2\n\nfaults rain\n"),
            "line 3: 'faults rain' is not a list of faults such as all or kill,power");
  EXPECT_EQ(message("weir sim serve, version 2\nwind 3\n"),
            "line 2: 'wind' is no setting: nodes, time, faults, tls, seed and log are");
}

TEST_F(DrillCase, that_was_cut_off_is_refused) {
  drill_case what = short_case(17);
  for (const bool has_log : {false, true}) {
    if (has_log) what.log = *choice_log::parse("f3=1,f19=2");
    const std::string whole = what.text();
    for (std::size_t size = 0; size < whole.size(); ++size)
      EXPECT_FALSE(drill_case::parse(whole.substr(0, size))) << whole.substr(0, size);
  }
}

TEST_F(DrillCase, is_decided_by_one_thing_alone) {
  const std::string seed = short_case(17).text();
  for (const char* more : {"seed 18\n", "log f3=1\n", "nodes 4\n"})
    EXPECT_FALSE(drill_case::parse(seed + more)) << more;
  EXPECT_TRUE(drill_case::parse(seed + "# found on Friday\n"));
}

TEST_F(DrillCase, says_which_decisions_of_its_log_its_run_does_not_come_to) {
  drill_case what = short_case(1);
  what.settings = {.time = duration::seconds(1), .faults = {}, .patience = {}};
  what.log = *choice_log::parse("f99999=1");
  EXPECT_EQ(run_case(what).not_reached.text(), "f99999=1");
  what.log = choice_log{};
  EXPECT_EQ(run_case(what).not_reached.text(), "");
}

TEST_F(DrillCase, replays_the_plain_decisions_of_a_log) {
  drill_case plain = short_case(1);
  plain.log = choice_log{};
  const drill_report report = run_case(plain);
  EXPECT_EQ(report.violation, "");
  EXPECT_EQ(report.swarm, "no faults") << "plain is: nothing happens";
}

TEST_F(DrillCase, is_shrunk_to_one_that_breaks_the_same_promise) {
  drill_case what = short_case(12);
  what.settings.time = duration::seconds(20);
  what.settings.patience = {};  // a promise that nobody keeps: all has ended at once
  drill_report before = run_case(what);
  // Of some seeds all has ended in time, by chance.
  while (kind_of_violation(before.violation) != "not everything has come" && what.seed < 40) {
    ++what.seed;
    before = run_case(what);
  }
  ASSERT_EQ(kind_of_violation(before.violation), "not everything has come") << before.violation;
  const shrunk_case made = shrink_case(what, 40);
  EXPECT_EQ(kind_of_violation(made.report.violation), "not everything has come");
  EXPECT_LE(made.runs, 40u);
  EXPECT_EQ(made.made.settings.faults.text(), "none");
  ASSERT_TRUE(made.made.log);
  EXPECT_EQ(run_case(made.made).fingerprint, made.report.fingerprint) << "it is replayed";
}

// As a static variable or the real clock would do it.
class outside_of_the_seed final : public drill_listener {
 public:
  void event(const std::string& /*line*/) override {}
  void begins(const drill_stage& stage) override {
    if (runs_++ % 2 == 1) stage.machines.at(0).world().set_latency(latency, latency);
  }

 private:
  static constexpr duration latency = duration::microseconds(1);
  int runs_ = 0;
};

TEST_F(DrillCase, is_the_same_step_by_step_when_it_is_run_twice) {
  drill_case what = short_case(3);
  what.settings.time = duration::seconds(2);
  for (const tls_use use : {tls_use::never, tls_use::always}) {
    what.settings.tls = use;
    const doubled_case both = run_twice(what);
    EXPECT_EQ(both.parting.text, "");
    EXPECT_GT(both.parting.steps, 1'000u);
    EXPECT_EQ(both.parting.compared,
              use == tls_use::never ? packet_bytes::all : packet_bytes::size);
    EXPECT_EQ(both.report.fingerprint, run_case(what).fingerprint)
        << "to be observed moves nothing";
  }
}

TEST_F(DrillCase, shows_both_stacks_where_something_outside_of_the_seed_decides) {
  drill_case what = short_case(3);
  what.settings.time = duration::seconds(1);
  for (const tls_use use : {tls_use::never, tls_use::always}) {
    what.settings.tls = use;
    outside_of_the_seed decides;
    const doubled_case both = run_twice(what, &decides);
    EXPECT_TRUE(both.parting.text.starts_with("two runs part at step ")) << both.parting.text;
    const std::size_t one = both.parting.text.find("  one:   00:00:0");
    const std::size_t other = both.parting.text.find("  other: 00:00:0");
    ASSERT_NE(one, std::string::npos) << both.parting.text;
    ASSERT_NE(other, std::string::npos) << both.parting.text;
    EXPECT_NE(both.parting.text.find(" server: task "), std::string::npos) << both.parting.text;
    EXPECT_NE(both.parting.text.find("\n    in "), std::string::npos) << both.parting.text;
  }
}

TEST_F(DrillCase, tells_kinds_of_violations_by_their_promise) {
  EXPECT_EQ(kind_of_violation("(2) attempt 3 of message x"), "(2)");
  EXPECT_EQ(kind_of_violation("the server ended by itself: x 17"), "the server ended by");
}

TEST(ChaosSet, is_read_and_written_by_names) {
  EXPECT_EQ(chaos_set::parse("all"), chaos_set::all());
  EXPECT_EQ(chaos_set::parse("none")->text(), "none");
  EXPECT_EQ(chaos_set::parse("kill,power")->text(), "kill,power");
  EXPECT_FALSE(chaos_set::parse("all,-disk_error")->has(chaos_kind::disk_error));
  EXPECT_EQ(chaos_set::parse("-kill,-power"), chaos_set::parse("all,-kill,-power"));
  EXPECT_TRUE(chaos_set::parse("-kill")->has(chaos_kind::power)) << "left out of all";
  for (const char* wrong : {"killl", "", "kill,", ",kill", "kill,,power"})
    EXPECT_FALSE(chaos_set::parse(wrong)) << wrong;
}

}  // namespace
}  // namespace weir::drill::drill_case_test
