#include <weir/core/combine_many.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/combine.hpp>
#include <weir/core/combine_kit_test.hpp>
#include <weir/core/sleep.hpp>
#include <weir/testing/allocation_points.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::combine_many_test {
namespace {

using namespace weir::combine_kit;
using namespace weir::literals;
using testing::elapsed;
using ::testing::ElementsAre;
using testing::errors_of;
using testing::expect_raises;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAreArray;

task<int> finishing_anyway(duration length, int value) {
  co_await shield(nap(length));
  co_return value;
}
task<int> failing_when_cut(const char* text) {
  EXPECT_FALSE(co_await as_result(sleep(1_h)));
  raise(error(errc::broken, text));
}
task<> giving_up(duration length) {
  co_await sleep(length);
  scope::current()->cancel("not needed any more");
  co_await sleep(1_h);
}

/// Counts those that live.
class living {
 public:
  explicit living(int* count) noexcept : count_(count) { ++*count_; }
  living(living&& other) noexcept : count_(other.count_) { ++*count_; }
  living& operator=(living&&) = delete;
  ~living() { --*count_; }

 private:
  int* count_;
};
task<living> live_for(int* count, duration length) {
  living here(count);
  co_await sleep(length);
  co_return here;
}

template <class T, class... More>
std::vector<task<T>> tasks(task<T> first, More... more) {
  std::vector<task<T>> all;
  all.push_back(std::move(first));
  (all.push_back(std::move(more)), ...);
  return all;
}

WEIR_TEST("when_all of a vector gives all values in the order of the tasks, in the longest time") {
  std::vector<task<int>> many;
  for (int i = 0; i < 20; ++i) many.push_back(after(duration::milliseconds(20 - i), i));
  const std::vector<int> values = co_await when_all(std::move(many));
  EXPECT_EQ(values.size(), 20u);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], i);
  EXPECT_EQ(elapsed(), 20_ms);
}

WEIR_TEST("when_all of a vector of tasks without values waits for all of them") {
  co_await when_all(tasks(nap(1_ms), nap(3_ms), nap(2_ms)));
  EXPECT_EQ(elapsed(), 3_ms);
}

WEIR_TEST("a vector's values may be of a kind that can't be copied, or bits") {
  const auto make = [](int value) -> task<std::unique_ptr<int>> {
    co_return std::make_unique<int>(value);
  };
  auto pointers = co_await when_all(tasks(make(1), make(2)));
  EXPECT_EQ(*pointers[0] * 10 + *pointers[1], 12);
  EXPECT_EQ(*co_await first_success(tasks(make(3))), 3);
  const auto flag = [](bool value) -> task<bool> { co_return value; };
  EXPECT_THAT(co_await when_all(tasks(flag(true), flag(false))), ElementsAre(true, false));
  const auto ends = co_await all_settled(tasks(flag(true), flag(false)));
  EXPECT_EQ(ends.size(), 2u);
}

WEIR_TEST("spawn_when_room gives a handle, as spawn does") {
  co_await with_scope({.tasks_max = 1}, [](scope& s) -> task<> {
    const spawned<int> first = co_await s.spawn_when_room([]() -> task<int> { co_return 1; });
    const spawned<int> second =
        co_await s.spawn_when_room([](int of) -> task<int> { co_return of + 1; }, 1);
    EXPECT_EQ(co_await second, 2);
    EXPECT_EQ(co_await first, 1);
  });
}

struct gauge {
  int running = 0;
  int most = 0;
  std::vector<int> begun;
};

task<int> counted(gauge* all, int number, duration length) {
  all->begun.push_back(number);
  all->most = std::max(all->most, ++all->running);
  co_await sleep(length);
  --all->running;
  co_return number;
}

WEIR_TEST("when_all of a vector runs a few at a time and gives all values") {
  gauge all;
  std::vector<task<int>> many;
  for (int i = 0; i < 20; ++i) many.push_back(counted(&all, i, 1_ms * (1 + i % 3)));
  const std::vector<int> values = co_await when_all(std::move(many), 3);
  WEIR_REQUIRE(values.size() == 20);
  for (int i = 0; i < 20; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], i);
  EXPECT_THAT(all.begun, UnorderedElementsAreArray(values));
  EXPECT_EQ(all.most, 3);
}

