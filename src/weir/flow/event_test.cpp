#include <weir/flow/event.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <vector>

namespace weir::event_test {
namespace {

using namespace weir::literals;

FLOW_CONTRACT("a set event lets every wait pass until it is reset") {
  typename Kit::event ready;
  int passed = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn(
          [](typename Kit::event* on, int* count) -> task<> {
            co_await on->wait();
            ++*count;
          },
          &ready, &passed);
    }
    co_await sleep(1_ms);
    EXPECT_EQ(passed, 0);
    EXPECT_EQ(ready.stats().waiting, 3u);
    ready.set();
    co_await s.join();
  });
  EXPECT_EQ(passed, 3);
  co_await ready.wait();
  ready.reset();
  co_await testing::expect_raises<errc::timed_out>(with_timeout(1_ms, ready.wait()));
}

FLOW_CONTRACT("an auto_event lets one pass for each set, who came first, and keeps one pass") {
  typename Kit::auto_event turn;
  std::vector<int> passed;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn(
          [](typename Kit::auto_event* on, std::vector<int>* log, int me) -> task<> {
            co_await sleep(duration::milliseconds(me));
            co_await on->wait();
            log->push_back(me);
          },
          &turn, &passed, i);
    }
    co_await sleep(10_ms);
    turn.set();
    co_await sleep(1_ms);
    EXPECT_EQ(passed, (std::vector<int>{0}));
    turn.set();
    co_await sleep(1_ms);  // who was let pass first also runs first
    turn.set();
    co_await s.join();
  });
  EXPECT_EQ(passed, (std::vector<int>{0, 1, 2}));
  turn.set();
  turn.set();
  co_await turn.wait();
  EXPECT_FALSE(turn.is_set());
  co_await testing::expect_raises<errc::timed_out>(with_timeout(1_ms, turn.wait()));
}

FLOW_CONTRACT("an auto_event in a select that another branch won still has its pass") {
  typename Kit::auto_event turn;
  typename Kit::event other;
  other.set();
  turn.set();
  int passes = 0;
  for (int i = 0; i < 50; ++i) {
    auto [passed, heard] = co_await select(turn.wait(), other.wait());
    EXPECT_NE(static_cast<bool>(passed), static_cast<bool>(heard));
    if (passed) ++passes;
  }
  EXPECT_EQ(passes + (turn.is_set() ? 1 : 0), 1);
}

FLOW_CONTRACT("close() of an event ends who waits, while what was set before passes still") {
  const auto wait = [](auto& of) { return of.wait(); };
  typename Kit::event ready;
  co_await expect_that_close_ends_all(&ready, wait);
  typename Kit::auto_event turn;
  co_await expect_that_close_ends_all(&turn, wait);
  typename Kit::auto_event kept;
  kept.set();
  kept.close();
  co_await kept.wait();
  co_await testing::expect_raises<errc::closed>(kept.wait());
  typename Kit::event was_set;
  was_set.set();
  was_set.close();
  co_await was_set.wait();
  was_set.reset();
  co_await testing::expect_raises<errc::closed>(select(was_set.wait(), sleep(1_ms)));
}

template <class Kit>
void check_cancelled_wait() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::auto_event turn;
    int passed = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](typename Kit::auto_event* on) -> task<> {
            for (int i = 0; i < 3; ++i) {
              while (on->is_set()) co_await yield();
              on->set();
            }
          },
          &turn);
      const auto pass_three = [](typename Kit::auto_event* on, int* count) -> task<> {
        while (*count < 3) {
          co_await on->wait();
          ++*count;
        }
      };
      co_await v.run(pass_three(&turn, &passed));
      co_await pass_three(&turn, &passed);
    });
    EXPECT_EQ(passed, 3) << "a pass was lost or made up";
    EXPECT_FALSE(turn.is_set());
  });
}

TEST(Event, a_cancelled_wait_for_an_auto_event_takes_no_pass) {
  check_cancelled_wait<local_flow>();
  check_cancelled_wait<cross_flow>();
}

template <class Kit>
void expect_that_cancelled_waits_leave_an_event_as_it_is() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::event ready;
    int victims = 0;
    int others = 0;
    const auto pass = [](typename Kit::event* on, int* passed) -> task<> {
      co_await yield();
      for (int i = 0; i < 2; ++i) {  // the second time it is set already
        co_await on->wait();
        ++*passed;
      }
    };
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        EXPECT_EQ(ready.stats().waiting, v.was_cancelled() ? 1u : 2u);
        ready.set();
      });
      s.spawn(pass, &ready, &others);
      co_await v.run(pass(&ready, &victims));
    });
    if (!v.was_cancelled()) EXPECT_EQ(victims, 2);
    EXPECT_EQ(others, 2);
    EXPECT_TRUE(ready.is_set());
    EXPECT_EQ(ready.stats().waiting, 0u);
    ready.reset();
    co_await testing::expect_raises<errc::timed_out>(with_timeout(1_ms, ready.wait()));
  });
}

TEST(Event, a_cancelled_wait_leaves_it_as_it_is_and_others_waiting) {
  expect_that_cancelled_waits_leave_an_event_as_it_is<local_flow>();
  expect_that_cancelled_waits_leave_an_event_as_it_is<cross_flow>();
}

}  // namespace
}  // namespace weir::event_test
