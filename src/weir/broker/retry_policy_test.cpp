#include <weir/broker/retry_policy.hpp>

#include <weir/base/random.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace weir::retry_policy_test {
namespace {

constexpr duration second = duration::seconds(1);

TEST(retry_policy, waits_grow_by_the_factor_up_to_the_cap) {
  const backoff_settings backoff{.first = second, .max = second * 10, .factor = 2, .jitter = 0};
  const std::int64_t expected[] = {1, 2, 4, 8, 10, 10};
  for (std::uint32_t failures = 1; failures <= 6; ++failures) {
    EXPECT_EQ(retry_delay(backoff, failures, 12345), second * expected[failures - 1]);
  }
  EXPECT_EQ(retry_delay(backoff, UINT32_MAX, 0), second * 10);
}

TEST(retry_policy, a_factor_of_one_stays_and_a_first_wait_of_zero_is_zero) {
  backoff_settings backoff{.first = second, .max = second * 10, .factor = 1, .jitter = 0};
  EXPECT_EQ(retry_delay(backoff, UINT32_MAX, 0), second);
  backoff.first = duration(0), backoff.factor = 100;
  EXPECT_EQ(retry_delay(backoff, UINT32_MAX, 0), duration(0));
}

TEST(retry_policy, settings_of_any_numbers_give_a_wait_that_can_be_added) {
  constexpr double none = std::numeric_limits<double>::quiet_NaN();
  constexpr double many = std::numeric_limits<double>::infinity();
  constexpr duration least(INT64_MIN);
  for (const duration first : {least, duration(-1), second, duration::max()}) {
    for (const duration max : {least, second, duration::max()}) {
      for (const double factor : {none, many, -many, -2.0, 1e300}) {
        for (const double jitter : {none, many, -1e300, 1.0}) {
          const backoff_settings any{first, max, factor, jitter};
          const duration wait = retry_delay(any, 7, UINT64_MAX);
          EXPECT_GE(wait, duration(0));
          EXPECT_LE(wait, 2 * setting_duration_max);
        }
      }
    }
  }
  // A factor that hardly grows: no four billion steps.
  EXPECT_GE(retry_delay({second, 2 * second, 1 + 1e-15, 0}, UINT32_MAX, 0), second);
}

TEST(retry_policy, jitter_spreads_evenly_within_its_share) {
  const backoff_settings backoff{.first = second, .max = second, .factor = 2, .jitter = 0.5};
  random_source random(1);
  int low = 0;
  for (int i = 0; i < 10'000; ++i) {
    const duration delay = retry_delay(backoff, 1, random.next());
    ASSERT_GE(delay, duration::milliseconds(500));
    ASSERT_LT(delay, duration::milliseconds(1'500));
    low += delay < second ? 1 : 0;
  }
  EXPECT_NEAR(low, 5'000, 300);
}

}  // namespace
}  // namespace weir::retry_policy_test
