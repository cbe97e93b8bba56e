// Shields keep outer cancellations out.
#include <weir/core/as_result.hpp>
#include <weir/core/cleanup.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::shield_test {
namespace {

using namespace weir::literals;
using testing::elapsed;
using testing::expect_raises;

task<> sleep_forever() { co_await sleep_until(time_point::never()); }
task<> nap(duration length) { co_await sleep(length); }

WEIR_TEST("a shield keeps outer cancellations out until its end (T2, T6)") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await shield(nap(5_ms));
      log += 's';
      co_await checkpoint();
      log += '!';
    });
    co_await sleep(1_ms);
    s.cancel();
    co_return;
  });
  EXPECT_EQ(log, "s");
  EXPECT_EQ(elapsed(), 5_ms);
}

WEIR_TEST("a single wait is shielded as a task is, with a deadline of its own") {
  bool is_done = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.cancel();
    co_await shield(sleep(1_ms));
    is_done = true;
    co_await expect_raises<errc::timed_out>(
        []() -> task<> { co_await shield(sleep_until(time_point::never()), 2_ms); }());
  });
  EXPECT_TRUE(is_done);
  EXPECT_EQ(elapsed(), 3_ms);
}

WEIR_TEST("a shield entered in a cancelled scope is not cancelled") {
  bool is_done = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.cancel();
    co_await shield(nap(1_ms));
    is_done = true;
  });
  EXPECT_TRUE(is_done);
  EXPECT_EQ(elapsed(), 1_ms);
}

WEIR_TEST("a shield has a deadline of its own (T6)") {
  co_await expect_raises<errc::timed_out>(shield(sleep_forever(), 5_ms));
  EXPECT_EQ(elapsed(), 5_ms);
}

WEIR_TEST("cancelling the shielded scope itself ends it (T6)") {
  co_await with_scope({.shield = true}, [](scope& s) -> task<> {
    s.cancel();
    co_await sleep_forever();
  });
  EXPECT_EQ(elapsed(), 0_ms);
}

WEIR_TEST("children in a shielded scope are shielded too") {
  int ended = 0;
  co_await with_scope([&](scope& outer) -> task<> {
    co_await with_scope({.shield = true}, [&](scope& s) -> task<> {
      for (int i = 0; i < 3; ++i) {
        s.spawn([&]() -> task<> {
          co_await sleep(2_ms);
          ++ended;
        });
      }
      outer.cancel();
      co_return;
    });
  });
  EXPECT_EQ(ended, 3);
}

WEIR_TEST("a scope inside a shield is reached by cancelling the shield, not from outside") {
  co_await with_scope([](scope& outer) -> task<> {
    co_await with_scope({.shield = true}, [&](scope& kept) -> task<> {
      co_await with_scope([&](scope& inner) -> task<> {
        outer.cancel();
        EXPECT_FALSE(inner.is_cancelled());
        kept.cancel();
        EXPECT_TRUE(inner.is_cancelled());
        co_return;
      });
    });
  });
}

WEIR_TEST("lowering a shield while a cancellation is pending delivers it (T20)") {
  std::string log;
  co_await with_scope([&](scope& outer) -> task<> {
    co_await with_scope({.shield = true}, [&](scope& s) -> task<> {
      outer.spawn([&]() -> task<> {
        co_await shield(nap(3_ms));
        log += 'u';
        s.set_shield(false);
      });
      co_await sleep(1_ms);
      outer.cancel();
      co_await sleep_forever();
    });
    log += '!';
  });
  EXPECT_EQ(log, "u");
  EXPECT_EQ(elapsed(), 3_ms);
}

WEIR_TEST(
    "a shield that is raised in a cancelled scope keeps the cancellation out from then on (T20)") {
  std::string log;
  co_await with_scope([&](scope& outer) -> task<> {
    co_await with_scope([&](scope& inner) -> task<> {
      outer.cancel();
      EXPECT_EQ((co_await as_result(sleep(1_ms))).error(), errc::cancelled);
      inner.set_shield(true);
      EXPECT_FALSE(inner.is_cancelled());
      co_await sleep(1_ms);
      co_await with_scope([&](scope& innermost) -> task<> {
        co_await sleep(1_ms);
        log += 's';
        innermost.cancel();
        co_await checkpoint();
        log += '!';
      });
      inner.set_shield(false);
      EXPECT_EQ((co_await as_result(sleep(1_ms))).error(), errc::cancelled);
      inner.set_shield(true);
      co_await sleep(1_ms);
      log += 't';
      inner.cancel();
      EXPECT_EQ((co_await as_result(sleep(1_ms))).error(), errc::cancelled);
      inner.set_shield(true);
      co_await checkpoint();
      log += '!';
    });
    log += 'o';  // the inner scope has taken its own cancellation, and no wait was here
    co_await checkpoint();
    log += '!';
  });
  EXPECT_EQ(log, "sto");
  EXPECT_EQ(elapsed(), 3_ms);
}

WEIR_TEST("scopes and children inside a shield that is raised again are free, too") {
  int freed = 0;
  co_await with_scope([&](scope& outer) -> task<> {
    co_await with_scope([&](scope& middle) -> task<> {
      co_await with_scope([&](scope& inner) -> task<> {
        co_await with_scope({.name = "cancelled by itself"}, [&](scope& own) -> task<> {
          own.cancel();
          outer.cancel();
          EXPECT_TRUE(inner.is_cancelled());
          middle.set_shield(true);
          EXPECT_FALSE(inner.is_cancelled());
          EXPECT_TRUE(own.is_cancelled());
          co_return;
        });
        inner.spawn([&]() -> task<> {
          co_await sleep(1_ms);
          ++freed;
        });
        co_await sleep(1_ms);
        ++freed;
      });
    });
  });
  EXPECT_EQ(freed, 2);
}

WEIR_TEST("raising a shield while its body is being cancelled changes nothing for the body") {
  struct raised_at_the_end {
    scope* of;
    ~raised_at_the_end() { of->set_shield(true); }
  };
  std::string log;
  co_await with_scope([&](scope& outer) -> task<> {
    const scope_end inner_end = co_await with_scope([&](scope& inner) -> task<> {
      const raised_at_the_end last{&inner};
      outer.cancel();
      co_await sleep_forever();
      log += '!';
    });
    log += inner_end.was_cut_short() ? '?' : '!';
  });
  EXPECT_EQ(log, "") << "the outer cancellation passed through the inner scope";
}

WEIR_TEST("a cleanup that raises the shield of a cancelled scope leaves the body cancelled") {
  std::string log;
  co_await with_scope([&](scope& outer) -> task<> {
    const scope_end inner_end = co_await with_scope([&](scope& inner) -> task<> {
      co_await with_cleanups([&](cleanups& after) -> task<> {
        after.defer_async([&]() -> task<> {
          inner.set_shield(true);
          log += 'c';
          co_return;
        });
        outer.cancel();
        co_await sleep_forever();
      });
      log += '!';
    });
    log += inner_end.was_cut_short() ? '?' : '!';
  });
  EXPECT_EQ(log, "c") << "neither an error nor a value";
}

WEIR_TEST("an error inside a shield is thrown as it is") {
  co_await expect_raises<errc::not_found>(shield([]() -> task<> {
    co_await yield();
    raise(error(errc::not_found));
  }()));
}

}  // namespace
}  // namespace weir::shield_test
