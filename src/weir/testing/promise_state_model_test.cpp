// What threads agree on about a promise (its state and its lock, the sources that ship) under every
// interleaving of at most three preemptions: one resolves it, who sees it settled sees the value,
// nobody who stands in line is left there, and the last owner ends it. Then with weaker orders.
#include <weir/flow/detail/promise_state.hpp>

#include <weir/flow/short_lock.hpp>
#include <weir/testing/model_atomic.hpp>
#include <weir/testing/model_locks.hpp>
#include <weir/testing/weaken_orders.hpp>

#include <gtest/gtest.h>

#include <mutex>
#include <string>
#include <vector>

namespace weir::promise_state_model_test {
namespace {

using detail::settled_as;
using model::operation;
using model::require;

constexpr std::memory_order relaxed = std::memory_order_relaxed;
constexpr std::memory_order acquire = std::memory_order_acquire;
constexpr std::memory_order release = std::memory_order_release;
constexpr std::memory_order acq_rel = std::memory_order_acq_rel;

/// A promise as promise_core is one, with room for one listener.
struct model_promise : detail::promise_state<model::memory> {
  detail::basic_short_lock<model::spinning> lock;
  model::cell<int> value{0};
  model::cell<bool> has_listener{false};
  model::atomic<int> told{0};

  void resolve(int with) {
    if (!claim()) return;
    value = with;
    bool tells = false;
    {
      const std::lock_guard held(lock);
      note_settled(settled_as::fulfilled);
      tells = has_listener;
      has_listener = false;
    }
    if (tells) told.store(1, release);
  }
  /// False: it is settled already.
  bool listen() {
    const std::lock_guard held(lock);
    if (is_settled()) return false;
    has_listener = true;
    return true;
  }
  void drop() {
    if (was_last_owner()) value = -1;  // as its end would
  }
};

void two_resolve_and_one_looks() {
  model_promise one;
  one.keep();
  one.keep();
  const auto resolve = [&](int with) {
    one.resolve(with);
    one.drop();
  };
  model::parallel([&] { resolve(1); }, [&] { resolve(2); },
                  [&] {
                    if (one.is_settled()) {
                      const int first = one.value;
                      require(first == 1 || first == 2, "a settled promise has its value");
                      require(one.value == first, "which stays");
                    }
                    one.drop();
                  });
  require(one.value == -1, "the last owner has ended it");
}

void one_listens() {
  model_promise one;
  one.keep();
  model::parallel(
      [&] {
        one.resolve(7);
        one.drop();
      },
      [&] {
        if (one.listen()) {
          while (one.told.load(acquire) == 0) model::yield();
        }
        require(one.value == 7, "a listener hears of the value");
        one.drop();
      });
}

constexpr void (*bodies[])() = {&two_resolve_and_one_looks, &one_listens};

TEST(PromiseStateModel, one_resolves_it_all_see_that_and_the_last_owner_ends_it) {
  for (const auto body : bodies) {
    const model::verdict found = model::check({}, body);
    EXPECT_TRUE(found.has_passed()) << found.text();
  }
}

TEST(PromiseStateModel, each_order_that_is_made_weaker_is_found) {
  const model::weakening all[] = {
      {"note_settled", operation::store, release, relaxed},
      {"phase", operation::load, acquire, relaxed},
      {"was_last_owner", operation::add, acq_rel, acquire},
      {"was_last_owner", operation::add, acq_rel, release},
  };
  for (const model::weakening& one : all) {
    const model::verdict found = model::check({.weakened = {one}}, &two_resolve_and_one_looks);
    EXPECT_TRUE(found.failure.starts_with("data race")) << one.function << ": " << found.text();
  }
}

TEST(PromiseStateModel, each_order_is_needed_but_these) {
  // Who claims it writes next and reads nothing: the exchange needs its atomicity only.
  EXPECT_EQ(model::unnoticed_orders("promise_state.hpp", bodies, {.least = 4}),
            (std::vector<std::string>{"claim: exchange acq_rel as acquire",
                                      "claim: exchange acq_rel as release"}));
}

}  // namespace
}  // namespace weir::promise_state_model_test
