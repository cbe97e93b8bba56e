// Crashes at every instant: whatever the disk keeps of what was not synced, the broker that opens
// the folder again holds everything that anybody was promised, and nothing that nobody asked for.
#include <weir/broker/internal/broker_ledger.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

namespace weir::broker_crash_test {
namespace {

using detail::broker_ledger;
using detail::tiny_broker;
using namespace weir::testing;

std::uint64_t seeds_wanted(std::uint64_t otherwise) {
  const char* text = std::getenv("WEIR_TEST_CRASHES");
  return text ? std::strtoull(text, nullptr, 10) : otherwise;
}

/// What all lives together have met, so that the test can say that it was no walk in the park.
struct coverage {
  std::uint64_t crashes = 0;
  std::uint64_t promises = 0;
  std::uint64_t ended = 0;
};

void crash_often(std::uint64_t seed, coverage& met) {
  random_source random(seed);
  virtual_world world(virtual_options::explored(seed));
  broker_ledger ledger(seed + 1);
  const std::uint64_t lives = 2 + random.below(4);
  for (std::uint64_t i = 0; i < lives && ledger.wrong.empty(); ++i) {
    const auto loss = static_cast<crash_loss>(random.below(3));
    world.crash_before_disk_operation(1 + random.below(random.chance(0.3) ? 60 : 600), loss);
    run_outcome_in(world, ledger.live(tiny_broker(), 40, false), {.may_leave_handles = true});
    world.crash(loss);
  }
  met.crashes += world.crashes();
  world.crash_before_disk_operation(0);
  ledger.has_opened = false;
  if (ledger.wrong.empty()) {
    const auto last = run_outcome_in(world, ledger.live(tiny_broker(), 3, true));
    EXPECT_FALSE(last.is_failed) << "seed " << seed << ": " << last.failure;
    EXPECT_TRUE(ledger.has_opened) << "seed " << seed;
  }
  EXPECT_EQ(ledger.wrong, "") << "seed " << seed;
  met.promises += ledger.promises;
  met.ended += ledger.ended;
}

TEST(broker_crash, after_any_crashes_every_promise_is_kept) {
  coverage met;
  const std::uint64_t seeds = seeds_wanted(300);
  const char* first = std::getenv("WEIR_TEST_SEED");
  const std::uint64_t begin = first ? std::strtoull(first, nullptr, 10) : 1;
  for (std::uint64_t seed = begin; seed < begin + seeds; ++seed) {
    crash_often(seed, met);
    if (HasFailure()) return;
  }
  EXPECT_GT(met.crashes, seeds);
  EXPECT_GT(met.promises, 20 * seeds);
  EXPECT_GT(met.ended, 5 * seeds);
}

TEST(broker_crash, a_crash_before_each_disk_operation_of_a_short_life_breaks_no_promise) {
  for (const crash_loss loss : {crash_loss::all, crash_loss::some, crash_loss::none}) {
    for (std::uint64_t nth = 1;; ++nth) {
      virtual_world world;
      broker_ledger ledger(nth);
      world.crash_before_disk_operation(nth, loss);
      run_outcome_in(world, ledger.live(tiny_broker(), 6, false), {.may_leave_handles = true});
      const bool is_over = world.crashes() == 0;
      world.crash_before_disk_operation(0);
      world.crash(loss);
      ledger.has_opened = false;
      run_outcome_in(world, ledger.live(tiny_broker(), 1, true), {.may_leave_handles = true});
      ASSERT_TRUE(ledger.has_opened) << "operation " << nth;
      ASSERT_EQ(ledger.wrong, "") << "operation " << nth;
      if (is_over) break;
    }
  }
}

// The n-th operation of each kind fails; then the program starts again on the same disk.
TEST(broker_crash, a_failure_of_any_single_disk_operation_breaks_no_promise) {
  for (const io_op op :
       {io_op::open, io_op::read_at, io_op::write_at, io_op::sync, io_op::preallocate,
        io_op::rename, io_op::remove, io_op::make_dir, io_op::sync_dir}) {
    for (const int code : {EIO, ENOSPC}) {
      for (std::uint64_t nth = 1;; ++nth) {
        virtual_world world;
        broker_ledger ledger(nth);
        world.add_fault({.op = op, .nth = nth, .code = code});
        run_outcome_in(world, ledger.live(tiny_broker(), 8, false), {.may_leave_handles = true});
        ASSERT_EQ(ledger.wrong, "") << static_cast<int>(op) << ", operation " << nth;
        if (world.faults_struck() == 0) break;
        world.crash(crash_loss::some);
        ledger.has_opened = false;
        run_outcome_in(world, ledger.live(tiny_broker(), 1, true), {.may_leave_handles = true});
        ASSERT_TRUE(ledger.has_opened) << static_cast<int>(op) << ", " << nth;
        ASSERT_EQ(ledger.wrong, "") << static_cast<int>(op) << ", operation " << nth;
      }
    }
  }
}

}  // namespace
}  // namespace weir::broker_crash_test
