// Which machines start when chaos ends. What its faults do is tested with what they strike.
#include <weir/sim/chaos.hpp>

#include <weir/core.hpp>
#include <weir/sim/node_kit_test.hpp>

#include <gtest/gtest.h>

#include <memory>

namespace weir::chaos_test {
namespace {

using namespace weir::literals;

task<> work_for_ever() { co_await sleep(1'000 * 1_h); }

class ChaosHeal : public contract::two_machines, public chaos_host {
 protected:
  node_program& program_of(virtual_node&) override { return add(&work_for_ever); }
  bool has_disk(const virtual_node&) override { return false; }

  /// Chaos that has killed `near`, which is off still.
  std::unique_ptr<chaos> chaos_that_has_killed_near() {
    chaos_set kills;
    kills.set(chaos_kind::kill, true);
    for (std::uint64_t seed = 1;; ++seed) {  // one that has drawn it
      decisions.restart(seed);
      auto faults = std::make_unique<chaos>(all, kills, *this);
      if (!faults->may_strike(chaos_kind::kill)) continue;
      start(near, &work_for_ever);
      while (near.is_running()) {
        all.run_until(faults->next_at());
        faults->act();
      }
      return faults;
    }
  }
};

TEST_F(ChaosHeal, starts_the_machine_that_chaos_has_killed) {
  const auto faults = chaos_that_has_killed_near();
  faults->heal();
  EXPECT_TRUE(near.is_running());
  EXPECT_EQ(near.starts(), 2u);
}

TEST_F(ChaosHeal, starts_no_machine_whose_program_has_ended_or_was_killed_by_others) {
  start(far, []() -> task<> { co_return; });
  all.run_for(1_s);
  const auto faults = chaos_that_has_killed_near();
  ASSERT_TRUE(far.has_ended());
  virtual_node& third = all.add({.name = "third"});
  start(third, &work_for_ever);
  third.kill();
  faults->heal();
  EXPECT_EQ(far.starts(), 1u);
  EXPECT_EQ(third.starts(), 1u);
}

TEST_F(ChaosHeal, starts_no_machine_that_was_started_since_and_has_ended) {
  const auto faults = chaos_that_has_killed_near();
  start(near, []() -> task<> { co_return; });
  all.run_for(1_us);
  ASSERT_TRUE(near.has_ended());
  faults->heal();
  EXPECT_EQ(near.starts(), 2u);
}

}  // namespace
}  // namespace weir::chaos_test
