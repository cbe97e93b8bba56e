#include <weir/core/select.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <utility>

namespace weir::select_test {
namespace {

using namespace weir::literals;
using testing::elapsed;

/// A wait that a test ends by hand, as a channel or a driver would.
struct box {
  struct opened final : detail::leaf_wait<opened, int> {
    static constexpr auto when_cancelled = cancel_safety::nothing_happened;
    explicit opened(box& b) noexcept : leaf_wait(kind_), of(&b) {}
    opened(opened&&) noexcept = default;
    bool try_now() noexcept { return of->is_open; }
    void enlist() noexcept { of->waiter = this; }
    result<int> take() noexcept {
      if (of->failure != errc{}) return fail(of->failure);
      return of->value;
    }
    static void leave(detail::wait& w) noexcept {
      auto& self = static_cast<opened&>(w);
      ++self.of->asked_to_leave;
      if (self.of->leaves_late) return;  // as an operation of the kernel does
      self.of->waiter = nullptr;
      self.complete_cancelled();
    }
    static constexpr detail::wait_kind kind_{"box", &leave};
    box* of;
  };
  opened wait() noexcept { return opened(*this); }
  void open(int with) noexcept {
    value = with;
    is_open = true;
    if (waiter) std::exchange(waiter, nullptr)->complete();
  }
  void give_way() noexcept { std::exchange(waiter, nullptr)->complete_cancelled(); }

  bool is_open = false;
  bool leaves_late = false;
  int value = 0;
  errc failure{};
  int asked_to_leave = 0;
  opened* waiter = nullptr;
};

task<> open_after(duration length, box* which, int value) {
  co_await sleep(length);
  which->open(value);
}

WEIR_TEST("select gives the first to end and takes back the other") {
  box one;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(open_after, 1_ms, &one, 7);
    auto [opened, late] = co_await select(one.wait(), sleep(1_h));
    EXPECT_TRUE(opened);
    EXPECT_EQ(*opened, 7);
    EXPECT_FALSE(late);
  });
  EXPECT_EQ(elapsed(), 1_ms);
  EXPECT_EQ(loop::current()->stats().timers_live, 0u);
}

WEIR_TEST("select gives the other when its time comes first, and the box is free again") {
  box one;
  auto [opened, late] = co_await select(one.wait(), sleep(1_ms));
  EXPECT_FALSE(opened);
  EXPECT_TRUE(late);
  EXPECT_EQ(one.waiter, nullptr);
  EXPECT_EQ(one.asked_to_leave, 1);
}

WEIR_TEST("of two that end in one step only the first counts, and the second is not even told") {
  box one;
  box other;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](box* a, box* b) -> task<> {
          co_await sleep(1_ms);
          a->open(1);
          EXPECT_EQ(b->waiter, nullptr) << "it has left before anything else ran";
          b->open(2);
        },
        &one, &other);
    auto [a, b] = co_await select(one.wait(), other.wait());
    EXPECT_TRUE(a);
    EXPECT_FALSE(b);
  });
}

WEIR_TEST("what could not be taken back any more is handed out beside the first") {
  box one;
  box slow;
  slow.leaves_late = true;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](box* a, box* b) -> task<> {
          co_await sleep(1_ms);
          a->open(1);
          EXPECT_EQ(b->asked_to_leave, 1);
          co_await sleep(1_ms);
          b->open(2);  // it had happened already
        },
        &one, &slow);
    auto [a, b] = co_await select(one.wait(), slow.wait());
    EXPECT_EQ(*a, 1);
    EXPECT_EQ(*b, 2);
  });
  EXPECT_EQ(elapsed(), 2_ms);
}

WEIR_TEST("select ends only when the last has left") {
  box one;
  box slow;
  slow.leaves_late = true;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](box* a, box* b) -> task<> {
          co_await sleep(1_ms);
          a->open(1);
          co_await sleep(1_ms);
          b->give_way();
        },
        &one, &slow);
    auto [a, b] = co_await select(one.wait(), slow.wait());
    EXPECT_EQ(*a, 1);
    EXPECT_FALSE(b);
  });
  EXPECT_EQ(elapsed(), 2_ms);
}

