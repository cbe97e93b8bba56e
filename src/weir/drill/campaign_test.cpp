#include <weir/drill/campaign.hpp>

#include <weir/base/log.hpp>
#include <weir/sim/virtual_nodes.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <string>

namespace weir::drill::campaign_test {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Campaign, tells_of_places_that_no_drill_came_to) {
  campaign_totals totals;
  totals.probes["a queue is full"] = {.reached = 5, .met = 1};
  totals.probes["a key is known"] = {.reached = 5, .met = 0};
  EXPECT_THAT(never_met(totals), ::testing::ElementsAre("a key is known"));
  totals.seeds = 99;
  expect_probes(totals, {});
  EXPECT_THAT(never_met(totals), ::testing::ElementsAre("a key is known")) << "they were few";
  totals.seeds = 100;
  expect_probes(totals, {});
  EXPECT_THAT(never_met(totals), Contains("a segment is compacted"));
  EXPECT_THAT(never_met(totals), Not(Contains("a crash has torn the last group")));
  EXPECT_THAT(never_met(totals), Contains("a key is known"));
  EXPECT_THAT(never_met(totals), Not(Contains("a queue is full")));
  EXPECT_THAT(summary_of(totals), HasSubstr("0 of        0 a segment is compacted  <- NEVER"));
}

TEST(Campaign, tells_how_often_each_maybe_was_taken) {
  campaign_totals totals;
  totals.maybes["weir: the journal has no room"] = {.reached = 500, .met = 31};
  totals.maybes["weir: never"] = {.reached = 4, .met = 0};
  EXPECT_THAT(summary_of(totals),
              HasSubstr("maybe:            0 of        4 weir: never\n"
                        "maybe:           31 of      500 weir: the journal has no room\n"));
  EXPECT_THAT(never_met(totals), ::testing::IsEmpty()) << "it is by lot";
}

TEST(Campaign, expects_less_of_short_drills_and_of_those_that_are_spared_faults) {
  for (const drill_settings& spared :
       {drill_settings{.time = duration::seconds(60)}, drill_settings{.faults = {}},
        drill_settings{.tls = tls_use::never}}) {
    campaign_totals totals;
    totals.seeds = 1'000;
    expect_probes(totals, spared);
    EXPECT_THAT(never_met(totals), ::testing::IsEmpty());
  }
}

// As a static variable or the real clock would do it.
class outside_of_the_seed final : public drill_listener {
 public:
  void event(const std::string& /*line*/) override {}
  void begins(const drill_stage& stage) override {
    constexpr duration latency = duration::microseconds(1);
    if (runs_++ % 2 == 1) stage.machines.at(0).world().set_latency(latency, latency);
  }

 private:
  int runs_ = 0;
};

TEST(Campaign, runs_some_seeds_twice_and_says_where_the_runs_part) {
  struct silent final : campaign_listener {
    void progress(const campaign_totals& /*so_far*/) override {}
  } nobody;
  log::set_level(log::level::off);
  campaign_settings plan{.drill = {.time = duration::seconds(1), .faults = {}, .patience = {}},
                         .first_seed = 1,
                         .seeds_max = 3,
                         .length = duration::seconds(3'600),
                         .twice_every = 2};
  const campaign_totals equal = run_campaign(plan, nobody);
  outside_of_the_seed decides;
  plan.listener = &decides;
  const campaign_totals parted = run_campaign(plan, nobody);
  plan.twice_every = 0;
  const campaign_totals never = run_campaign(plan, nobody);
  log::set_level(log::level::info);
  const auto is_parted = [](const finding& one) { return one.kind == finding_kind::parted; };
  EXPECT_EQ(equal.seeds, 3u);
  EXPECT_EQ(equal.doubled, 1u);
  const auto asked = equal.maybes.find("weir: the journal has no room");
  ASSERT_NE(asked, equal.maybes.end());
  EXPECT_GT(asked->second.reached, 0u);
  EXPECT_LE(asked->second.met, asked->second.reached);
  EXPECT_EQ(std::ranges::count_if(equal.findings, is_parted), 0);
  EXPECT_EQ(parted.doubled, 1u);
  const auto found = std::ranges::find_if(parted.findings, is_parted);
  ASSERT_NE(found, parted.findings.end());
  EXPECT_EQ(found->seed, 3u);
  EXPECT_THAT(found->violation, HasSubstr("two runs part at step "));
  EXPECT_THAT(found->violation, HasSubstr("\n  other: 00:00:0"));
  EXPECT_TRUE(found->violation.ends_with('\n')) << "whoever prints it goes on in a new line";
  EXPECT_EQ(never.doubled, 0u);
  EXPECT_THAT(summary_of(parted), HasSubstr("1 of them were run twice\n"));
}

}  // namespace
}  // namespace weir::drill::campaign_test
