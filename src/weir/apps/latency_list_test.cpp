#include <weir/apps/latency_list.hpp>

#include <gtest/gtest.h>

namespace weir::latency_list_test {
namespace {

TEST(latency_list, gives_percentiles_by_nearest_rank) {
  latency_list list;
  EXPECT_EQ(list.percentile(0.5), duration());
  for (int i = 100; i >= 1; --i) list.add(duration(i));
  EXPECT_EQ(list.percentile(0), duration(1));
  EXPECT_EQ(list.percentile(0.5), duration(50));
  EXPECT_EQ(list.percentile(0.99), duration(99));
  EXPECT_EQ(list.percentile(1), duration(100));
}

TEST(latency_list, thins_out_evenly_beyond_its_bound_and_counts_all) {
  latency_list list;
  constexpr std::int64_t count = 3 * static_cast<std::int64_t>(latency_list::kept_max);
  for (std::int64_t i = 0; i < count; ++i) list.add(duration(i));
  EXPECT_EQ(list.count(), static_cast<std::uint64_t>(count));
  const auto middle = static_cast<double>(list.percentile(0.5).ns);
  EXPECT_NEAR(middle / static_cast<double>(count), 0.5, 0.001);
}

TEST(latency_list, lists_of_several_are_one) {
  latency_list all;
  latency_list others;
  for (int i = 1; i <= 50; ++i) all.add(duration(i));
  for (int i = 51; i <= 100; ++i) others.add(duration(i));
  all.add(others);
  EXPECT_EQ(all.count(), 100u);
  EXPECT_EQ(all.percentile(0.5), duration(50));
  EXPECT_EQ(all.percentile(0.99), duration(99));
  EXPECT_EQ(others.count(), 50u);
}

TEST(latency_list, a_list_that_is_thinned_out_weighs_no_less_than_one_that_is_not) {
  constexpr auto many = static_cast<std::int64_t>(latency_list::kept_max);  // every second is kept
  const auto of = [](std::int64_t count, std::int64_t ns) {
    latency_list list;
    for (std::int64_t i = 0; i < count; ++i) list.add(duration(ns));
    return list;
  };
  for (const bool is_thinned_first : {true, false}) {
    latency_list all = is_thinned_first ? of(many, 1) : of(many / 4, 2);
    all.add(is_thinned_first ? of(many / 4, 2) : of(many, 1));
    EXPECT_EQ(all.count(), static_cast<std::uint64_t>(many + many / 4));
    EXPECT_EQ(all.percentile(0.79), duration(1));
    EXPECT_EQ(all.percentile(0.81), duration(2));
  }
}

TEST(latency_list, lengths_are_short_for_people) {
  EXPECT_EQ(format_latency(duration(850)), "0.8 us");
  EXPECT_EQ(format_latency(duration(230'400)), "230 us");
  EXPECT_EQ(format_latency(duration(1'240'000)), "1.2 ms");
  EXPECT_EQ(format_latency(duration(12'000'000'000)), "12 s");
}

}  // namespace
}  // namespace weir::latency_list_test
