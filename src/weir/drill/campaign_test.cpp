#include <weir/drill/campaign.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weir::drill {
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

}  // namespace
}  // namespace weir::drill
