#include <weir/flow/retry_budget.hpp>

#include <weir/base/error.hpp>

#include <gtest/gtest.h>

namespace weir::retry_budget_test {
namespace {

using namespace weir::literals;

template <class Budget>
int retries_left(Budget& budget, time_point now) {
  int count = 0;
  while (budget.try_withdraw(now)) ++count;
  return count;
}

template <class Budget>
class RetryBudget : public ::testing::Test {};
using both_budgets = ::testing::Types<retry_budget, cross::retry_budget>;
TYPED_TEST_SUITE(RetryBudget, both_budgets);

TYPED_TEST(RetryBudget, retries_are_a_fraction_of_the_calls) {
  TypeParam budget({.ratio = 0.2, .retries_per_second_min = 0, .window = 10_s});
  const time_point now(100'000'000'000);
  EXPECT_FALSE(budget.try_withdraw(now));
  for (int i = 0; i < 50; ++i) budget.deposit(now);
  EXPECT_EQ(retries_left(budget, now), 10);
  for (int i = 0; i < 4; ++i) budget.deposit(now);
  EXPECT_FALSE(budget.try_withdraw(now)) << "less than a whole retry was paid in";
  budget.deposit(now);
  EXPECT_TRUE(budget.try_withdraw(now));
  EXPECT_EQ(budget.stats().calls, 55u);
  EXPECT_EQ(budget.stats().retries, 11u);
  EXPECT_EQ(budget.stats().refused, 3u);
}

TYPED_TEST(RetryBudget, who_calls_rarely_has_an_allowance) {
  TypeParam budget({.ratio = 0.1, .retries_per_second_min = 2, .window = 10_s});
  const time_point now(100'000'000'000);
  EXPECT_EQ(retries_left(budget, now), 20);
  EXPECT_EQ(retries_left(budget, now + 5_s), 0) << "they count for the whole window";
  EXPECT_EQ(retries_left(budget, now + 10_s), 20);
}

TYPED_TEST(RetryBudget, what_was_paid_in_is_forgotten_after_the_window) {
  TypeParam budget({.ratio = 1, .retries_per_second_min = 0, .window = 10_s});
  const time_point now(100'000'000'000);
  for (int i = 0; i < 3; ++i) budget.deposit(now);
  budget.deposit(now + 5_s);
  EXPECT_EQ(budget.balance(now + 9_s), 4);
  EXPECT_EQ(budget.balance(now + 10_s), 1) << "the first slot is older than the window";
  EXPECT_EQ(budget.balance(now + 15_s), 0);
  EXPECT_EQ(budget.balance(now + 1_h), 0);
  budget.deposit(now + 1_h);
  EXPECT_EQ(budget.balance(now), 1) << "a moment before the newest counts as the newest";
}

TYPED_TEST(RetryBudget, what_cannot_be_meant_is_refused) {
  EXPECT_THROW(TypeParam({.ratio = -0.1}), exception);
  EXPECT_THROW(TypeParam({.retries_per_second_min = -1}), exception);
  EXPECT_THROW(TypeParam({.window = 0_s}), exception);
}

}  // namespace
}  // namespace weir::retry_budget_test