WEIR_TEST("after the first error of when_all with a bound nobody begins any more") {
  gauge all;
  std::vector<task<int>> many;
  many.push_back(counted(&all, 0, 5_ms));
  many.push_back([](gauge*) -> task<int> {
    co_await sleep(2_ms);
    throw std::runtime_error("second");
  }(&all));
  for (int i = 2; i < 10; ++i) many.push_back(counted(&all, i, 5_ms));
  EXPECT_THAT(co_await errors_of(when_all(std::move(many), 2)), ElementsAre("second"));
  EXPECT_THAT(all.begun, ElementsAre(0));
}

WEIR_TEST("of no tasks when_all and all_settled give nothing at once, and there is no first") {
  EXPECT_TRUE((co_await when_all(std::vector<task<int>>())).empty());
  co_await when_all(std::vector<task<>>());
  EXPECT_TRUE((co_await all_settled(std::vector<task<int>>())).empty());
  co_await expect_raises<errc::invalid_argument>(when_any(std::vector<task<int>>()));
  co_await expect_raises<errc::invalid_argument>(when_any(std::vector<task<>>()));
  co_await expect_raises<errc::invalid_argument>(race(std::vector<task<int>>()));
  co_await expect_raises<errc::invalid_argument>(first_success(std::vector<task<int>>()));
  EXPECT_EQ(elapsed(), 0_ms);
}

WEIR_TEST("the first error of when_all of a vector cancels the others, and all errors arrive") {
  int alive = 0;
  const auto live = [](int* count) -> task<int> {
    const living here(count);
    co_await sleep(1_h);
    co_return 1;
  };
  EXPECT_THAT(co_await errors_of(when_all(
                  tasks(live(&alive), failing_when_cut("second"), failing(1_ms, "first")))),
              ElementsAre(HasSubstr("first"), HasSubstr("second")));
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(elapsed(), 1_ms);
}

WEIR_TEST("when_any of a vector gives the first value, and the losers have ended by then") {
  EXPECT_EQ(co_await when_any(tasks(after(1_h, 1), after(1_ms, 2), finishing_anyway(7_ms, 3))), 2);
  EXPECT_EQ(elapsed(), 7_ms);
  EXPECT_EQ(loop::current()->stats().timers_live, 0u);
}

WEIR_TEST("of a vector of tasks without values when_any and first_success tell who was first") {
  EXPECT_EQ(co_await when_any(tasks(nap(3_ms), nap(2_ms), nap(1_ms))), 2u);
  const auto fail = []() -> task<> {
    co_await sleep(1_ms);
    raise(error(errc::broken));
  };
  EXPECT_EQ(co_await first_success(tasks(fail(), nap(2_ms), nap(3_ms))), 1u);
}

WEIR_TEST("values of losers of when_any of a vector are destroyed, also those that were there") {
  int alive = 0;
  {
    const living winner = co_await when_any(
        tasks(live_for(&alive, 1_ms), live_for(&alive, 1_ms), live_for(&alive, 1_h)));
    EXPECT_EQ(alive, 1);
  }
  EXPECT_EQ(alive, 0);
}

WEIR_TEST("an error of the first of when_any of a vector is raised, and one of a loser is heard") {
  EXPECT_THAT(co_await errors_of(when_any(tasks(after(1_h, 1), failing(1_ms, "first")))),
              ElementsAre(HasSubstr("first")));
  EXPECT_THAT(co_await errors_of(when_any(tasks(failing_when_cut("late"), after(1_ms, 1)))),
              ElementsAre(HasSubstr("late")));
}

WEIR_TEST("race of a vector keeps the values of losers that were there") {
  auto ends = co_await race(tasks(finishing_anyway(7_ms, 1), after(1_h, 2), after(1_ms, 3)));
  EXPECT_EQ(ends.size(), 3u);
  EXPECT_EQ(*ends[0], 1);
  EXPECT_FALSE(ends[1]);
  EXPECT_EQ(*ends[2], 3);
  EXPECT_EQ(elapsed(), 7_ms);
  EXPECT_THAT(co_await errors_of(race(tasks(after(1_h, 1), failing(1_ms, "first")))),
              ElementsAre(HasSubstr("first")));
}

WEIR_TEST("first_success of a vector gives the value that was first, wherever it stands") {
  EXPECT_EQ(co_await first_success(tasks(failing(1_ms, "down"), finishing_anyway(7_ms, 1),
                                         after(2_ms, 2), after(1_h, 3))),
            2);
  EXPECT_EQ(elapsed(), 7_ms);
}

