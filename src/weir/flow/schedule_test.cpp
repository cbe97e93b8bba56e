#include <weir/flow/schedule.hpp>

#include <weir/base/error.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace weir::schedule_test {
namespace {

using namespace weir::literals;
using lengths = std::vector<std::int64_t>;

constexpr time_point wall_noon(1'772'366'400'000'000'000);  // 2026-03-01 12:00 UTC

// The delays in milliseconds, where each call between them takes `call_takes`; -1 ends them.
lengths delays(const schedule& of, int count, duration call_takes = {}, std::uint64_t seed = 1) {
  schedule_moment at{.now = time_point(1'000'000'000), .wall = wall_noon};
  schedule_run run(of, at, seed);
  lengths all;
  for (int i = 0; i < count; ++i) {
    at.now = at.now + call_takes;
    at.wall = at.wall + call_takes;
    const auto delay = run.next(at);
    if (!delay) return all.push_back(-1), all;
    all.push_back(delay->ns / 1'000'000);
    at.now = at.now + *delay;
    at.wall = at.wall + *delay;
  }
  return all;
}

TEST(Schedule, fixed_exponential_and_fibonacci) {
  EXPECT_EQ(delays(fixed(50_ms), 3), (lengths{50, 50, 50}));
  EXPECT_EQ(delays(exponential(100_ms), 5), (lengths{100, 200, 400, 800, 1600}));
  EXPECT_EQ(delays(exponential(100_ms, 500_ms), 5), (lengths{100, 200, 400, 500, 500}));
  EXPECT_EQ(delays(exponential(100_ms, 5_s, 3), 4), (lengths{100, 300, 900, 2700}));
  EXPECT_EQ(delays(exponential(600_ms, 500_ms), 2), (lengths{500, 500}));
  EXPECT_EQ(delays(fibonacci(10_ms), 7), (lengths{10, 10, 20, 30, 50, 80, 130}));
  EXPECT_EQ(delays(fibonacci(10_ms, 40_ms), 6), (lengths{10, 10, 20, 30, 40, 40}));
}

TEST(Schedule, delays_saturate_and_do_not_overflow) {
  EXPECT_EQ(delays(exponential(1_h, duration::max(), 1e9), 4).back(),
            duration::max().ns / 1'000'000);
  EXPECT_EQ(delays(fibonacci(duration(INT64_MAX / 2)), 6).back(), duration::max().ns / 1'000'000);
}

TEST(Schedule, recurs_counts_and_stays_over) {
  EXPECT_EQ(delays(recurs(2), 5), (lengths{0, 0, -1}));
  EXPECT_EQ(delays(fixed(5_ms).recurs(3), 9), (lengths{5, 5, 5, -1}));
  EXPECT_EQ(delays(fixed(5_ms).recurs(0), 9), (lengths{-1}));
  const schedule_moment at;
  schedule_run run(recurs(1), at, 1);
  EXPECT_TRUE(run.next(at));
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(run.next(at));
}

TEST(Schedule, up_to_counts_the_calls_time_and_lets_no_delay_end_after_it) {
  EXPECT_EQ(delays(fixed(100_ms).up_to(300_ms), 9), (lengths{100, 100, 100, -1}));
  EXPECT_EQ(delays(fixed(100_ms).up_to(300_ms), 9, 60_ms), (lengths{100, -1}));
  EXPECT_EQ(delays(fixed(100_ms).up_to(99_ms), 9), (lengths{-1}));
  EXPECT_EQ(delays(fixed(1_s).up_to(duration::max()), 3), (lengths{1000, 1000, 1000}));
}

TEST(Schedule, both_take_the_longer_delay_and_end_with_the_first_to_end) {
  EXPECT_EQ(delays(exponential(10_ms) & fixed(25_ms).recurs(4), 9), (lengths{25, 25, 40, 80, -1}));
  EXPECT_EQ(delays(recurs(1) & fixed(7_ms), 9), (lengths{7, -1}));
}

TEST(Schedule, either_takes_the_shorter_delay_and_goes_on_while_one_does) {
  EXPECT_EQ(delays(exponential(10_ms) | fixed(25_ms).recurs(3), 5), (lengths{10, 20, 25, 80, 160}));
  EXPECT_EQ(delays(recurs(1) | recurs(2), 9), (lengths{0, 0, -1}));
}

TEST(Schedule, then_begins_the_next_one_where_the_first_ends) {
  EXPECT_EQ(delays(fixed(1_ms).recurs(2).then(fixed(9_ms).recurs(2)), 9),
            (lengths{1, 1, 9, 9, -1}));
  EXPECT_EQ(delays(fixed(50_ms).recurs(2).then(fixed(100_ms).up_to(200_ms)), 9),
            (lengths{50, 50, 100, 100, -1}))
      << "the time of the second begins with it";
}

TEST(Schedule, jitter_stays_within_its_bounds_and_fills_them) {
  const auto bounds = [](const schedule& of) {
    lengths all = delays(of, 1000);
    const auto [low, high] = std::minmax_element(all.begin(), all.end());
    return lengths{*low, *high};
  };
  EXPECT_EQ(bounds(fixed(1000_ms)), (lengths{1000, 1000}));
  lengths seen = bounds(fixed(1000_ms).jittered());
  EXPECT_TRUE(seen[0] < 20 && seen[1] > 980 && seen[1] <= 1000) << seen[0] << ' ' << seen[1];
  seen = bounds(fixed(1000_ms).jittered(jitter::equal));
  EXPECT_TRUE(seen[0] >= 500 && seen[0] < 520 && seen[1] > 980 && seen[1] <= 1000);
  seen = bounds(fixed(1000_ms).randomized(0.25));
  EXPECT_TRUE(seen[0] >= 750 && seen[0] < 770 && seen[1] > 1230 && seen[1] <= 1250);
  seen = bounds(decorrelated(100_ms, 2_s));
  EXPECT_TRUE(seen[0] >= 100 && seen[0] < 150 && seen[1] == 2000);
  EXPECT_EQ(bounds(fixed(0_ms).jittered()), (lengths{0, 0}));
}

TEST(Schedule, decorrelated_never_triples_more_than_once) {
  const lengths all = delays(decorrelated(100_ms), 200, {}, 9);
  EXPECT_EQ(delays(decorrelated(100_ms), 1), (lengths{100}));
  for (std::size_t i = 1; i < all.size() && all[i] < 1'000'000'000; ++i) {
    EXPECT_LE(all[i], 3 * (all[i - 1] + 1));
    EXPECT_GE(all[i], 100);
  }
}

TEST(Schedule, the_seed_decides_and_runs_do_not_disturb_each_other) {
  const schedule of = exponential(100_ms).jittered();
  EXPECT_EQ(delays(of, 9, {}, 5), delays(of, 9, {}, 5));
  EXPECT_NE(delays(of, 9, {}, 5), delays(of, 9, {}, 6));
}

TEST(Schedule, cron_goes_by_the_wall_clock) {
  EXPECT_EQ(delays(cron("0,30 * * * *"), 3), (lengths{1'800'000, 1'800'000, 1'800'000}));
  EXPECT_EQ(delays(cron("0,30 * * * *"), 2, 1_min), (lengths{1'740'000, 1'740'000}));
  EXPECT_EQ(delays(cron("5 12 * * *") | fixed(2_min), 4),
            (lengths{120'000, 120'000, 60'000, 120'000}))
      << "a time that was not waited for is still to come";
}

TEST(Schedule, cron_runs_once_for_each_time_also_when_the_clock_lags_or_is_put_back) {
  schedule_moment at{.now = time_point(1'000'000'000), .wall = wall_noon};
  schedule_run run(cron("0 * * * *"), at, 1);
  const auto pass = [&](duration monotonic, duration wall) {
    at.now = at.now + monotonic;
    at.wall = at.wall + wall;
  };
  ASSERT_EQ(*run.next(at), 1_h);
  pass(1_h, 1_h - 2_ms);  // the wall clock is slow: 12:59:59.998
  ASSERT_EQ(*run.next(at), 1_h + 2_ms) << "13:00 has had its turn";
  pass(1_h + 2_ms, 2_ms - 1_h);  // put back by two hours while it slept: 12:00 again
  ASSERT_EQ(*run.next(at), 3_h) << "13:00 and 14:00 have had their turns";
  pass(3_h, 3_h - 48_h);  // put back by days: it was wrong before
  EXPECT_EQ(*run.next(at), 1_h);
}

TEST(Schedule, what_cannot_be_meant_is_refused) {
  EXPECT_THROW(fixed(-1_ms), exception);
  EXPECT_THROW(exponential(0_ms), exception);
  EXPECT_THROW(exponential(1_ms, 5_s, 0.5), exception);
  EXPECT_THROW(exponential(1_ms, 0_s), exception);
  EXPECT_THROW(fibonacci(0_ms), exception);
  EXPECT_THROW(decorrelated(2_s, 1_s), exception);
  EXPECT_THROW(fixed(1_s).randomized(1.5), exception);
  EXPECT_THROW(fixed(1_s).up_to(-1_s), exception);
  EXPECT_THROW(fixed(1_s).capped(-1_s), exception);
  EXPECT_THROW(cron("every day"), exception);
}

}  // namespace
}  // namespace weir::schedule_test
