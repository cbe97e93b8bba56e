#include <weir/flow/mutex.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <utility>
#include <vector>

namespace weir {
namespace {

using namespace weir::literals;

FLOW_CONTRACT("one task at a time is inside, and they come in their order") {
  typename Kit::mutex door;
  std::vector<int> order;
  int inside = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 5; ++i) {
      s.spawn(
          [&](int me) -> task<> {
            co_await sleep(duration::milliseconds(me));
            auto held = co_await door.lock();
            EXPECT_EQ(++inside, 1);
            co_await sleep(10_ms);
            --inside;
            order.push_back(me);
          },
          i);
    }
    co_await s.join();
  });
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3, 4}));
  EXPECT_FALSE(door.is_locked());
}

FLOW_CONTRACT("an unlock hands the lock over, so that nobody overtakes who waits") {
  typename Kit::mutex door;
  std::vector<char> order;
  co_await with_scope([&](scope& s) -> task<> {
    auto held = co_await door.lock();
    s.spawn(
        [](typename Kit::mutex* on, std::vector<char>* log) -> task<> {
          auto mine = co_await on->lock();
          log->push_back('w');
        },
        &door, &order);
    co_await sleep(1_ms);
    EXPECT_EQ(door.stats().waiting, 1u);
    held.unlock();
    EXPECT_FALSE(door.try_lock());
    EXPECT_TRUE(door.is_locked());
    auto again = co_await door.lock();
    order.push_back('m');
  });
  EXPECT_EQ(order, (std::vector<char>{'w', 'm'}));
}

FLOW_CONTRACT("try_lock says when the mutex is held, and a guard lets go once") {
  typename Kit::mutex door;
  auto held = door.try_lock();
  EXPECT_TRUE(held);
  EXPECT_FALSE(door.try_lock());
  held->unlock();
  held->unlock();
  EXPECT_FALSE(held->holds());
  EXPECT_TRUE(door.try_lock());
  EXPECT_FALSE(door.is_locked());
  co_return;
}

FLOW_CONTRACT("a lock that lost a select is not held") {
  typename Kit::mutex door;
  auto held = co_await door.lock();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](typename Kit::mutex* on) -> task<> {
          auto [locked, late] = co_await select(on->lock(), sleep(1_ms));
          EXPECT_FALSE(locked);
        },
        &door);
    co_await sleep(2_ms);
    held.unlock();
    EXPECT_FALSE(door.is_locked());
  });
}

template <class Kit>
void check_cancelled_lock() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::mutex door;
    int inside = 0;
    int entered = 0;
    const auto enter = [](typename Kit::mutex* on, int* in, int* count) -> task<> {
      for (int i = 0; i < 3; ++i) {
        struct leave {
          int* in;
          ~leave() { --*in; }
        };
        auto held = co_await on->lock();
        EXPECT_EQ(++*in, 1);
        const leave at_end{in};
        ++*count;
        co_await yield();
      }
    };
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(enter, &door, &inside, &entered);
      s.spawn(enter, &door, &inside, &entered);
      co_await v.run(enter(&door, &inside, &entered));
    });
    EXPECT_EQ(inside, 0);
    EXPECT_FALSE(door.is_locked()) << "a cancelled lock() kept it";
    EXPECT_GE(entered, 6);
  });
}

TEST(Mutex, a_cancelled_lock_holds_nothing_and_loses_nothing) {
  check_cancelled_lock<local_flow>();
  check_cancelled_lock<cross_flow>();
}

TEST(MutexDeathTest, locking_again_in_the_same_task_stops_the_process_with_its_name) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 mutex door;
                 auto held = co_await door.lock();
                 auto again = co_await door.lock();
               }()),
               "this task holds the mutex already");
}

}  // namespace
}  // namespace weir
