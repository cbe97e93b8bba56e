#include <weir/sim/turns.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>

namespace weir::turns_test {
namespace {

std::vector<task_turn> grouped(const std::vector<std::uint64_t>& order) {
  std::vector<task_turn> turns;
  for (const std::uint64_t id : order) {
    if (turns.empty() || turns.back().task != id) turns.push_back({.task = id});
    ++turns.back().steps;
  }
  return turns;
}

/// A program that fails when task 2 has a step between the first and the last one of task 1. Each
/// turn but the first is an exception.
class overtaken final : public turn_trial {
 public:
  bool fails(const std::vector<std::uint64_t>& order, choice_log& used,
             std::vector<task_turn>& turns) override {
    ++asked;
    turns = grouped(order);
    used.exceptions.assign(turns.size() - 1, {.value = 1});
    const auto first = std::find(order.begin(), order.end(), 1);
    const auto last = std::find(order.rbegin(), order.rend(), 1).base();
    return std::find(first, last, 2) != last;
  }
  std::uint64_t asked = 0;
};

const std::vector<std::uint64_t> busy_order{1, 3, 1, 2, 3, 1, 2, 1, 3};

choice_log as_found() {
  choice_log log;
  log.exceptions.assign(grouped(busy_order).size() - 1, {.value = 1});
  return log;
}

TEST(Turns, are_joined_until_none_is_too_many) {
  overtaken program;
  std::uint64_t runs = 0;
  const choice_log made = join_turns(as_found(), grouped(busy_order), program, 1'000, runs);
  EXPECT_EQ(made.exceptions.size(), 3u) << "1, 2, 1, and 3 at either end";
  EXPECT_EQ(runs, program.asked);
}

TEST(Turns, stay_as_they_are_when_no_two_can_be_joined) {
  overtaken program;
  std::uint64_t runs = 0;
  choice_log log;
  log.exceptions.assign(2, {.value = 1});
  EXPECT_EQ(join_turns(log, grouped({1, 2, 1}), program, 1'000, runs).exceptions.size(), 2u);
  EXPECT_EQ(runs, 144u) << "2 joins, and those of 300 moves of the walk that there are";
  EXPECT_EQ(runs, program.asked);
}

/// Task 1 may have one turn only where 3 goes before 2, so the two change places first.
class needs_a_walk final : public turn_trial {
 public:
  bool fails(const std::vector<std::uint64_t>& order, choice_log& used,
             std::vector<task_turn>& turns) override {
    turns = grouped(order);
    used.exceptions.assign(turns.size() - 1, {.value = 1});
    const bool is_split = std::count_if(turns.begin(), turns.end(),
                                        [](const task_turn& one) { return one.task == 1; }) > 1;
    const auto place = [&](std::uint64_t task) {
      return std::find(order.begin(), order.end(), task) - order.begin();
    };
    return order.size() == 4 && (is_split || place(3) < place(2));
  }
};

TEST(Turns, are_moved_when_no_two_can_be_joined_where_they_are) {
  needs_a_walk program;
  std::uint64_t runs = 0;
  choice_log log;
  log.exceptions.assign(3, {.value = 1});
  EXPECT_EQ(join_turns(log, grouped({1, 2, 1, 3}), program, 1'000, runs).exceptions.size(), 2u);
}

TEST(Turns, are_tried_no_more_often_than_allowed) {
  overtaken program;
  std::uint64_t runs = 5;
  join_turns(as_found(), grouped(busy_order), program, 1, runs);
  EXPECT_EQ(program.asked, 1u);
  EXPECT_EQ(runs, 6u) << "added to those before";
}

}  // namespace
}  // namespace weir::turns_test
