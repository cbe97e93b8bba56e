// Corners of scopes and cancellation that the tests of Trio look into and no other file here does;
// docs/reference/trio-themes.md is the table of all of its themes.
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/start.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

namespace weir::scope_edges_test {
namespace {

using namespace weir::literals;
using testing::elapsed;
using testing::errors_of;
using ::testing::HasSubstr;
using ::testing::UnorderedElementsAre;

task<> sleep_forever() { co_await sleep_until(time_point::never()); }
task<> fail_after(duration length, const char* text) {
  co_await sleep(length);
  raise(error(errc::broken, text));
}

WEIR_TEST("every scope leads up to the root, which has no parent") {
  co_await with_scope([](scope& outer) -> task<> {
    co_await with_scope([&](scope& inner) -> task<> {
      inner.spawn(
          [](scope* of) -> task<> {
            EXPECT_EQ(scope::current(), of);
            const scope* top = of;
            while (top->parent()) top = top->parent();
            EXPECT_EQ(top, &loop::current()->root());
            co_return;
          },
          &inner);
      EXPECT_EQ(inner.parent(), &outer);
      co_return;
    });
  });
}

WEIR_TEST("a cancellation reaches the children of children at once") {
  struct leaf {
    static task<> wait(int* ended) {
      const leaf here{ended};
      co_await sleep_forever();
    }
    int* count;
    ~leaf() { ++*count; }
  };
  int ended = 0;
  co_await with_scope([&](scope& outer) -> task<> {
    for (int i = 0; i < 2; ++i) {
      outer.spawn([&]() -> task<> {
        co_await with_scope([&](scope& inner) -> task<> {
          inner.spawn(&leaf::wait, &ended);
          inner.spawn(&leaf::wait, &ended);
          co_return;
        });
        co_await checkpoint();  // its body had ended before, so it is met here
        ADD_FAILURE() << "a wait succeeded in a cancelled scope";
      });
    }
    co_await sleep(1_ms);
    outer.cancel();
  });
  EXPECT_EQ(ended, 4);
  EXPECT_EQ(elapsed(), 1_ms);
}

WEIR_TEST("of two scopes cancelled at once the inner takes its own, and the outer the next wait") {
  std::string log;
  co_await with_scope([&](scope& outer) -> task<> {
    const scope_end end = co_await with_scope([&](scope& inner) -> task<> {
      inner.cancel();
      outer.cancel();
      co_await sleep_forever();
      log += '!';
    });
    EXPECT_TRUE(end.was_cut_short());
    log += 'i';
    co_await checkpoint();
    log += '!';
  });
  EXPECT_EQ(log, "i");
}

WEIR_TEST("a cancellation that nothing waited for ends with its scope") {
  const scope_end end = co_await with_scope([](scope& s) -> task<> {
    s.cancel();
    co_await shield([]() -> task<> { co_await sleep(1_ms); }());
  });
  EXPECT_TRUE(end.is_cancel_called());
  EXPECT_FALSE(end.was_cut_short());
  co_await sleep(1_ms);
  EXPECT_EQ(elapsed(), 2_ms);
}

WEIR_TEST("lowering a shield ends the waits of the children behind it, too") {
  bool has_slept = false;
  bool has_ended = false;
  co_await with_scope([&](scope& outer) -> task<> {
    co_await with_scope({.shield = true}, [&](scope& kept) -> task<> {
      outer.cancel();
      kept.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        has_slept = true;
        EXPECT_EQ((co_await as_result(sleep_forever())).error(), errc::cancelled);
        has_ended = true;
      });
      co_await sleep(2_ms);
      EXPECT_FALSE(has_ended);
      kept.set_shield(false);
      co_await shield([]() -> task<> { co_await sleep(1_ms); }());
      EXPECT_TRUE(has_ended);
    });
  });
  EXPECT_TRUE(has_slept);
}

