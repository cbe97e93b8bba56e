#include <weir/drill/mutant_trials.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <string_view>

namespace weir::drill::mutant_trials_test {
namespace {

struct silent final : mutant_listener {
  void controlled(std::uint64_t /*seeds*/) override {}
  void tried(const tried_mutant& /*one*/) override {}
  void looked(std::size_t /*done*/, std::size_t /*all*/, std::string_view /*now*/) override {}
};

class MutantTrials : public ::testing::Test {
 protected:
  void SetUp() override { log::set_level(log::level::off); }
  void TearDown() override { log::set_level(log::level::info); }

  static mutant_settings short_settings() {
    return {.drill = {.time = duration::seconds(60)},
            .budget = {.tries_max = 3},
            .control_seeds = 1,
            .workers = 1};
  }
};

TEST_F(MutantTrials, knows_each_mutant_by_a_name_of_its_own) {
  std::set<std::string_view> names;
  for (const mutant& one : all_mutants()) {
    EXPECT_TRUE(names.insert(one.name).second) << one.name;
    EXPECT_NE(std::string_view(one.name).find(": "), std::string_view::npos) << one.name;
    EXPECT_FALSE(std::string_view(one.what).empty()) << one.name;
  }
  EXPECT_EQ(names.size(), 113u) << "the table of docs/design/simulation.md has as many";
}

TEST_F(MutantTrials, finds_mutants_by_their_names_or_the_beginning_of_them) {
  const std::vector<mutant> all = {{"a: one", ""}, {"a: two", ""}, {"b: one", ""}};
  EXPECT_EQ(mutants_named(all, {})->size(), 3u);
  EXPECT_EQ(mutants_named(all, {"a:"})->size(), 2u);
  const auto two = mutants_named(all, {"b: one", "a: two"});
  ASSERT_TRUE(two);
  ASSERT_EQ(two->size(), 2u);
  EXPECT_EQ((*two)[0].name, std::string_view("a: two")) << "in the order of the list";
}

TEST_F(MutantTrials, tells_of_a_name_that_means_none_and_of_those_that_are_like_it) {
  const std::vector<mutant> all = {{"a: loses a message", ""}, {"b: keeps the key", ""}};
  const auto none = mutants_named(all, {"loses the message"});
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().message(),
            "no mutant is called 'loses the message'; near are 'a: loses a message'; --list names "
            "all");
}

TEST_F(MutantTrials, kills_what_breaks_a_promise_and_lets_live_what_does_nothing) {
  if (!defects_can_be_planted) GTEST_SKIP() << "this build can't plant defects";
  silent nobody;
  const std::vector<mutant> both = {{"broker: does not count attempts", ""},
                                    {"nothing: at all", ""}};
  const mutant_report report = try_mutants(both, short_settings(), nobody);
  EXPECT_EQ(report.broken_control, "");
  EXPECT_GE(report.control_seeds, 1u);
  ASSERT_EQ(report.tried.size(), 2u);
  EXPECT_TRUE(report.tried[0].verdict.is_killed);
  EXPECT_NE(report.tried[0].verdict.by, "");
  EXPECT_GT(report.tried[0].verdict.cpu, duration());
  EXPECT_FALSE(report.tried[1].verdict.is_killed);
  EXPECT_EQ(report.tried[1].verdict.tries, 3u);
  EXPECT_EQ(report.killed(), 1u);
}

TEST_F(MutantTrials, tries_nothing_when_a_seed_fails_without_a_defect) {
  silent nobody;
  mutant_settings settings = short_settings();
  settings.drill.patience = {};  // a promise that nobody keeps
  settings.control_seeds = 5;
  const mutant_report report = try_mutants({{"nothing: at all", ""}}, settings, nobody);
  EXPECT_TRUE(report.broken_control.find("fails without a defect") != std::string::npos);
  EXPECT_TRUE(report.tried.empty());
}

}  // namespace
}  // namespace weir::drill::mutant_trials_test
