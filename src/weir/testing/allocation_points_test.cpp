#include <weir/testing/allocation_points.hpp>

#include <weir/core/with_scope.hpp>
#include <weir/io/file.hpp>
#include <weir/testing/allocations.hpp>

#include <gtest/gtest-spi.h>

#include <memory>
#include <stdexcept>
#include <string>

namespace weir::allocation_points_test {
namespace {

constexpr const char* need_an_allocator = "not under ThreadSanitizer";

using box = std::unique_ptr<int>;

task<> takes_three() {
  const box first = std::make_unique<int>(1);
  const box second = std::make_unique<int>(2);
  EXPECT_EQ(*first + *second, 3);
  co_return;
}

task<> raises_something_else() {
  box made;
  try {
    made = std::make_unique<int>(1);
  } catch (const std::bad_alloc&) {
    throw std::runtime_error("a stranger");
  }
  EXPECT_EQ(*made, 1);
  co_return;
}

TEST(ForEachAllocation, strikes_each_allocation_of_the_program_once_frames_included) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << need_an_allocator;
  // The frame of the scenario, and the two boxes.
  EXPECT_EQ(testing::for_each_allocation(&takes_three), 3u);
}

// A program asks its world for much, which is not of its memory.
TEST(ForEachAllocation, leaves_the_world_alone) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << need_an_allocator;
  const std::size_t with_little = testing::for_each_allocation([]() -> task<> {
    file log = co_await open_file("/log", {.write = true, .create = true});
    co_await log.write_at(0, "x");
  });
  const std::size_t with_much = testing::for_each_allocation([]() -> task<> {
    file log = co_await open_file("/log", {.write = true, .create = true});
    co_await log.write_at(std::uint64_t{1} << 20, "x");
  });
  EXPECT_EQ(with_much, with_little);
}

TEST(ForEachAllocation, takes_the_want_of_memory_as_an_answer_in_a_group_too) {
  testing::for_each_allocation([]() -> task<> {
    co_await with_scope([](scope& s) -> task<> {
      for (int i = 0; i < 3; ++i) s.spawn(&takes_three);
      co_return;
    });
  });
}

TEST(ForEachAllocation, finds_an_error_that_says_something_else) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << need_an_allocator;
  EXPECT_NONFATAL_FAILURE(testing::for_each_allocation(&raises_something_else), "a stranger");
}

}  // namespace
}  // namespace weir::allocation_points_test
