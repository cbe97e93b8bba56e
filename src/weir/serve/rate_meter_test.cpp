#include <weir/serve/rate_meter.hpp>

#include <gtest/gtest.h>

namespace weir::rate_meter_test {
namespace {

using namespace literals;

/// Samples every 5 s while the counter grows by `per_sample`; gives the moment reached.
time_point grow(rate_meter& meter, std::uint64_t& total, std::uint64_t per_sample, time_point from,
                int samples) {
  for (int i = 0; i < samples; ++i) {
    from = from + 5_s;
    meter.sample(total += per_sample, from);
  }
  return from;
}

TEST(rate_meter, what_was_there_before_the_first_sample_is_no_rate) {
  rate_meter meter;
  meter.sample(1'000'000, time_point(5));
  EXPECT_EQ(meter.per_second(), 0);
}

TEST(rate_meter, a_young_meter_gives_the_plain_mean) {
  rate_meter meter;
  meter.sample(0, time_point(0));
  meter.sample(100, time_point(0) + 10_s);
  EXPECT_DOUBLE_EQ(meter.per_second(), 10);
  meter.sample(100, time_point(0) + 20_s);
  EXPECT_DOUBLE_EQ(meter.per_second(), 5);
}

TEST(rate_meter, a_steady_counter_gives_its_rate_and_an_idle_one_fades) {
  rate_meter meter;
  std::uint64_t total = 0;
  meter.sample(0, time_point(0));
  time_point now = grow(meter, total, 50, time_point(0), 100);
  EXPECT_NEAR(meter.per_second(), 10, 1e-6);
  now = grow(meter, total, 0, now, 12);  // one window later
  EXPECT_NEAR(meter.per_second(), 10 / 2.718281828, 1e-6);
  grow(meter, total, 0, now, 200);
  EXPECT_LT(meter.per_second(), 1e-6);
}

TEST(rate_meter, a_counter_that_went_back_starts_over) {
  rate_meter meter;
  std::uint64_t total = 0;
  meter.sample(0, time_point(0));
  const time_point now = grow(meter, total, 50, time_point(0), 3);
  meter.sample(3, now + 5_s);
  EXPECT_EQ(meter.per_second(), 0);
  meter.sample(13, now + 10_s);
  EXPECT_DOUBLE_EQ(meter.per_second(), 2);
}

TEST(rate_meter, two_samples_of_one_moment_are_no_division_by_zero) {
  rate_meter meter;
  meter.sample(0, time_point(0));
  meter.sample(10, time_point(0));
  meter.sample(10, time_point(0) + 1_s);
  EXPECT_DOUBLE_EQ(meter.per_second(), 10);
}

}  // namespace
}  // namespace weir::rate_meter_test