WEIR_TEST("of several that are ready the lot decides, and each gets its share") {
  box one;
  box other;
  box third;
  one.is_open = other.is_open = third.is_open = true;
  int first[3] = {};
  for (int i = 0; i < 300; ++i) {
    auto [a, b, c] = co_await select(one.wait(), other.wait(), third.wait());
    EXPECT_EQ((a ? 1 : 0) + (b ? 1 : 0) + (c ? 1 : 0), 1);
    ++first[a ? 0 : b ? 1 : 2];
  }
  for (const int share : first) EXPECT_GT(share, 50);
}

WEIR_TEST("select_in_order takes the first of the arguments that is ready") {
  box one;
  box other;
  one.is_open = other.is_open = true;
  for (int i = 0; i < 20; ++i) {
    auto [a, b] = co_await select_in_order(one.wait(), other.wait());
    EXPECT_TRUE(a);
    EXPECT_FALSE(b);
  }
}

WEIR_TEST("an error of the first is raised; beside a value it stays in its branch") {
  box bad;
  bad.is_open = true;
  bad.failure = errc::broken;
  co_await testing::expect_raises<errc::broken>(select(bad.wait(), sleep(1_h)));
  try {
    co_await select(bad.wait(), sleep(1_h));
    ADD_FAILURE() << "no error";
  } catch (const exception& e) {
    EXPECT_EQ(e.reason().code(), errc::broken);
  }
  box one;
  box slow;
  slow.leaves_late = true;
  slow.failure = errc::io;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](box* a, box* b) -> task<> {
          co_await sleep(1_ms);
          a->open(1);
          b->open(2);
        },
        &one, &slow);
    auto [a, b] = co_await select(one.wait(), slow.wait());
    EXPECT_EQ(*a, 1);
    EXPECT_TRUE(b);
    EXPECT_TRUE(b.failure());
    EXPECT_THROW(*b, exception);
  });
}

WEIR_TEST("cancelling a select ends all of its waits") {
  box one;
  box other;
  bool has_gone_on = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](box* a, box* b, bool* flag) -> task<> {
          co_await select(a->wait(), b->wait(), sleep(1_h));
          *flag = true;
        },
        &one, &other, &has_gone_on);
    co_await sleep(1_ms);
    s.cancel();
  });
  EXPECT_FALSE(has_gone_on);
  EXPECT_EQ(one.waiter, nullptr);
  EXPECT_EQ(other.waiter, nullptr);
}

WEIR_TEST("a result that comes while a cancelled select waits for the last to leave is delivered") {
  box slow;
  slow.leaves_late = true;
  int got = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](box* b, int* out) -> task<> {
          auto [value, late] = co_await select(b->wait(), sleep(1_h));
          *out = *value;
        },
        &slow, &got);
    co_await sleep(1_ms);
    s.cancel();
    slow.open(5);
    co_return;
  });
  EXPECT_EQ(got, 5);
}

WEIR_TEST("selects nest, take handles of tasks, and bear time-outs and as_result") {
  box never;
  auto [inner, late] = co_await select(select(never.wait(), sleep(1_h)), sleep(1_ms));
  EXPECT_FALSE(inner);
  EXPECT_TRUE(late);
  co_await testing::expect_raises<errc::timed_out>(
      with_timeout(1_ms, select(never.wait(), sleep(1_h))));
  EXPECT_EQ(never.waiter, nullptr);
  co_await with_scope([](scope& s) -> task<> {
    auto handle = s.spawn([]() -> task<int> {
      co_await sleep(1_ms);
      co_return 9;
    });
    auto [done, too_late] = co_await select(handle, sleep(1_h));
    EXPECT_EQ(*done, 9);
    EXPECT_FALSE(too_late);
  });
}

WEIR_TEST("select spends the step's budget, so a loop of ready selects starves nobody") {
  box open;
  open.is_open = true;
  bool other_ran = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](bool* flag) -> task<> {
          *flag = true;
          co_return;
        },
        &other_ran);
    int rounds = 0;
    while (!other_ran && rounds < 100'000) {
      co_await select(open.wait(), sleep(1_h));
      ++rounds;
    }
    EXPECT_LT(rounds, 1000);
  });
}

}  // namespace
}  // namespace weir::select_test
