#include <weir/base/time.hpp>

#include <gtest/gtest.h>

#include <chrono>

namespace weir::time_test {
namespace {

using namespace literals;

TEST(time, lengths_convert_from_and_to_chrono_exactly) {
  using namespace std::chrono_literals;
  duration d = 10ms;
  EXPECT_EQ(d, 10_ms);
  d = 2h;
  EXPECT_EQ(d, 2_h);
  d = 1.5s;
  EXPECT_EQ(d, 1500_ms);
  EXPECT_EQ(duration(24h * 365 * 200).ns, 6'307'200'000'000'000'000);
  EXPECT_EQ((1500_us).as<std::chrono::microseconds>(), 1500us);
  EXPECT_EQ((1999_us).as<std::chrono::milliseconds>(), 1ms);  // rounds towards zero
  EXPECT_EQ((90_min).as<std::chrono::hours>(), 1h);
}

TEST(time, literals_name_the_same_lengths_as_the_functions) {
  EXPECT_EQ(1_us, 1000_ns);
  EXPECT_EQ(1_ms, duration::microseconds(1000));
  EXPECT_EQ(1_s, duration::milliseconds(1000));
  EXPECT_EQ(1_min, 60_s);
  EXPECT_EQ(1_h, 60_min);
}

TEST(time, lengths_add_scale_and_compare) {
  EXPECT_EQ(1_s + 500_ms, 1500_ms);
  EXPECT_EQ(1_s - 1500_ms, -(500_ms));
  EXPECT_EQ(3 * 2_s, 6_s);
  EXPECT_EQ(6_s / 4, 1500_ms);
  EXPECT_LT(999_us, 1_ms);
  duration d = 1_s;
  d += 1_s;
  d -= 500_ms;
  EXPECT_EQ(d, 1500_ms);
}

TEST(time, a_moment_moves_by_a_length_and_differs_by_one) {
  const time_point start(1'000);
  EXPECT_EQ((start + 1_us).ns, 2'000);
  EXPECT_EQ((start - 1_us).ns, 0);
  EXPECT_EQ((start + 5_s) - start, 5_s);
  EXPECT_LT(start, start + 1_ns);
}

TEST(time, adding_to_a_moment_saturates_at_never) {
  EXPECT_EQ(time_point(1) + duration::max(), time_point::never());
  EXPECT_EQ(time_point::never() + 1_h, time_point::never());
  EXPECT_GT(time_point::never(), time_point(0) + 100'000_h);
}

}  // namespace
}  // namespace weir::time_test
