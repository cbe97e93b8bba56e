#include <weir/flow/mutex.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/contracts/lock_contract.hpp>

namespace weir::mutex_test {
namespace {

using namespace weir::literals;

struct mutexes {
  static auto make() { return mutex(); }
};
WEIR_LOCK_CONTRACT(mutexes);

struct cross_mutexes {
  static auto make() { return cross::mutex(); }
};
WEIR_LOCK_CONTRACT(cross_mutexes);

FLOW_CONTRACT("a mutex says whether it is held, also while it is handed over, and how many wait") {
  typename Kit::mutex door;
  EXPECT_FALSE(door.is_locked());
  co_await with_scope([&](scope& s) -> task<> {
    auto held = co_await door.lock();
    s.spawn([](typename Kit::mutex* on) -> task<> { auto mine = co_await on->lock(); }, &door);
    co_await sleep(1_ms);
    EXPECT_EQ(door.stats().waiting, 1u);
    held.unlock();
    EXPECT_TRUE(door.is_locked());
  });
  EXPECT_FALSE(door.is_locked());
}

FLOW_CONTRACT("a guard of a mutex lets go once and says whether it holds") {
  typename Kit::mutex door;
  auto held = door.try_lock();
  EXPECT_TRUE(held);
  held->unlock();
  held->unlock();
  EXPECT_FALSE(held->holds());
  EXPECT_TRUE(door.try_lock());
  EXPECT_FALSE(door.is_locked());
  co_return;
}

FLOW_CONTRACT("a task that has handed its guard over to another may lock again, and waits for it") {
  typename Kit::mutex door;
  using guard = typename Kit::mutex::guard;
  int inside = 0;
  co_await with_scope([&](scope& s) -> task<> {
    auto held = co_await door.lock();
    s.spawn(
        [](guard theirs, int* in) -> task<> {
          EXPECT_TRUE(theirs.holds());
          co_await sleep(1_ms);
          ++*in;
        },
        held.hand_over(), &inside);
    EXPECT_FALSE(held.holds());
    auto again = co_await door.lock();
    EXPECT_EQ(inside, 1);
  });
  EXPECT_FALSE(door.is_locked());
}

TEST(MutexDeathTest, locking_again_after_a_move_in_the_same_task_stops_the_process) {
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 mutex door;
                 auto held = co_await door.lock();
                 const auto moved = std::move(held);
                 auto again = co_await door.lock();
               }()),
               "this task holds the mutex already");
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
}  // namespace weir::mutex_test
