// How a kernel driver hears of what its pool has finished (a treiber_stack and a wake_flag, the
// source that ships) under every interleaving of at most three preemptions: nothing is lost and no
// wake-up is missed, though a second one makes no system call. Then the same with weaker orders,
// each of which must be found.
#include <weir/io/detail/wake_flag.hpp>

#include <weir/base/treiber_stack.hpp>
#include <weir/testing/model_atomic.hpp>
#include <weir/testing/model_locks.hpp>
#include <weir/testing/weaken_orders.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::wake_flag_model_test {
namespace {

using model::operation;
using model::require;

constexpr std::memory_order relaxed = std::memory_order_relaxed;
constexpr std::memory_order acquire = std::memory_order_acquire;
constexpr std::memory_order release = std::memory_order_release;
constexpr std::memory_order acq_rel = std::memory_order_acq_rel;

struct request {
  model::cell<request*> next{nullptr};
  model::cell<int> outcome{0};
};

enum class clears { bell_first, flag_first };

/// A driver as kernel_driver is one: what its pool finishes, and wake-ups by anybody.
struct woken_driver {
  treiber_stack<request, release, model::memory> from_pool;
  detail::wake_flag<model::memory> is_woken;
  model::event bell;

  void wake() {
    if (is_woken.raise()) bell.signal();
  }
  void finish(request& one) {
    one.outcome = 1;
    if (from_pool.push(one)) wake();
  }
  /// One wait(): how many requests it delivers.
  int wait(clears how) {
    if (from_pool.is_empty(acquire)) bell.wait();
    if (bell.is_signalled()) {
      if (how == clears::flag_first) is_woken.lower();
      bell.clear();
      if (how == clears::bell_first) is_woken.lower();
    }
    int count = 0;
    if (from_pool.is_empty(relaxed)) return count;
    for (request* one = from_pool.take_all(); one; one = one->next) {
      require(one->outcome == 1, "a request is delivered once, with its outcome");
      one->outcome = 2;
      ++count;
    }
    return count;
  }
};

void run(clears how) {
  woken_driver on;
  request requests[2];
  model::parallel(
      [&] {
        on.wake();
        on.finish(requests[0]);
      },
      [&] { on.finish(requests[1]); },
      [&] {
        for (int heard = 0; heard != 2;) heard += on.wait(how);
      });
}

// The least in which a flag is found raised.
void one_wakes_and_finishes() {
  woken_driver on;
  request one;
  model::parallel(
      [&] {
        on.wake();
        on.finish(one);
      },
      [&] {
        while (on.wait(clears::bell_first) == 0) {
        }
      });
}

TEST(WakeFlagModel, what_the_pool_has_finished_is_delivered) {
  const model::verdict found = model::check({}, [] { run(clears::bell_first); });
  EXPECT_TRUE(found.has_passed()) << found.text();
}

TEST(WakeFlagModel, a_flag_that_is_lowered_before_the_bell_is_cleared_is_found) {
  const model::verdict found = model::check({}, [] { run(clears::flag_first); });
  EXPECT_TRUE(found.failure.starts_with("deadlock")) << found.text();
}

TEST(WakeFlagModel, each_order_that_is_made_weaker_is_found) {
  struct mutant {
    model::weakening what;
    const char* failure;
  };
  const mutant all[] = {
      {{"raise", operation::exchange, acq_rel, acquire}, "deadlock"},
      {{"lower", operation::exchange, acq_rel, release}, "deadlock"},
      {{"push", operation::compare_exchange, release, relaxed}, "data race"},
      {{"take_all", operation::exchange, acquire, relaxed}, "data race"},
  };
  for (const mutant& one : all) {
    const model::verdict found =
        model::check({.weakened = {one.what}}, [] { run(clears::bell_first); });
    EXPECT_TRUE(found.failure.starts_with(one.failure))
        << one.what.function << ": " << found.text();
  }
}

TEST(WakeFlagModel, each_order_is_needed_but_these) {
  constexpr void (*bodies[])() = {&one_wakes_and_finishes};
  // The other halves keep the flag on its side of the system calls, which the model does anyway.
  EXPECT_EQ(model::unnoticed_orders("wake_flag.hpp", bodies, {.least = 2}),
            (std::vector<std::string>{"raise: exchange acq_rel as release",
                                      "lower: exchange acq_rel as acquire"}));
  // take_all() acquires what an empty stack has not.
  EXPECT_EQ(model::unnoticed_orders("treiber_stack.hpp", bodies, {.least = 2}),
            (std::vector<std::string>{"is_empty: load acquire as relaxed"}));
}

}  // namespace
}  // namespace weir::wake_flag_model_test
