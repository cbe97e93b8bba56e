// What flow allocates while it works: nothing. ThreadSanitizer keeps the allocator for itself, so
// there this file is empty.
#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/flow/gather.hpp>
#include <weir/flow/rate_limiter.hpp>
#include <weir/flow/shared_mutex.hpp>
#include <weir/testing/allocations.hpp>

#include <gtest/gtest.h>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEIR_ALLOCATOR_IS_TAKEN 1
#endif
#endif

#ifndef WEIR_ALLOCATOR_IS_TAKEN

namespace weir::flow_allocation_test {
namespace {

using namespace weir::literals;
using testing::allocations;

constexpr int rounds = 1000;

WEIR_TEST("the counter sees allocations") {
  const std::size_t before = allocations();
  delete new int(1);
  EXPECT_EQ(allocations(), before + 1);
  co_return;
}

FLOW_CONTRACT("sending and receiving allocates nothing, waiting or not") {
  auto [to, from] = Kit::template channel<int>(4);
  auto [back, returned] = Kit::template channel<int>(0);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      while (auto item = co_await from.receive()) {
        if (*item < 0) co_await back.send(*item);
      }
    });
    co_await yield();
    co_await to.send(-1);
    co_await returned.receive();
    const std::size_t before = allocations();
    for (int i = 0; i < rounds; ++i) {
      co_await to.send(i);
      if (i % 5 != 0) continue;
      co_await to.send(-1);
      co_await returned.receive();
    }
    EXPECT_EQ(allocations(), before);
    to.close();
  });
}

FLOW_CONTRACT("locks, permits and events allocate nothing, waiting or not") {
  typename Kit::mutex door;
  typename Kit::semaphore slots(1);
  typename Kit::auto_event turn;
  co_await with_scope([&](scope& s) -> task<> {
    bool is_over = false;
    s.spawn([&]() -> task<> {
      // NOLINTNEXTLINE(bugprone-infinite-loop): the other task ends it
      while (!is_over) {
        auto held = co_await door.lock();
        auto slot = co_await slots.acquire();
        turn.set();
        co_await yield();
      }
    });
    co_await turn.wait();
    const std::size_t before = allocations();
    for (int i = 0; i < rounds; ++i) {
      {
        auto held = co_await door.lock();
      }
      {
        auto slot = co_await slots.acquire();
      }
      co_await turn.wait();
    }
    EXPECT_EQ(allocations(), before);
    is_over = true;
  });
}

FLOW_CONTRACT("tokens and places for calls allocate nothing, waiting or not") {
  typename Kit::rate_limiter calls({.tokens = 1'000'000, .per = 1_s, .burst = 1});
  typename Kit::bulkhead pool({.calls_max = 1, .queue_max = 1, .wait_max = 1_s});
  co_await with_scope([&](scope& s) -> task<> {
    bool is_over = false;
    s.spawn([&]() -> task<> {
      // NOLINTNEXTLINE(bugprone-infinite-loop): the other task ends it
      while (!is_over) {
        auto place = co_await pool.enter();
        co_await calls.acquire();
      }
    });
    co_await sleep(1_ms);
    const std::size_t before = allocations();
    for (int i = 0; i < rounds; ++i) {
      auto place = co_await pool.enter();
      co_await calls.acquire();
    }
    EXPECT_EQ(allocations(), before);
    is_over = true;
  });
}

FLOW_CONTRACT("a select of two allocates nothing, whoever wins") {
  auto [to, from] = Kit::template channel<int>(1);
  typename Kit::event never;
  co_await sleep(1_ms);
  const std::size_t before = allocations();
  for (int i = 0; i < rounds; ++i) {
    co_await to.send(i);
    auto [item, heard] = co_await select(from.receive(), never.wait());
    EXPECT_EQ(**item, i);
    auto [nothing, late] = co_await select(from.receive(), sleep(1_ns));
    EXPECT_TRUE(late);
  }
  EXPECT_EQ(allocations(), before);
}

FLOW_CONTRACT("a timer that a select takes back allocates nothing") {
  typename Kit::auto_event ready;
  typename Kit::auto_event asked;
  co_await with_scope([&](scope& s) -> task<> {
    bool is_over = false;
    s.spawn([&]() -> task<> {
      for (;;) {
        co_await asked.wait();
        if (is_over) co_return;
        ready.set();
      }
    });
    co_await yield();
    const std::size_t before = allocations();
    for (int i = 0; i < rounds; ++i) {
      asked.set();
      auto [heard, late] = co_await select(ready.wait(), sleep(1_h));
      EXPECT_TRUE(heard);
      EXPECT_FALSE(late);
    }
    EXPECT_EQ(allocations(), before);
    is_over = true;
    asked.set();
  });
}

// AddressSanitizer builds have no pool, so there frames are counted, too.
#if !__has_feature(address_sanitizer)
WEIR_TEST("promises, handlers and their combinations live in the frame pool") {
  const auto round = [](int n) -> task<> {
    promise<int> source;
    auto result = source.get_future().then([](int value) { return value + 1; });
    promise<int> outer;
    outer.resolve(std::move(result));
    source.resolve(n);
    EXPECT_EQ(co_await outer.get_future(), n + 1);
    promise<int> late;
    EXPECT_EQ(co_await race(resolved_future(n), late.get_future()), n);
    late.resolve(0);
    auto [one, other] = co_await all(resolved_future(n), resolved_future());
    EXPECT_EQ(one, n);
    EXPECT_EQ(co_await spawn_future([](int same) -> task<int> { co_return same; }(n)), n);
  };
  for (int i = 0; i < 8; ++i) co_await round(i);
  const std::size_t before = allocations();
  // Each round has two tasks of its own, and the explorer of schedules has room for 1,024 without
  // growing.
  for (int i = 0; i < rounds / 10; ++i) co_await round(i);
  EXPECT_EQ(allocations(), before);
}

#endif

WEIR_TEST("timers, shared locks, tokens and generators allocate nothing while they work") {
  shared_mutex door;
  rate_limiter calls({.tokens = 1'000'000, .per = 1_s, .burst = 1});
  const auto count = []() -> generator<int> {
    for (int i = 0;; ++i) co_yield i;
  };
  auto numbers = count();
  co_await sleep(1_ms);
  const std::size_t before = allocations();
  for (int i = 0; i < rounds; ++i) {
    {
      auto reading = co_await door.lock_shared();
    }
    {
      auto writing = co_await door.lock();
    }
    co_await calls.acquire();
    co_await sleep(1_us);
    EXPECT_EQ(co_await numbers.next(), i);
  }
  EXPECT_EQ(allocations(), before);
}

}  // namespace
}  // namespace weir::flow_allocation_test

#endif
