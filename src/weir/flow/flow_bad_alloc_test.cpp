// Memory that fails under what tasks share: each allocation of a scenario in turn. Whoever is told
// nothing has lost nothing, and what is shared can be used as before.
#include <weir/core.hpp>
#include <weir/flow/broadcast.hpp>
#include <weir/flow/bulkhead.hpp>
#include <weir/flow/channel.hpp>
#include <weir/flow/circuit_breaker.hpp>
#include <weir/flow/event_bus.hpp>
#include <weir/flow/gather.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/flow/promise.hpp>
#include <weir/flow/rate_limiter.hpp>
#include <weir/flow/retry.hpp>
#include <weir/flow/semaphore.hpp>
#include <weir/flow/shared_mutex.hpp>
#include <weir/flow/to_callback.hpp>
#include <weir/flow/watch.hpp>
#include <weir/testing/allocation_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <exception>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace weir::flow_bad_alloc_test {
namespace {

using namespace weir::literals;
using testing::for_each_allocation;

TEST(WithoutMemory, a_channel_loses_no_item_of_a_send_that_ended_well) {
  for_each_allocation([]() -> task<> {
    auto [to, from] = channel<std::string>(2);
    std::vector<std::string> sent;
    std::vector<std::string> got;
    sent.reserve(10);
    got.reserve(10);
    const auto receive_all = [](receiver<std::string>* in,
                                std::vector<std::string>* into) -> task<> {
      while (auto item = co_await in->receive()) into->push_back(std::move(*item));
    };
    std::exception_ptr failed;
    try {
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(receive_all, &from, &got);
        for (int i = 0; i < 10; ++i) {
          std::string text = std::to_string(i);
          co_await to.send(text);
          sent.push_back(std::move(text));
        }
        to.close();
      });
    } catch (...) {
      failed = std::current_exception();
    }
    to.close();
    co_await receive_all(&from, &got);
    // One more may be there: its send was cancelled after it had happened.
    EXPECT_GE(got.size(), sent.size());
    for (std::size_t i = 0; i < sent.size(); ++i) EXPECT_EQ(got[i], sent[i]);
    if (failed) std::rethrow_exception(failed);
    EXPECT_EQ(got.size(), 10u);
  });
}

// Three at a time want the lock; in the end it must be free.
template <class Lock>
task<> with_lock_for_three(int* held_at_once, Lock lock) {
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn(
          [](int* now, Lock* take) -> task<> {
            auto held = co_await (*take)();
            EXPECT_EQ(++*now, 1);
            co_await yield();
            --*now;
          },
          held_at_once, &lock);
    }
    co_return;
  });
}

TEST(WithoutMemory, the_user_of_a_lock_leaves_it_free) {
  for_each_allocation([]() -> task<> {
    mutex door;
    semaphore slots(1);
    shared_mutex book;
    int held = 0;
    const auto free_again = [&]() -> void {
      EXPECT_TRUE(door.try_lock());
      EXPECT_TRUE(slots.try_acquire());
      EXPECT_TRUE(book.try_lock());
    };
    std::exception_ptr failed;
    try {
      co_await with_lock_for_three(&held, [&] { return door.lock(); });
      co_await with_lock_for_three(&held, [&] { return slots.acquire(); });
      co_await with_lock_for_three(&held, [&] { return book.lock(); });
    } catch (...) {
      failed = std::current_exception();
    }
    free_again();
    if (failed) std::rethrow_exception(failed);
  });
}

TEST(WithoutMemory, what_ends_a_promise_is_heard_by_its_future) {
  for_each_allocation([]() -> task<> {
    int seen = 0;
    co_await with_scope([&](scope& s) -> task<> {
      auto squared = spawn_future(s, [](int n) -> task<int> {
        co_await yield();
        co_return n* n;
      }(3));
      promise<int> told;
      auto sum = told.get_future().then([](int n) { return n + 1; });
      told.resolve(1);
      seen += co_await std::move(squared);
      seen += co_await std::move(sum);
      seen += co_await (spawn_future(s, []() -> task<int> { co_return 5; }())
                            .then([](int n) { return std::to_string(n).size(); })
                            .finally([&] { ++seen; }));
    });
    EXPECT_EQ(seen, 9 + 2 + 1 + 1);
  });
}

