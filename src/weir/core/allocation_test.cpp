// The first, second, ... n-th allocation fails, until a whole scenario passes untouched.
#include <weir/core/as_result.hpp>
#include <weir/core/combine.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/start.hpp>
#include <weir/testing/allocation_points.hpp>
#include <weir/testing/allocations.hpp>

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <new>
#include <utility>

namespace weir {
namespace {

using namespace weir::literals;

task<int> later(int value) {
  co_await sleep(1_ms);
  co_return value;
}

task<int> scenario() {
  int sum = 0;
  const auto posted = std::make_shared<int>(0);
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn(
          [](int* to, int value) -> task<> {
            co_await yield();
            *to += value;
          },
          &sum, i);
    }
    const auto outcome = co_await as_result(with_timeout(5_ms, later(10)));
    if (!outcome) {
      co_await checkpoint();  // a sibling without memory has cancelled it
      raise(outcome.error());
    }
    sum += *outcome;
    co_await s.join();
    auto [a, b] = co_await when_all(later(20), later(30));
    sum += a + b + co_await when_any(later(40), later(40));
    sum += co_await start<int>(s, [](readiness<int>& ready) -> task<> {
      ready(50);
      co_await sleep(1_ms);
    });
    // It runs whatever becomes of us, perhaps only when the loop ends.
    loop::current()->post([posted] { *posted = 60; });
    co_await s.spawn_when_room(&later, 1);
  });
  co_return sum + *posted;
}

TEST(Allocation, any_that_fails_is_an_error_of_its_task_and_nothing_is_left_behind) {
  testing::for_each_allocation([]() -> task<> {
    // Nothing was heard: then nothing may be missing either.
    EXPECT_EQ(co_await scenario(), 0 + 1 + 2 + 10 + 20 + 30 + 40 + 50 + 60);
  });
}

TEST(Allocation, a_post_without_memory_gives_its_place_back) {
  if (!testing::are_allocations_ours()) GTEST_SKIP() << "not under ThreadSanitizer";
  virtual_driver driver;
  loop on(driver, {.posts_max = 1});
  bool has_run = false;
  const testing::failing_allocation first(1);
  const auto too_large_for_the_pool = [ballast = std::array<char, detail::frame_size_max>()] {
    ADD_FAILURE() << ballast.size();
  };
  EXPECT_THROW(on.post(too_large_for_the_pool), std::bad_alloc);
  EXPECT_TRUE(on.post([&] { has_run = true; }));
  on.root().spawn([]() -> task<> { co_return; });
  on.run();
  EXPECT_TRUE(has_run);
}

}  // namespace
}  // namespace weir
