#include <weir/flow/shared_mutex.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/sim/virtual_run.hpp>
#include <weir/testing/contracts/shared_lock_contract.hpp>

#include <gmock/gmock.h>

#include <cstddef>
#include <tuple>
#include <vector>

namespace weir::shared_mutex_test {
namespace {

using namespace weir::literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

struct shared_mutexes {
  static auto make() { return shared_mutex(); }
};
WEIR_SHARED_LOCK_CONTRACT(shared_mutexes);

struct cross_shared_mutexes {
  static auto make() { return cross::shared_mutex(); }
};
WEIR_SHARED_LOCK_CONTRACT(cross_shared_mutexes);

FLOW_CONTRACT("a shared mutex says who is inside, and a reader's try fails while a writer waits") {
  typename Kit::shared_mutex door;
  auto reading = (co_await door.lock_shared()).hand_over();  // this task will read beside it
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](typename Kit::shared_mutex* on) -> task<> {
          co_await testing::expect_raises<errc::timed_out>(with_timeout(5_ms, on->lock()));
        },
        &door);
    co_await sleep(1_ms);
    EXPECT_FALSE(door.try_lock_shared()) << "a writer waits";
    auto too = co_await door.lock_shared();
    EXPECT_EQ(testing::elapsed(), 5_ms);
    EXPECT_EQ(door.readers(), 2u);
    EXPECT_FALSE(door.has_writer());
  });
  reading.unlock();
  auto writing = door.try_lock();
  EXPECT_TRUE(writing);
  EXPECT_TRUE(door.has_writer());
  EXPECT_EQ(door.readers(), 0u);
}

FLOW_CONTRACT("a writer that has handed its guard over may lock again, and waits for it") {
  typename Kit::shared_mutex door;
  using guard = typename Kit::shared_mutex::guard;
  int inside = 0;
  const auto write = [](guard, int* in) -> task<> {
    co_await sleep(1_ms);
    ++*in;
  };
  co_await with_scope([&](scope& s) -> task<> {
    auto held = co_await door.lock();
    s.spawn(write, held.hand_over(), &inside);
    auto again = co_await door.lock_shared();
    EXPECT_EQ(inside, 1);
    auto shared = again.hand_over();
    EXPECT_EQ(door.readers(), 1u);
  });
  EXPECT_EQ(door.readers(), 0u);
}

FLOW_CONTRACT("a reader may read again where nobody waits, also when more are in than are known") {
  typename Kit::shared_mutex door;
  using guard = typename Kit::shared_mutex::guard;
  std::vector<guard> inside;
  for (std::size_t i = 0; i < Kit::shared_mutex::known_readers_max + 2; ++i)
    inside.push_back(co_await door.lock_shared());
  EXPECT_EQ(door.readers(), Kit::shared_mutex::known_readers_max + 2);
  inside.erase(inside.begin(), inside.begin() + 3);
  inside.push_back(co_await door.lock_shared());
  inside.clear();
  EXPECT_EQ(door.readers(), 0u);
  co_await with_scope([&](scope& s) -> task<> {
    auto writing = co_await door.lock();
    s.spawn([](guard) -> task<> { co_await sleep(1_ms); }, writing.hand_over());
    const auto again = co_await door.lock();  // who has read and left may wait
    EXPECT_EQ(testing::elapsed(), 1_ms);
  });
}

task<> write_both(shared_mutex* first, shared_mutex* second, latch* both_inside) {
  auto held = co_await first->lock();
  co_await both_inside->arrive_and_wait();
  std::ignore = co_await second->lock();
}
task<> write_crosswise() {
  shared_mutex accounts("accounts");
  shared_mutex audit("audit");
  latch both_inside(2);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(write_both, &accounts, &audit, &both_inside);
    s.spawn(write_both, &audit, &accounts, &both_inside);
    co_await s.join();
  });
}

TEST(SharedMutex, whose_writers_wait_for_each_other_is_named_in_the_deadlock) {
  const virtual_outcome ended = run_outcome(write_crosswise());
  EXPECT_EQ(ended.how, run_failure::deadlock);
  EXPECT_THAT(ended.failure,
              AllOf(HasSubstr("waits for shared_mutex exclusive, audit"),
                    HasSubstr(", held by task 3\n"), HasSubstr("in a circle: task")));
}

}  // namespace
}  // namespace weir::shared_mutex_test