TEST(WithoutMemory, a_broadcast_or_a_watch_keeps_its_receivers_in_step) {
  for_each_allocation([]() -> task<> {
    auto radio = broadcast<std::string>(4);
    auto [set, value] = watch(std::string("first"));
    auto first = radio.subscribe();
    auto second = radio.subscribe();
    std::string heard;
    for (const char* text : {"a", "b", "c"}) {
      radio.send(text);
      set.set(text);
      heard += (co_await first.receive())->value;
      heard += (co_await second.receive())->value;
    }
    EXPECT_EQ(heard, "aabbcc");
    EXPECT_EQ(value.get(), "c");
  });
}

TEST(WithoutMemory, one_of_several_attempts_ends_them_all) {
  for_each_allocation([]() -> task<> {
    int calls = 0;
    try {
      const int got = co_await retry(exponential(1_ms, 1_s), [&]() -> task<int> {
        if (++calls < 3) raise(errc::refused);
        co_return calls;
      });
      EXPECT_EQ(got, 3);
    } catch (const exception& e) {
      EXPECT_NE(std::string(e.what()).find("std::bad_alloc"), std::string::npos) << e.what();
    }
  });
}

TEST(WithoutMemory, a_task_that_was_spawned_settles_its_future_and_calls_back) {
  for_each_allocation([]() -> task<> {
    future<int> given;
    int owed = 0;
    int calls = 0;
    std::exception_ptr failed;
    const auto work = []() -> task<int> {
      co_await yield();
      co_return 3;
    };
    try {
      co_await with_scope([&](scope& s) -> task<> {
        given = spawn_future(s, work());
        to_callback(s, work(), [&](const result<int>&) { ++calls; });
        ++owed;
        co_return;
      });
    } catch (...) {
      failed = std::current_exception();
    }
    EXPECT_TRUE(!given || given.is_ready());
    EXPECT_EQ(calls, owed);
    if (failed) std::rethrow_exception(failed);
    EXPECT_EQ(co_await std::move(given), 3);
  });
}

TEST(WithoutMemory, a_refused_call_is_refused) {
  for_each_allocation([]() -> task<> {
    bulkhead one({.name = "a bulkhead whose name is too long to be kept in place", .calls_max = 1});
    const auto call = []() -> task<> { co_await sleep(1_ms); };
    bool is_refused = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await one.run(call); });
      co_await yield();
      try {
        co_await one.run(call);
      } catch (const exception& e) {
        is_refused = e.reason().code() == errc::full;
      }
    });
    EXPECT_TRUE(is_refused);
  });
}

TEST(WithoutMemory, tokens_that_come_too_late_are_refused) {
  for_each_allocation([]() -> task<> {
    rate_limiter one(
        {.per = 1_h, .name = "a rate limiter whose name is too long to be kept in place"});
    co_await one.acquire();
    const auto refused = co_await as_result(one.acquire_within(1_ms));
    WEIR_REQUIRE(!refused);
    EXPECT_EQ(refused.error().code(), errc::full);
  });
}

TEST(WithoutMemory, a_circuit_breaker_counts_what_fails) {
  for_each_allocation([]() -> task<> {
    circuit_breaker breaker({.name = "breaker"});
    const auto call = []() -> task<> {
      co_await sleep(1_ms);
      throw std::runtime_error("of a text that is too long to be kept in place");
    };
    bool has_failed = false;
    try {
      co_await breaker.run(call);
    } catch (const std::runtime_error&) {
      has_failed = true;
    }
    EXPECT_TRUE(has_failed);
    EXPECT_EQ(breaker.stats().failed, 1u);
  });
}

}  // namespace
}  // namespace weir::flow_bad_alloc_test
