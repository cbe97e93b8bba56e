#include <weir/flow/shared_mutex.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <string>
#include <utility>

namespace weir {
namespace {

using namespace weir::literals;
/// Takes the lock at a time, holds it for a time, and notes when it got it.
template <class Lock>
task<> hold(Lock* on, typename Lock::mode how, duration at, duration length, std::string* log,
            char name) {
  co_await sleep(at);
  auto held = co_await (how == Lock::mode::shared ? on->lock_shared() : on->lock());
  log->push_back(name);
  co_await sleep(length);
  log->push_back('.');
}

FLOW_CONTRACT("readers are inside together, a writer is alone, and nobody is overtaken") {
  using mode = typename Kit::shared_mutex::mode;
  typename Kit::shared_mutex door;
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    const auto start = [&](mode how, int at, char name) {
      s.spawn(
          [&](mode m, int when, char who) -> task<> {
            co_await hold(&door, m, duration::milliseconds(when), 10_ms, &log, who);
          },
          how, at, name);
    };
    start(mode::shared, 0, 'a');
    start(mode::shared, 1, 'b');
    start(mode::exclusive, 2, 'W');
    start(mode::shared, 3, 'c');  // behind the writer, though readers are inside
    start(mode::shared, 4, 'd');
    start(mode::exclusive, 5, 'X');
    co_await s.join();
  });
  // Two that are let in together may begin in any order.
  EXPECT_TRUE(log == "ab..W.cd..X." || log == "ab..W.dc..X.") << log;
}

FLOW_CONTRACT("a writer that gives up lets the readers behind it in") {
  typename Kit::shared_mutex door;
  auto reading = co_await door.lock_shared();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await testing::expect_raises<errc::timed_out>(with_timeout(5_ms, door.lock()));
    });
    co_await sleep(1_ms);
    EXPECT_FALSE(door.try_lock_shared()) << "a writer waits";
    auto too = co_await door.lock_shared();
    EXPECT_EQ(testing::elapsed(), 5_ms);
    EXPECT_EQ(door.readers(), 2u);
  });
  EXPECT_FALSE(door.try_lock());
  reading.unlock();
  EXPECT_TRUE(door.try_lock());
}

template <class Kit>
void a_cancelled_lock_holds_nothing_and_loses_nothing() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    using mode = typename Kit::shared_mutex::mode;
    typename Kit::shared_mutex door;
    std::string log;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await hold(&door, mode::shared, 0_ms, 2_ms, &log, 'r'); });
      s.spawn([&]() -> task<> { co_await hold(&door, mode::shared, 1_ms, 2_ms, &log, 's'); });
      s.spawn([&]() -> task<> { co_await hold(&door, mode::exclusive, 2_ms, 1_ms, &log, 'w'); });
      co_await v.run([&]() -> task<> {
        co_await hold(&door, mode::exclusive, 1_ms, 1_ms, &log, 'V');
        co_await hold(&door, mode::shared, 0_ms, 1_ms, &log, 'v');
      }());
    });
    EXPECT_EQ(door.readers(), 0u);
    EXPECT_FALSE(door.has_writer());
    EXPECT_NE(log.find('w'), std::string::npos) << "the others got their turns: " << log;
    EXPECT_NE(log.find('s'), std::string::npos) << log;
  });
}
TEST(SharedMutex, a_cancelled_lock_holds_nothing_and_loses_nothing) {
  a_cancelled_lock_holds_nothing_and_loses_nothing<local_flow>();
  a_cancelled_lock_holds_nothing_and_loses_nothing<cross_flow>();
}

}  // namespace
}  // namespace weir
