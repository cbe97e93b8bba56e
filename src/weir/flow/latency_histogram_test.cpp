#include <weir/flow/latency_histogram.hpp>

#include <weir/base/error.hpp>

#include <gtest/gtest.h>

#include <cstdint>

namespace weir::latency_histogram_test {
namespace {

using namespace weir::literals;

TEST(LatencyHistogram, a_percentile_is_at_most_an_eighth_too_high_and_never_too_low) {
  const time_point now(1'000'000'000);
  for (std::uint64_t ns = 1; ns < std::uint64_t{1} << 62; ns = ns * 5 / 3 + 1) {
    latency_histogram one;
    const duration took(static_cast<std::int64_t>(ns));
    one.add(took, now);
    const duration found = one.percentile(50, now);
    EXPECT_GE(found, took);
    EXPECT_LE(found.ns - took.ns, took.ns / 8) << ns;
  }
}

TEST(LatencyHistogram, percentiles_of_many) {
  latency_histogram all;
  const time_point now(1'000'000'000);
  EXPECT_EQ(all.percentile(99, now), duration());
  for (int ms = 1; ms <= 1000; ++ms) all.add(duration::milliseconds(ms), now);
  EXPECT_EQ(all.count(now), 1000u);
  EXPECT_NEAR(static_cast<double>(all.percentile(50, now).ns), 500e6, 63e6);
  EXPECT_NEAR(static_cast<double>(all.percentile(99, now).ns), 990e6, 124e6);
  EXPECT_GE(all.percentile(100, now), 1000_ms);
  EXPECT_LE(all.percentile(0, now), 2_ms) << "the least one";
  all.add(-5_s, now);
  EXPECT_EQ(all.percentile(0, now), 0_s) << "a clock that went back counts as no time";
}

TEST(LatencyHistogram, forgets_after_one_to_two_windows) {
  latency_histogram all(10_s);
  const time_point now(100'000'000'000);
  all.add(1_ms, now);
  EXPECT_EQ(all.count(now + 10_s), 1u);
  all.add(1_ms, now + 10_s);
  EXPECT_EQ(all.count(now + 19_s), 2u);
  EXPECT_EQ(all.count(now + 20_s), 1u);
  EXPECT_EQ(all.count(now + 40_s), 0u);
  all.add(1_ms, now + 40_s);
  EXPECT_EQ(all.count(now + 40_s), 1u);
  EXPECT_THROW(latency_histogram(0_s), exception);
}

}  // namespace
}  // namespace weir::latency_histogram_test
