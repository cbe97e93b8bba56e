#include <weir/broker/retry_policy.hpp>

#include <weir/base/random.hpp>

#include <gtest/gtest.h>

namespace weir {
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
}  // namespace weir
