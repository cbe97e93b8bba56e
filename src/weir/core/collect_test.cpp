// Scopes that collect: failures cancel nothing and arrive together at the end.
#include <weir/core/as_result.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace weir::collect_test {
namespace {

using namespace weir::literals;
using testing::elapsed;
using ::testing::ElementsAre;
using testing::errors_of;
using ::testing::HasSubstr;

task<> sleep_forever() { co_await sleep_until(time_point::never()); }
task<> fail_after(duration length, const char* text) {
  co_await sleep(length);
  raise(error(errc::broken, text));
}
task<> note_after(duration length, std::string* log, char name) {
  co_await sleep(length);
  log->push_back(name);
}
/// Cut off by a cancellation, it fails.
task<> fail_when_cut(const char* text) {
  if (!co_await as_result(sleep(1_h))) raise(error(errc::io, text));
}

WEIR_TEST(
    "a collecting scope lets all run to their ends and raises their errors as one group (T12)") {
  std::string log;
  const auto errors = co_await errors_of([](std::string* out) -> task<> {
    co_await with_scope({.failures = collect}, [&](scope& s) -> task<> {
      s.spawn(&fail_after, 3_ms, "second");
      s.spawn(&fail_after, 1_ms, "first");
      s.spawn(&note_after, 5_ms, out, 'a');
      co_await sleep(2_ms);
      EXPECT_FALSE(s.is_cancelled());
      EXPECT_EQ(s.stats().failed, 1u);
      s.spawn(&note_after, 5_ms, out, 'b');
      co_await s.join();
      EXPECT_EQ(s.stats().failed, 2u);
      EXPECT_EQ(s.stats().cancelled, 0u);
      out->push_back('e');
    });
    out->push_back('!');
  }(&log));
  EXPECT_THAT(errors, ElementsAre(HasSubstr("first"), HasSubstr("second")));
  EXPECT_EQ(log, "abe");
  EXPECT_EQ(elapsed(), 7_ms);
}

WEIR_TEST(
    "an error of the body of a collecting scope cuts no child and stands in the group (T12)") {
  std::string log;
  const auto errors = co_await errors_of([](std::string* out) -> task<> {
    co_await with_scope({.failures = collect}, [&](scope& s) -> task<> {
      s.spawn(&fail_after, 1_ms, "before");
      s.spawn(&fail_after, 3_ms, "after");
      s.spawn(&note_after, 5_ms, out, 'a');
      co_await sleep(2_ms);
      raise(error(errc::broken, "the body"));
    });
  }(&log));
  EXPECT_THAT(errors, ElementsAre(HasSubstr("before"), HasSubstr("the body"), HasSubstr("after")));
  EXPECT_EQ(log, "a");
  EXPECT_EQ(elapsed(), 5_ms);
}

WEIR_CORO_WRAPPER task<> no_body(scope& s) {
  s.spawn(&fail_after, 1_ms, "a child");
  raise(error(errc::broken, "no task"));
}
WEIR_TEST("a collecting scope whose body gives no task awaits what was spawned") {
  EXPECT_THAT(co_await errors_of([](auto body) -> task<> {
                co_await with_scope({.failures = collect}, body);
              }(&no_body)),
              ElementsAre(HasSubstr("no task"), HasSubstr("a child")));
}

WEIR_TEST("a collecting scope gives its body's value when nothing failed, and else the errors") {
  const auto give = [](scope& s) -> task<int> {
    s.spawn(&sleep_forever);
    s.spawn(&fail_after, 1_ms, "a child");
    co_await sleep(2_ms);
    s.cancel();
    co_return 7;
  };
  const auto give_in_peace = [](scope&) -> task<int> {
    co_await sleep(1_ms);
    co_return 7;
  };
  EXPECT_EQ(co_await with_scope({.failures = collect}, give_in_peace), 7);
  EXPECT_THAT(co_await errors_of([](auto body) -> task<> {
                co_await with_scope({.failures = collect}, body);
              }(give)),
              ElementsAre(HasSubstr("a child")));
}

WEIR_TEST(
    "an error that the body had from a child's handle stands in a collecting scope's group once") {
  EXPECT_THAT(co_await errors_of([]() -> task<> {
                co_await with_scope({.failures = collect}, [](scope& s) -> task<> {
                  auto child = s.spawn(&fail_after, 1_ms, "the child's");
                  s.spawn(&fail_after, 2_ms, "another's");
                  co_await child;
                });
              }()),
              ElementsAre(HasSubstr("the child's"), HasSubstr("another's")));
  EXPECT_EQ(elapsed(), 2_ms);
}

WEIR_TEST("an outer cancellation cuts a collecting scope, and what had failed is raised") {
  std::string log;
  co_await with_scope([&](scope& outer) -> task<> {
    outer.spawn([&]() -> task<> {
      const auto errors = co_await errors_of([]() -> task<> {
        co_await with_scope({.failures = collect}, [](scope& s) -> task<> {
          s.spawn(&sleep_forever);
          s.spawn(&fail_after, 1_ms, "before");
          s.spawn(&fail_when_cut, "when cut");
          co_await sleep(1_h);
        });
      }());
      EXPECT_THAT(errors, ElementsAre(HasSubstr("before"), HasSubstr("when cut")));
      log += 'h';
      co_await sleep(1_ms);
      log += '!';
    });
    co_await sleep(2_ms);
    outer.cancel();
  });
  EXPECT_EQ(log, "h") << "the cancellation goes on at the next wait";
  EXPECT_EQ(elapsed(), 2_ms);
}

WEIR_TEST("a collecting scope without errors passes an outer cancellation on") {
  std::string log;
  co_await with_scope([&](scope& outer) -> task<> {
    outer.spawn([&]() -> task<> {
      co_await with_scope({.failures = collect}, [](scope& s) -> task<> {
        s.spawn(&sleep_forever);
        co_await sleep(1_h);
      });
      log += '!';
    });
    co_await sleep(1_ms);
    outer.cancel();
  });
  EXPECT_EQ(log, "");
}

WEIR_TEST("a collecting scope's own deadline cuts its children, and what had failed is raised") {
  EXPECT_THAT(co_await errors_of([]() -> task<> {
                co_await with_scope({.failures = collect, .timeout = 2_ms}, [](scope& s) -> task<> {
                  s.spawn(&sleep_forever);
                  s.spawn(&fail_after, 1_ms, "in time");
                  s.spawn(&fail_after, 3_ms, "too late");
                  co_return;
                });
              }()),
              ElementsAre(HasSubstr("in time")));
  EXPECT_EQ(elapsed(), 2_ms);
  const scope_end end =
      co_await with_scope({.failures = collect, .timeout = 2_ms}, [](scope& s) -> task<> {
        s.spawn(&sleep_forever);
        co_return;
      });
  EXPECT_EQ(end.reason.kind, cancel_kind::deadline);
  EXPECT_TRUE(end.was_cut_short());
}

WEIR_TEST(
    "a collecting scope runs all of many that fail, and counts what its group has no room for") {
  static constexpr std::uint32_t many = error_group::size_max + 5;
  std::size_t kept = 0;
  std::size_t dropped = 0;
  try {
    co_await with_scope({.tasks_max = 3, .failures = collect}, [](scope& s) -> task<> {
      for (std::uint32_t i = 0; i < many; ++i) co_await s.spawn_when_room(&fail_after, 1_ms, "one");
      co_await s.join();
      EXPECT_EQ(s.stats().failed, many);
    });
  } catch (const error_group& all) {
    kept = all.size();
    dropped = all.dropped();
  }
  EXPECT_EQ(kept, error_group::size_max);
  EXPECT_EQ(dropped, 5u);
}

TEST(CancelledWaits, a_collecting_scope_leaves_no_child_and_raises_what_has_failed) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    int begun = 0;
    int ended = 0;
    int failed = 0;
    std::size_t heard = 0;
    const auto fail_noted = [](duration length, int* count) -> task<> {
      co_await sleep(length);
      ++*count;
      raise(error(errc::broken));
    };
    const auto live = [](int* from, int* to) -> task<> {
      struct living {
        int* count;
        ~living() { ++*count; }
      };
      ++*from;
      const living here{to};
      co_await sleep(3_ms);
    };
    const auto operation = [&]() -> task<> {
      try {
        co_await with_scope({.failures = collect}, [&](scope& s) -> task<> {
          s.spawn(fail_noted, 1_ms, &failed);
          s.spawn(live, &begun, &ended);
          s.spawn(fail_noted, 2_ms, &failed);
          co_return;
        });
      } catch (const error_group& all) {
        heard = all.size();
      }
    };
    co_await v.run(operation());
    EXPECT_EQ(begun, ended);
    EXPECT_EQ(heard, static_cast<std::size_t>(failed));
    if (!v.was_cancelled()) EXPECT_EQ(heard, 2u);
    EXPECT_EQ(loop::current()->stats().timers_live, 0u);
  });
}

}  // namespace
}  // namespace weir::collect_test
