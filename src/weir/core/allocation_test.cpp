// The first, second, ... n-th allocation fails, until a whole scenario passes untouched. Frames are
// pooled in most builds, so that few allocations reach the system; under AddressSanitizer each
// frame is one and can fail. ThreadSanitizer keeps the allocator for itself, so there this file is
// empty.
#include <weir/core/as_result.hpp>
#include <weir/core/combine.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/start.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <new>
#include <utility>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEIR_ALLOCATOR_IS_TAKEN 1
#endif
#endif

#ifndef WEIR_ALLOCATOR_IS_TAKEN

namespace {

thread_local std::size_t allocations_left = 0;  // 0: none fails
thread_local bool has_failed = false;

bool must_fail() noexcept {
  if (allocations_left == 0 || --allocations_left != 0) return false;
  has_failed = true;
  return true;
}

}  // namespace

void* operator new(std::size_t size) {
  void* memory = must_fail() ? nullptr : std::malloc(size);
  if (!memory) throw std::bad_alloc();
  return memory;
}
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return must_fail() ? nullptr : std::malloc(size);
}
void operator delete(void* memory) noexcept { std::free(memory); }
void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { std::free(memory); }

namespace weir {
namespace {

using namespace weir::literals;

// Frames of this size are never pooled: their allocations fail in every build.
struct ballast {
  std::array<char, 4096> bytes{};
  ~ballast() { touch(); }
  /// Keeps the compiler from leaving it out of the frame.
  void touch() noexcept { asm volatile("" : : "r"(bytes.data()) : "memory"); }
};

task<int> heavy(int value) {
  ballast held;
  held.bytes[0] = static_cast<char>(value);
  held.touch();
  co_await sleep(1_ms);
  co_return held.bytes[0];
}

task<int> scenario() {
  int sum = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn(
          [](int* to, int value) -> task<> {
            ballast held;
            held.bytes[1] = static_cast<char>(value);
            held.touch();
            co_await yield();
            *to += held.bytes[1];
          },
          &sum, i);
    }
    const auto outcome = co_await as_result(with_timeout(5_ms, heavy(10)));
    if (!outcome) raise(outcome.error());
    sum += *outcome;
    co_await s.join();
    auto [a, b] = co_await when_all(heavy(20), heavy(30));
    sum += a + b + co_await when_any(heavy(40), heavy(40));
    sum += co_await start<int>(s, [](readiness<int>& ready) -> task<> {
      ballast held;
      ready(held.bytes[2]);
      co_await sleep(1_ms);
    });
    loop::current()->post([held = ballast()]() mutable { held.touch(); });
    co_await s.spawn_when_room(&heavy, 1);
  });
  co_return sum;
}

TEST(Allocation, any_that_fails_is_an_error_of_its_task_and_nothing_is_left_behind) {
  std::size_t failures = 0;
  for (std::size_t nth = 1; nth < 10'000; ++nth) {
    bool is_untouched = false;
    testing::run_virtual([](std::size_t n, bool* untouched, std::size_t* count) -> task<> {
      has_failed = false;
      bool is_heard = false;
      int sum = 0;
      allocations_left = n;
      try {
        sum = co_await scenario();
      } catch (...) {
        is_heard = true;
      }
      allocations_left = 0;
      *untouched = !has_failed;
      *count += has_failed ? 1 : 0;
      if (is_heard) {
        EXPECT_TRUE(has_failed) << "an error without a reason";
      } else {
        // Nothing was heard: then nothing may be missing either.
        EXPECT_EQ(sum, 0 + 1 + 2 + 10 + 20 + 30 + 40) << "allocation " << n;
      }
    }(nth, &is_untouched, &failures));
    if (is_untouched || HasFailure()) break;
  }
  EXPECT_GE(failures, 10u) << "the loop reached nothing";
}

TEST(Allocation, a_post_without_memory_gives_its_place_back) {
  virtual_driver driver;
  loop on(driver, {.posts_max = 1});
  bool has_run = false;
  allocations_left = 1;
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

#endif
