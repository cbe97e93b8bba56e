#include <weir/flow/semaphore.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <algorithm>
#include <utility>
#include <vector>

namespace weir {
namespace {

using namespace weir::literals;

FLOW_CONTRACT("never more permits are out than there are") {
  typename Kit::semaphore slots(3);
  int inside = 0;
  int inside_max = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 20; ++i) {
      s.spawn([&]() -> task<> {
        auto slot = co_await slots.acquire();
        inside_max = std::max(inside_max, ++inside);
        co_await sleep(1_ms);
        --inside;
      });
    }
    co_await s.join();
  });
  EXPECT_EQ(inside_max, 3);
  EXPECT_EQ(slots.stats().free, 3u);
}

FLOW_CONTRACT("a wait for many permits is not overtaken by waits for few") {
  typename Kit::semaphore slots(3);
  std::vector<int> order;
  co_await with_scope([&](scope& s) -> task<> {
    auto held = co_await slots.acquire(2);
    const auto take = [](typename Kit::semaphore* from, std::vector<int>* log,
                         int count) -> task<> {
      auto mine = co_await from->acquire(static_cast<std::size_t>(count));
      log->push_back(count);
    };
    s.spawn(take, &slots, &order, 3);
    co_await sleep(1_ms);
    s.spawn(take, &slots, &order, 1);
    co_await sleep(1_ms);
    EXPECT_TRUE(order.empty()) << "one permit is free, but another waits before";
    EXPECT_FALSE(slots.try_acquire());
    held.release();
  });
  EXPECT_EQ(order, (std::vector<int>{3, 1}));
}

FLOW_CONTRACT("when the first in line gives up, those behind it are looked at") {
  typename Kit::semaphore slots(3);
  co_await with_scope([&](scope& s) -> task<> {
    auto held = co_await slots.acquire(2);
    s.spawn(
        [](typename Kit::semaphore* from) -> task<> {
          co_await testing::expect_raises<errc::timed_out>(with_timeout(5_ms, from->acquire(3)));
        },
        &slots);
    co_await sleep(1_ms);
    auto one = co_await slots.acquire(1);
    EXPECT_EQ(testing::elapsed(), 5_ms);
    EXPECT_EQ(one.count(), 1u);
  });
}

FLOW_CONTRACT("asking for more than there are is an error, and close() ends the line") {
  typename Kit::semaphore slots(2);
  co_await testing::expect_raises<errc::invalid_argument>(slots.acquire(3));
  slots.add(1);
  auto all = co_await slots.acquire(3);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](typename Kit::semaphore* from) -> task<> {
          co_await testing::expect_raises<errc::closed>(from->acquire());
        },
        &slots);
    co_await sleep(1_ms);
    slots.close();
  });
  co_await testing::expect_raises<errc::closed>(slots.acquire());
  all.release();
  EXPECT_EQ(slots.stats().free, 3u);
  EXPECT_FALSE(slots.try_acquire());
}

template <class Kit>
void check_cancelled_acquire() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::semaphore slots(2);
    int done = 0;
    const auto work = [](typename Kit::semaphore* from, std::size_t count, int* all) -> task<> {
      for (int i = 0; i < 3; ++i) {
        auto mine = co_await from->acquire(count);
        co_await yield();
        ++*all;
      }
    };
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(work, &slots, 1u, &done);
      s.spawn(work, &slots, 2u, &done);
      co_await v.run(work(&slots, 2, &done));
    });
    EXPECT_GE(done, 6);
    EXPECT_EQ(slots.stats().free, 2u) << "a cancelled acquire() kept permits";
    EXPECT_EQ(slots.stats().waiting, 0u);
  });
}

TEST(Semaphore, a_cancelled_acquire_keeps_nothing_and_loses_nothing) {
  check_cancelled_acquire<local_flow>();
  check_cancelled_acquire<cross_flow>();
}

}  // namespace
}  // namespace weir