WEIR_TEST("first_success of a vector raises all errors in the order of the tasks when all fail") {
  EXPECT_THAT(co_await errors_of(first_success(
                  tasks(failing(3_ms, "one"), failing(1_ms, "two"), failing(2_ms, "three")))),
              ElementsAre(HasSubstr("one"), HasSubstr("two"), HasSubstr("three")));
}

WEIR_TEST("all_settled of a vector gives every outcome, and no error cancels a task") {
  auto ends = co_await all_settled(tasks(after(5_ms, 1), failing(1_ms, "down"), after(2_ms, 3)));
  EXPECT_EQ(*ends[0], 1);
  EXPECT_THAT(testing::texts_of(ends[1].failure()), ElementsAre(HasSubstr("down")));
  EXPECT_EQ(*ends[2], 3);
  EXPECT_EQ(elapsed(), 5_ms);
  const auto bare = co_await all_settled(tasks(nap(1_ms), nap(2_ms)));
  EXPECT_TRUE(bare[0] && bare[1]);
}

WEIR_TEST("a task of a vector that cancels the scope around it ends the whole as cancelled") {
  co_await expect_raises<errc::cancelled>(when_all(tasks(giving_up(1_ms), nap(1_h))));
  co_await expect_raises<errc::cancelled>(when_any(tasks(nap(1_h), giving_up(1_ms))));
  co_await expect_raises<errc::cancelled>(race(tasks(giving_up(1_ms), nap(1_h))));
  co_await expect_raises<errc::cancelled>(first_success(tasks(nap(1_h), giving_up(1_ms))));
  const auto ends = co_await all_settled(tasks(nap(1_ms), giving_up(2_ms), nap(1_h)));
  EXPECT_TRUE(ends[0]);
  EXPECT_FALSE(ends[1] || ends[2]);
  EXPECT_EQ(elapsed(), 6_ms);
}

WEIR_TEST("tasks of a vector that is dropped before it is awaited never begin") {
  int alive = 0;
  {
    const auto never = when_any(tasks(live_for(&alive, 1_ms), live_for(&alive, 1_ms)));
  }
  EXPECT_EQ(alive, 0);
  co_return;
}

template <class Combine>
void check_without_memory(Combine) {
  testing::for_each_allocation([]() -> task<> {
    int alive = 0;
    try {
      co_await Combine{}(&alive);
    } catch (...) {
      EXPECT_EQ(alive, 0);
      throw;
    }
    EXPECT_EQ(alive, 0);
  });
}

TEST(Allocation, a_combination_of_a_vector_without_memory_raises_that_and_leaves_no_task) {
  check_without_memory([](int* count) -> task<> {
    EXPECT_EQ((co_await when_all(
                   tasks(live_for(count, 1_ms), live_for(count, 2_ms), live_for(count, 1_ms))))
                  .size(),
              3u);
  });
  check_without_memory([](int* count) -> task<> {
    std::ignore = co_await when_any(tasks(live_for(count, 1_ms), live_for(count, 1_h)));
  });
  check_without_memory([](int* count) -> task<> {
    std::ignore = co_await race(tasks(live_for(count, 1_ms), live_for(count, 1_h)));
  });
}

// Whatever the point: no branch lives when the combination has ended, and no value is left.
template <class Combine>
void check_that_branches_end(Combine) {
  const std::size_t cancelled = testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    int alive = 0;
    co_await v.run([](int* count) -> task<> { co_await Combine{}(count); }(&alive));
    EXPECT_EQ(alive, 0);
    EXPECT_EQ(loop::current()->stats().timers_live, 0u);
  });
  EXPECT_GT(cancelled, 5u);
}

TEST(CancelledWaits, a_combination_of_a_vector_of_tasks_leaves_no_branch_behind) {
  check_that_branches_end([](int* count) -> task<> {
    std::ignore = co_await when_all(tasks(live_for(count, 1_ms), live_for(count, 2_ms)));
  });
  check_that_branches_end([](int* count) -> task<> {
    std::ignore = co_await when_any(tasks(live_for(count, 1_ms), live_for(count, 1_h)));
  });
  check_that_branches_end([](int* count) -> task<> {
    std::ignore = co_await race(tasks(live_for(count, 1_ms), live_for(count, 1_h)));
  });
  check_that_branches_end([](int* count) -> task<> {
    std::ignore = co_await first_success(tasks(live_for(count, 1_ms), live_for(count, 1_h)));
  });
  check_that_branches_end([](int* count) -> task<> {
    std::ignore = co_await all_settled(tasks(live_for(count, 1_ms), live_for(count, 2_ms)));
  });
}

}  // namespace
}  // namespace weir::combine_many_test
