#include <weir/apps/advice.hpp>

#include <weir/base/error.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir::advice_test {
namespace {

using namespace literals;
using enum program_shape;
using enum shape_standing;

constexpr workload usual{.wait = 5_ms, .cpu = 20_us, .concurrency = 1000, .cores = 2};

shape_figures figures(program_shape shape, double per_second, duration p99, double busy = 0.5) {
  return {.shape = shape,
          .concurrency = usual.concurrency,
          .per_second = per_second,
          .p50 = {p99},
          .p99 = {p99},
          .cpu_ns = 20'000,
          .busy = busy};
}

std::string all_reasons(const advice& given) {
  std::string out;
  for (const std::string& reason : given.reasons) out += reason + "\n";
  return out;
}

void expect_reason(const advice& given, std::string_view text) {
  EXPECT_NE(all_reasons(given).find(text), std::string::npos) << text << "\nis not in:\n"
                                                              << all_reasons(given);
}

TEST(advice, of_equals_the_simplest_is_advised) {
  const std::vector<shape_figures> all{figures(plain, 1000, 6_ms), figures(tasks, 1000, 6_ms),
                                       figures(tasks_and_pool, 1000, 6_ms),
                                       figures(loops, 1000, 6_ms), figures(threads, 1000, 6_ms)};
  for (std::size_t simplest = 0; simplest < all.size(); ++simplest) {
    const advice given = advise(usual, std::span(all).subspan(simplest));
    EXPECT_EQ(given.advised, all[simplest].shape);
    EXPECT_EQ(given.standings.front(), advised);
    EXPECT_EQ(std::ranges::count(given.standings, fits), std::ssize(given.standings) - 1);
  }
}

TEST(advice, does_not_depend_on_the_order_of_the_rows) {
  const std::vector<shape_figures> rows{figures(threads, 1000, 6_ms), figures(tasks, 1000, 6_ms),
                                        figures(plain, 10, 6_ms)};
  const advice given = advise(usual, rows);
  EXPECT_EQ(given.advised, tasks);
  EXPECT_EQ(given.standings, (std::vector{fits, advised, slow}));
}

TEST(advice, a_simple_shape_may_be_a_tenth_slower_and_no_more) {
  EXPECT_EQ(
      advise(usual, std::vector{figures(tasks, 901, 6_ms), figures(loops, 1000, 6_ms)}).advised,
      tasks);
  const advice given =
      advise(usual, std::vector{figures(tasks, 899, 6_ms), figures(loops, 1000, 6_ms)});
  EXPECT_EQ(given.advised, loops);
  EXPECT_EQ(given.standings, (std::vector{slow, advised}));
  expect_reason(given, "Tasks on one loop: 899 requests a second, 90 % of the most.");
}

TEST(advice, a_simple_shape_may_be_a_quarter_later_and_no_more) {
  EXPECT_EQ(advise(usual, std::vector{figures(tasks, 1000, 12400_us), figures(loops, 1000, 10_ms)})
                .advised,
            tasks);
  const advice given =
      advise(usual, std::vector{figures(tasks, 1000, 12600_us), figures(loops, 1000, 10_ms)});
  EXPECT_EQ(given.advised, loops);
  EXPECT_EQ(given.standings, (std::vector{late, advised}));
  expect_reason(given, "100 % of the most, but 99 % of them within 13 ms only.");
}

TEST(advice, latencies_within_the_noise_of_a_measurement_are_equal) {
  EXPECT_EQ(advise(usual, std::vector{figures(tasks, 1000, 190_us), figures(threads, 1000, 5_us)})
                .advised,
            tasks);
  EXPECT_EQ(advise(usual, std::vector{figures(tasks, 1000, 210_us), figures(threads, 1000, 5_us)})
                .advised,
            threads);
}

TEST(advice, a_shape_that_does_next_to_nothing_sets_no_latency) {
  const advice given =
      advise(usual, std::vector{figures(plain, 10, 1_ms), figures(tasks, 1000, 9_ms)});
  EXPECT_EQ(given.advised, tasks);
  EXPECT_EQ(given.standings, (std::vector{slow, advised}));
}

TEST(advice, what_was_measured_in_part_is_never_advised_and_sets_no_mark) {
  shape_figures fewer = figures(threads, 9000, 1_ms);
  fewer.gap = shape_gap::too_many_threads;
  fewer.concurrency = 200;
  const advice given = advise(usual, std::vector{figures(tasks, 1000, 6_ms), fewer});
  EXPECT_EQ(given.advised, tasks);
  EXPECT_EQ(given.standings, (std::vector{advised, not_measured}));
  expect_reason(given,
                "A thread for each request: not measured with 1000, but with 200 threads at most.");
}

TEST(advice, gaps_are_told_with_their_reasons) {
  const auto gap = [](program_shape shape, shape_gap why) {
    return shape_figures{.shape = shape, .gap = why};
  };
  const advice given =
      advise(usual, std::vector{figures(plain, 1000, 6_ms), gap(loops, shape_gap::one_core),
                                gap(tasks_and_pool, shape_gap::nothing_to_compute),
                                gap(threads, shape_gap::failed), gap(tasks, shape_gap::no_driver)});
  EXPECT_EQ(given.advised, plain);
  expect_reason(given, "Tasks on a loop for each core: not measured: there is one core.");
  expect_reason(given, "computing on a pool: not measured: there is nothing to compute.");
  expect_reason(given,
                "for each request: not measured: it was ended, as a rule for want of memory.");
  expect_reason(given, "Tasks on one loop: not measured: no loop runs here.");
}

TEST(advice, without_a_whole_measurement_there_is_none) {
  shape_figures none{.shape = plain, .gap = shape_gap::failed};
  EXPECT_THROW(advise(usual, std::span(&none, 1)), exception);
  EXPECT_THROW(advise(usual, {}), exception);
}

TEST(advice, says_what_the_advised_shape_does) {
  EXPECT_TRUE(advise(usual, std::vector{figures(tasks, 1000, 6_ms, 0.04)})
                  .reasons.front()
                  .starts_with("Tasks on one loop: 1000 requests a second, 99 % of them within "
                               "6.0 ms, with 0.08 of 2 processors busy. "));
}

TEST(advice, what_sets_the_pace_is_told) {
  struct {
    program_shape shape;
    double per_second;
    double busy;
    std::string_view says;
  } const cases[] = {
      // 1000 requests of 5.02 ms are 199,203 a second; one at a time are 199.
      {tasks, 190'000, 0.40, "The waits set the pace"},
      {tasks, 140'000, 0.40, "The waits set the pace"},
      {tasks, 139'000, 0.40, "Neither the waits nor"},
      {tasks, 49'000, 0.43, "Its one processor is full"},
      {loops, 95'000, 0.86, "Computing sets the pace"},
      {loops, 95'000, 0.84, "Neither the waits nor"},
      {threads, 190'000, 0.50, "The waits set the pace"},
      {plain, 190, 0.01, "The waits set the pace"},
      {plain, 130, 0.01, "Neither the waits nor"},
      {plain, 190, 0.49, "Its one processor is full"},
  };
  for (const auto& one : cases) {
    const advice given =
        advise(usual, std::vector{figures(one.shape, one.per_second, 6_ms, one.busy)});
    EXPECT_NE(given.reasons.front().find(one.says), std::string::npos) << given.reasons.front();
  }
  workload alone = usual;
  alone.cores = 1;
  EXPECT_NE(advise(alone, std::vector{figures(tasks, 49'000, 6_ms, 0.9)})
                .reasons.front()
                .find("Computing sets the pace"),
            std::string::npos);
}

TEST(advice, long_computing_on_a_loop_is_warned_of) {
  workload load = usual;
  load.cpu = 3_ms;
  const auto pace = [&](program_shape shape) {
    return advise(load, std::vector{figures(shape, 1000, 6_ms)}).reasons.front();
  };
  const std::string_view warning =
      "While one request computes, for 3.0 ms, the others of its loop stand still.";
  EXPECT_TRUE(pace(tasks).ends_with(warning)) << pace(tasks);
  EXPECT_TRUE(pace(loops).ends_with(warning)) << pace(loops);
  EXPECT_FALSE(pace(tasks_and_pool).ends_with(warning));
  EXPECT_FALSE(pace(threads).ends_with(warning));
  load.concurrency = 1;
  EXPECT_FALSE(pace(tasks).ends_with(warning));
}

TEST(advice, what_a_fitting_shape_costs_more_is_told) {
  shape_figures cheap = figures(tasks, 1000, 6_ms);
  cheap.memory_bytes = 900 * 1024;
  cheap.switches = 0.02;
  shape_figures dear = figures(threads, 980, 6_ms);
  dear.memory_bytes = 12u << 20;
  dear.switches = 2;
  dear.cpu_ns = 50'000;
  const advice given = advise(usual, std::vector{cheap, dear});
  EXPECT_EQ(
      given.reasons.back(),
      "A thread for each request: 980 requests a second, 98 % of the most, with 12 MiB of memory "
      "instead of 900 KiB, with 2.0 context switches a request instead of 0.0, with 50 us of "
      "computing a request instead of 20 us; fits, but is less simple.");
}

TEST(advice, small_differences_of_costs_are_not_told) {
  shape_figures cheap = figures(tasks, 1000, 6_ms);
  cheap.memory_bytes = 100 * 1024;
  shape_figures other = figures(threads, 1000, 6_ms);
  other.memory_bytes = 1000 * 1024;
  other.switches = 0.4;
  other.cpu_ns = 29'000;
  EXPECT_EQ(
      advise(usual, std::vector{cheap, other}).reasons.back(),
      "A thread for each request: 1000 requests a second, 100 % of the most; fits, but is less "
      "simple.");
}

TEST(advice, shares_of_the_most_have_two_digits_at_most) {
  const auto against = [](double per_second) {
    return advise(usual,
                  std::vector{figures(plain, per_second, 6_ms), figures(tasks, 100'000, 6_ms)})
        .reasons.back();
  };
  EXPECT_TRUE(against(85'500).ends_with(" 86 % of the most.")) << against(85'500);
  EXPECT_TRUE(against(9400).ends_with(" 9.4 % of the most.")) << against(9400);
  EXPECT_TRUE(against(199).ends_with(" 0.2 % of the most.")) << against(199);
  EXPECT_TRUE(against(94).ends_with(" less than 0.1 % of the most.")) << against(94);
}

TEST(advice, a_latency_of_which_only_the_least_is_known_says_so) {
  EXPECT_EQ(format_latency(latency_figure{600_ms, true}), "over 600 ms");
  EXPECT_EQ(format_latency(latency_figure{6_ms, false}), "6.0 ms");
}

TEST(advice, names_are_different) {
  std::vector<std::string_view> names;
  for (std::size_t i = 0; i < shape_count; ++i) {
    names.push_back(name_of(static_cast<program_shape>(i)));
    names.push_back(title_of(static_cast<program_shape>(i)));
  }
  std::ranges::sort(names);
  EXPECT_EQ(std::ranges::adjacent_find(names), names.end());
  EXPECT_EQ(std::ranges::count(names, ""), 0);
}

}  // namespace
}  // namespace weir::advice_test
