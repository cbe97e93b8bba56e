#include <weir/serve/call_pacer.hpp>

#include <gtest/gtest.h>

namespace weir::call_pacer_test {
namespace {

using namespace literals;

constexpr time_point start(1'000'000'000'000);

call_pacer pacer(std::uint32_t concurrency, std::uint32_t rate = 0) {
  call_pacer made;
  made.set_limits(concurrency, rate);
  return made;
}

TEST(call_pacer, at_most_so_many_calls_run_at_once) {
  call_pacer calls = pacer(3);
  EXPECT_EQ(calls.available(10, start), 3u);
  EXPECT_EQ(calls.available(2, start), 2u);
  calls.began(3, start);
  EXPECT_EQ(calls.available(10, start), 0u);
  EXPECT_EQ(calls.next(start), time_point::never());
  calls.answered();
  EXPECT_EQ(calls.available(10, start), 1u);
  calls.failed();
  EXPECT_EQ(calls.available(10, start), 2u);
  EXPECT_EQ(calls.next(start), start);
}

TEST(call_pacer, a_rate_beyond_the_clock_is_no_division_by_nothing) {
  call_pacer calls = pacer(1'000, UINT32_MAX);
  EXPECT_EQ(calls.available(10, start), 10u);
  calls.began(10, start);
  EXPECT_EQ(calls.available(10, start), 10u);
}

/// Calls that begin within `length` when as many begin as may.
std::uint32_t begun_within(call_pacer& calls, time_point from, duration length) {
  std::uint32_t begun = 0;
  for (time_point now = from; now < from + length; now = now + 1_ms) {
    const std::uint32_t count = calls.available(1'000, now);
    calls.began(count, now);
    for (std::uint32_t i = 0; i < count; ++i) calls.answered();
    begun += count;
  }
  return begun;
}

TEST(call_pacer, a_rate_holds_over_time_with_a_burst_of_a_tenth_of_a_second) {
  for (const std::uint32_t rate : {1u, 3u, 10u, 100u, 333u}) {
    call_pacer calls = pacer(1'000, rate);
    const std::uint32_t begun = begun_within(calls, start, 10_s);
    EXPECT_LE(begun, rate * 10 + rate / 10 + 1) << rate;
    EXPECT_GE(begun, rate * 10) << rate;
  }
}

TEST(call_pacer, a_low_rate_gives_single_calls_evenly) {
  call_pacer calls = pacer(16, 10);
  EXPECT_EQ(calls.available(16, start), 2u);  // a tenth of a second of burst, and the first
  calls.began(2, start);
  EXPECT_EQ(calls.available(16, start), 0u);
  EXPECT_EQ(calls.next(start), start + 100_ms);
  EXPECT_EQ(calls.available(16, start + 100_ms), 1u);
}

TEST(call_pacer, idle_time_is_not_saved_up_beyond_the_burst) {
  call_pacer calls = pacer(1'000, 100);
  calls.began(calls.available(1'000, start), start);
  EXPECT_LE(calls.available(1'000, start + 60_s), 11u);
}

TEST(call_pacer, a_busy_worker_is_left_alone_as_long_as_it_says) {
  call_pacer calls = pacer(8);
  calls.began(1, start);
  EXPECT_EQ(calls.refused(7_s, start), 7_s);
  EXPECT_EQ(calls.available(8, start + 6999_ms), 0u);
  EXPECT_EQ(calls.next(start), start + 7_s);
  EXPECT_EQ(calls.available(8, start + 7_s), 4u);  // half of what there was
}

TEST(call_pacer, without_a_word_of_how_long_the_pause_doubles_until_the_worker_answers) {
  call_pacer calls = pacer(1);
  time_point now = start;
  for (const duration expected : {1_s, 2_s, 4_s, 8_s, 16_s, 32_s, 60_s, 60_s}) {
    calls.began(1, now);
    EXPECT_EQ(calls.refused(std::nullopt, now), expected);
    now = now + expected;
  }
  calls.began(1, now);
  calls.answered();
  calls.began(1, now);
  EXPECT_EQ(calls.refused(std::nullopt, now), 1_s);
}

TEST(call_pacer, a_worker_that_says_at_once_is_left_alone_as_one_that_says_nothing) {
  call_pacer calls = pacer(1);
  time_point now = start;
  for (const duration expected : {1_s, 2_s, 4_s}) {
    calls.began(1, now);
    EXPECT_EQ(calls.refused(0_s, now), expected);
    EXPECT_EQ(calls.available(1, now + expected - 1_ms), 0u);
    now = now + expected;
  }
}

TEST(call_pacer, calls_refused_together_count_as_one_refusal) {
  call_pacer calls = pacer(4);
  calls.began(4, start);
  for (int i = 0; i < 4; ++i) calls.refused(std::nullopt, start);
  EXPECT_LE(calls.next(start), start + 2_s);
  EXPECT_EQ(calls.window(), 2u);
  calls.began(2, start + 2_s);
  calls.answered();
  EXPECT_EQ(calls.refused(std::nullopt, start + 2_s), 1_s);  // news: the answer was one, too
  EXPECT_EQ(calls.window(), 1u);
}

TEST(call_pacer, a_call_that_was_on_its_way_may_end_long_after_the_refusal) {
  call_pacer calls = pacer(8);
  calls.began(8, start);
  calls.refused(1_s, start);
  for (int i = 0; i < 6; ++i) calls.failed();
  EXPECT_EQ(calls.refused(1_s, start + 30_s), 1_s);
  EXPECT_EQ(calls.window(), 4u);
  calls.began(1, start + 31_s);
  calls.refused(1_s, start + 31_s);
  EXPECT_EQ(calls.window(), 2u);
}

TEST(call_pacer, the_window_grows_again_with_answers) {
  call_pacer calls = pacer(8);
  calls.began(1, start);
  calls.refused(0_s, start);
  EXPECT_EQ(calls.window(), 4u);
  for (int i = 0; i < 10; ++i) {
    calls.began(1, start);
    calls.answered();
  }
  EXPECT_EQ(calls.window(), 8u);
}

TEST(call_pacer, new_limits_keep_what_is_known_of_the_worker) {
  call_pacer calls = pacer(8);
  calls.set_limits(16, 0);
  EXPECT_EQ(calls.window(), 16u);  // it was never too busy
  calls.began(1, start);
  calls.refused(0_s, start);
  calls.set_limits(32, 0);
  EXPECT_EQ(calls.window(), 8u);
  calls.set_limits(4, 0);
  EXPECT_EQ(calls.window(), 4u);
}

TEST(call_pacer, another_worker_is_not_taken_for_busy_and_calls_on_their_way_count) {
  call_pacer calls = pacer(8);
  calls.began(2, start);
  calls.refused(24_h, start);
  calls.forget_worker();
  EXPECT_EQ(calls.available(10, start), 7u);
  calls.failed();
  EXPECT_EQ(calls.available(10, start), 8u);
}

}  // namespace
}  // namespace weir::call_pacer_test
