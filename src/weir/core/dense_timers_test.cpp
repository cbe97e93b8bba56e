// Timers that come close together share sleeps, on a clock that goes on by itself as real ones do.
#include <weir/core.hpp>
#include <weir/core/plain_driver_test.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <vector>

namespace weir::dense_timers_test {
namespace {

using namespace weir::literals;

/// A clock of which each reading takes 50 ns, and sleeps that last 60 us too long, as the kernel's
/// do.
class slow_clock final : public contract::plain_driver {
 public:
  const char* name() const noexcept override { return "slow clock"; }
  time_point now() noexcept override { return now_ = now_ + 50_ns; }
  void wait(time_point until) noexcept override {
    if (until <= now_) return;
    asked_for.push_back(until);
    now_ = until + 60_us;
  }

  std::vector<time_point> asked_for;

 private:
  time_point now_{1'000'000'000};
};

struct outcome {
  std::size_t early = 0;
  duration latest;  // of all that were late
  std::size_t sleeps = 0;
  bool all_sleeps_end_with_a_timer = true;
};

/// Timers after a millisecond, one `spacing` behind the other.
outcome fire_all(std::size_t count, duration spacing) {
  slow_clock clock;
  loop on(clock);
  outcome seen;
  const time_point first = clock.now() + 1_ms;
  for (std::size_t i = 0; i < count; ++i) {
    on.root().spawn(
        [&](time_point due) -> task<> {
          co_await sleep_until(due);
          const duration late = loop::current()->turn_time() - due;
          seen.early += late < duration() ? 1 : 0;
          seen.latest = std::max(seen.latest, late);
        },
        first + spacing * static_cast<std::int64_t>(i));
  }
  on.run();
  seen.sleeps = clock.asked_for.size();
  seen.all_sleeps_end_with_a_timer = std::ranges::all_of(
      clock.asked_for, [&](time_point at) { return (at - first).ns % spacing.ns == 0; });
  return seen;
}

TEST(DenseTimers, share_sleeps_of_half_a_millisecond_and_none_fires_early) {
  const outcome seen = fire_all(10'000, 1_us);
  EXPECT_EQ(seen.early, 0u);
  EXPECT_LE(seen.sleeps, 10'000u / 500 + 10) << "of half a millisecond, and some before that";
  EXPECT_GT(seen.latest, 300_us);
  EXPECT_LE(seen.latest, 500_us + 60_us + 200_us) << "a sleep, its delay, and the turn before";
}

TEST(DenseTimers, that_are_not_dense_are_slept_for_to_their_moment) {
  const outcome seen = fire_all(1'000, 10_us);
  EXPECT_EQ(seen.early, 0u);
  EXPECT_TRUE(seen.all_sleeps_end_with_a_timer);
  EXPECT_LE(seen.latest, 100_us);
}

TEST(DenseTimers, of_one_moment_make_the_next_one_no_later) {
  slow_clock clock;
  loop on(clock);
  time_point woken;
  const time_point due = clock.now() + 1_ms;
  for (int i = 0; i < 2'000; ++i) on.root().spawn([&]() -> task<> { co_await sleep_until(due); });
  on.root().spawn([&]() -> task<> {
    co_await sleep_until(due + 100_us);
    woken = loop::current()->turn_time();
  });
  on.run();
  EXPECT_LE(woken - due, 100_us + 60_us + 100_us) << "and what 2,000 wake-ups take";
}

WEIR_TEST("dense timers fire at their moments where time stands still meanwhile") {
  const time_point first = loop::current()->now() + 1_ms;
  std::size_t late = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (std::int64_t i = 0; i < 2'000; ++i) {
      s.spawn(
          [&](time_point due) -> task<> {
            co_await sleep_until(due);
            late += loop::current()->now() == due ? 0 : 1;
          },
          first + 1_us * (i / 20));
    }
    co_await s.join();
  });
  EXPECT_EQ(late, 0u);
}

}  // namespace
}  // namespace weir::dense_timers_test