/// A wait that leaves only when it is let go, as an operation of the kernel does.
struct slow_wait final : detail::leaf_wait<slow_wait, void> {
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  struct state {
    int asked_to_leave = 0;
    slow_wait* waiting = nullptr;
    void let_go() noexcept { std::exchange(waiting, nullptr)->complete_cancelled(); }
  };
  explicit slow_wait(state& s) noexcept : leaf_wait(kind_), of(&s) {}
  bool try_now() noexcept { return false; }
  void enlist() noexcept { of->waiting = this; }
  result<void> take() noexcept { return {}; }
  static void leave(detail::wait& w) noexcept { ++static_cast<slow_wait&>(w).of->asked_to_leave; }
  static constexpr detail::wait_kind kind_{"something slow", &leave};
  state* of;
};

WEIR_TEST(
    "a wait that leaves slowly is asked once, and leaves though it is shielded meanwhile (T21)") {
  slow_wait::state slow;
  std::string log;
  co_await with_scope([&](scope& outermost) -> task<> {
    co_await with_scope([&](scope& outer) -> task<> {
      co_await with_scope([&](scope& inner) -> task<> {
        inner.spawn([&]() -> task<> {
          EXPECT_EQ((co_await as_result(slow_wait(slow))).error(), errc::cancelled);
          log += 'c';
          co_await sleep(1_ms);  // shielded by now
          log += 'd';
        });
        co_await sleep(1_ms);
        outermost.cancel();
        EXPECT_EQ(slow.asked_to_leave, 1);
        outer.cancel();
        EXPECT_EQ(slow.asked_to_leave, 1);
        inner.set_shield(true);
        EXPECT_EQ(log, "");
        slow.let_go();
        co_return;
      });
      EXPECT_EQ(log, "cd");
    });
  });
  EXPECT_EQ(elapsed(), 2_ms);
}

WEIR_TEST("a deadline that is moved ten thousand times is one timer") {
  co_await with_scope([](scope& s) -> task<> {
    const std::uint64_t before = loop::current()->stats().timers_live;
    const time_point now = loop::current()->now();
    for (int i = 0; i < 5000; ++i) {
      s.set_deadline(now + 9998_s);
      s.set_deadline(now + 9999_s);
    }
    EXPECT_EQ(loop::current()->stats().timers_live, before + 1);
    co_await sleep(1_ms);
    s.set_deadline(time_point::never());
    EXPECT_EQ(loop::current()->stats().timers_live, before);
  });
  EXPECT_EQ(elapsed(), 1_ms);
}

WEIR_TEST("a deadline that came first stays the reason, and so does a cancellation") {
  co_await with_scope([](scope& s) -> task<> {
    s.set_deadline(loop::current()->now());
    s.cancel("too late");
    EXPECT_EQ(s.reason().kind, cancel_kind::deadline);
    co_return;
  });
  co_await with_scope([](scope& s) -> task<> {
    s.cancel("in time");
    s.set_deadline(loop::current()->now());
    EXPECT_STREQ(s.reason().text, "in time");
    co_return;
  });
}

WEIR_TEST("what a child spawned beside itself before its word fails at its starter") {
  co_await with_scope([](scope& services) -> task<> {
    const auto errors =
        co_await errors_of(start<int>(services, [](readiness<int>& ready) -> task<> {
          for (const char* text : {"one", "other"})
            scope::current()->spawn(&fail_after, 1_ms, text);
          co_await sleep(2_ms);
          ready(1);
        }));
    EXPECT_THAT(errors, UnorderedElementsAre(HasSubstr("one"), HasSubstr("other")));
    EXPECT_FALSE(services.is_cancelled());
  });
}

WEIR_TEST("spawning through a reference to a scope that is gone raises closed (T14)") {
  scope* kept = nullptr;
  bool has_run = false;
  co_await with_scope([&](scope& s) -> task<> {
    kept = &s;
    co_return;
  });
  // The memory of the scope is part of this frame, which has put nothing else there.
  EXPECT_THAT(co_await errors_of([](scope* gone, bool* ran) -> task<> {
                gone->spawn([](bool* r) -> task<> { co_return void(*r = true); }, ran);
                co_return;
              }(kept, &has_run)),
              UnorderedElementsAre(HasSubstr("closed: spawn: the scope has ended")));
  EXPECT_FALSE(has_run);
}

}  // namespace
}  // namespace weir::scope_edges_test
