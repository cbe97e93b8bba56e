// The lock between loops under every interleaving of at most three preemptions: one is inside, and
// what it did there is seen by the next. Then with weaker orders, each of which must be found.
#include <weir/flow/short_lock.hpp>

#include <weir/testing/model_atomic.hpp>
#include <weir/testing/model_locks.hpp>
#include <weir/testing/weaken_orders.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::short_lock_model_test {
namespace {

using model::operation;
using model::require;

void each_adds_one(int threads) {
  detail::basic_short_lock<model::spinning> lock;
  model::cell<int> count{0};
  const auto add = [&] {
    lock.lock();
    count = count + 1;
    lock.unlock();
  };
  if (threads == 2) model::parallel(add, add);
  if (threads == 3) model::parallel(add, add, add);
  require(count == threads, "nobody's turn is lost");
}
void two_add_one() { each_adds_one(2); }
void three_add_one() { each_adds_one(3); }
constexpr void (*bodies[])() = {&two_add_one, &three_add_one};

TEST(ShortLockModel, one_is_inside_and_sees_what_was_done_before) {
  for (const auto body : bodies) {
    const model::verdict found = model::check({}, body);
    EXPECT_TRUE(found.has_passed()) << found.text();
  }
}

TEST(ShortLockModel, each_order_that_is_made_weaker_is_found) {
  const model::weakening all[] = {
      {"lock", operation::exchange, std::memory_order_acquire, std::memory_order_relaxed},
      {"lock_slowly", operation::exchange, std::memory_order_acquire, std::memory_order_relaxed},
      {"unlock", operation::store, std::memory_order_release, std::memory_order_relaxed},
  };
  for (const model::weakening& one : all) {
    const model::verdict found = model::check({.weakened = {one}}, &two_add_one);
    EXPECT_TRUE(found.failure.starts_with("data race")) << one.function << ": " << found.text();
  }
  constexpr void (*body[])() = {&two_add_one};
  EXPECT_EQ(model::unnoticed_orders("short_lock.hpp", body, {.least = 3}),
            std::vector<std::string>());
}

}  // namespace
}  // namespace weir::short_lock_model_test
