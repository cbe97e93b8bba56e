// More waits for std::futures than the blocking pool has threads.
// Needs the kernel: its threads are real ones.
#include <weir/bridge/std_future.hpp>

#include <weir/core.hpp>
#include <weir/io/busy_thread_test.hpp>
#include <weir/io/contract_test.hpp>

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <future>
#include <latch>
#include <string>
#include <thread>
#include <vector>

namespace weir::std_future_threads_test {
namespace {

using namespace weir::contract;

class std_futures : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, std_futures, ::testing::ValuesIn(kernel_drivers()), name_of);

// Each is fulfilled once all that began later have been heard: none may keep the thread.
TEST_P(std_futures, that_are_more_than_the_threads_take_turns_and_all_are_heard) {
  constexpr int count = 4;
  std::vector<int> heard;
  run(
      [&]() -> task<> {
        std::array<std::promise<int>, count> promises;
        co_await with_scope([&](scope& s) -> task<> {
          for (int i = 0; i < count; ++i) {
            s.spawn(
                [&](int me) -> task<> {
                  const auto mine = static_cast<std::size_t>(me);
                  heard.push_back(co_await from_std_future(promises[mine].get_future()));
                  if (me > 0) promises[mine - 1].set_value(me - 1);
                },
                i);
          }
          co_await yield();
          promises.back().set_value(count - 1);
          co_await s.join();
        });
      },
      {.blocking_threads_max = 1});
  EXPECT_EQ(heard, (std::vector<int>{3, 2, 1, 0}));
}

TEST_P(std_futures, of_other_threads_are_heard_by_fewer_than_they_are) {
  constexpr int count = 8;
  int sum = 0;
  run(
      [&]() -> task<> {
        std::latch all(count);  // none ends before each has begun
        co_await with_scope([&](scope& s) -> task<> {
          for (int i = 1; i <= count; ++i) {
            s.spawn(
                [&](int me) -> task<> {
                  sum += co_await from_std_future(std::async(std::launch::async, [&all, me] {
                    all.arrive_and_wait();
                    return me;
                  }));
                },
                i);
          }
          co_await s.join();
        });
      },
      {.blocking_threads_max = 2});
  EXPECT_EQ(sum, count * (count + 1) / 2);
}

TEST_P(std_futures, for_which_the_pool_has_no_place_are_heard_all_the_same) {
  run(
      []() -> task<> {
        busy_thread one;
        std::promise<int> first;
        std::promise<int> second;
        co_await with_scope([&](scope& s) -> task<> {
          s.spawn([&]() -> task<> { co_await blocking(std::ref(one)); });
          co_await yield();
          one.begun.acquire();  // the thread is busy, and the queue is empty
          s.spawn([&]() -> task<> { EXPECT_EQ(co_await from_std_future(first.get_future()), 4); });
          co_await yield();
          s.spawn([&]() -> task<> {
            co_await sleep(duration::milliseconds(1));
            second.set_value(5);
          });
          EXPECT_EQ(co_await from_std_future(second.get_future()), 5);
          first.set_value(4);
          one.gate.release();
          co_await s.join();
        });
      },
      {.blocking_threads_max = 1, .blocking_queue_max = 1});
}

}  // namespace
}  // namespace weir::std_future_threads_test
