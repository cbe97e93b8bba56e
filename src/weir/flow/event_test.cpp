#include <weir/flow/event.hpp>

#include <weir/core.hpp>
#include <weir/testing/test.hpp>

#include <vector>

namespace weir {
namespace {

using namespace weir::literals;

WEIR_TEST("a set event lets every wait pass until it is reset") {
  event ready;
  int passed = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn(
          [](event* on, int* count) -> task<> {
            co_await on->wait();
            ++*count;
          },
          &ready, &passed);
    }
    co_await sleep(1_ms);
    EXPECT_EQ(passed, 0);
    ready.set();
    co_await s.join();
  });
  EXPECT_EQ(passed, 3);
  co_await ready.wait();
  ready.reset();
  EXPECT_EQ((co_await as_result(with_timeout(1_ms, ready.wait()))).error().code(), errc::timed_out);
}

WEIR_TEST("a condition wakes who waits now and keeps nothing for those who come later") {
  condition changed;
  EXPECT_FALSE(changed.notify_one());
  EXPECT_EQ((co_await as_result(with_timeout(1_ms, changed.wait()))).error().code(),
            errc::timed_out);
  EXPECT_FALSE(changed.has_waiters());
}

WEIR_TEST("notify_one wakes the task that has waited longest, and a cancelled one takes no turn") {
  condition changed;
  std::vector<int> woken;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn(
          [](condition* on, std::vector<int>* log, int me) -> task<> {
            co_await sleep(duration::milliseconds(me));  // fixes the order of arrival
            if (me == 0) {
              static_cast<void>(co_await as_result(with_timeout(5_ms, on->wait())));
            } else {
              co_await on->wait();
            }
            log->push_back(me);
          },
          &changed, &woken, i);
    }
    co_await sleep(10_ms);
    EXPECT_EQ(woken, (std::vector<int>{0}));
    EXPECT_TRUE(changed.notify_one());
    co_await sleep(1_ms);
    EXPECT_EQ(woken, (std::vector<int>{0, 1}));
    changed.notify_all();
    co_await s.join();
  });
  EXPECT_EQ(woken, (std::vector<int>{0, 1, 2}));
}

}  // namespace
}  // namespace weir
