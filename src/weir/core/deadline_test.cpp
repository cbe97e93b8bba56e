// Deadlines and time-outs: a scope's own way of being cancelled.
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <source_location>
#include <string>
#include <string_view>

namespace weir::deadline_test {
namespace {

using namespace weir::literals;
using testing::elapsed;
using ::testing::ElementsAre;
using testing::errors_of;
using testing::expect_raises;
using ::testing::HasSubstr;

/// Says when it is destroyed.
struct mark {
  std::string* log;
  char name;
  mark(std::string& to, char c) : log(&to), name(c) {}
  mark(const mark&) = delete;
  mark& operator=(const mark&) = delete;
  ~mark() { log->push_back(name); }
};

task<> sleep_forever() { co_await sleep_until(time_point::never()); }
task<> nap(duration length) { co_await sleep(length); }

WEIR_TEST("a time-out raises timed_out once the task has ended") {
  std::string log;
  co_await expect_raises<errc::timed_out>(with_timeout(5_ms, [](std::string* out) -> task<> {
    const mark local(*out, 'd');
    co_await shield(nap(8_ms));
    co_await sleep_forever();
  }(&log)));
  EXPECT_EQ(log, "d");
  EXPECT_EQ(elapsed(), 8_ms);
}

WEIR_TEST("a time-out tells its length, a deadline that it has passed") {
  EXPECT_THAT(co_await errors_of(with_timeout(1500_ms, sleep_forever())),
              ElementsAre(HasSubstr("timed_out: not done within 1s500ms")));
  EXPECT_THAT(co_await errors_of(with_deadline(time_point() + 1_s, sleep_forever())),
              ElementsAre(HasSubstr("timed_out: the scope's deadline passed")));
}

WEIR_TEST("a task that is in time gives its value and leaves no timer") {
  EXPECT_EQ(co_await with_timeout(5_ms,
                                  []() -> task<int> {
                                    co_await sleep(1_ms);
                                    co_return 4;
                                  }()),
            4);
  EXPECT_EQ(loop::current()->stats().timers_live, 0u);
}

WEIR_TEST("a single wait can be given a time-out (T10)") {
  co_await expect_raises<errc::timed_out>(with_timeout(1_ms, sleep(1_h)));
  co_await with_timeout(1_h, sleep(1_ms));
  EXPECT_EQ(elapsed(), 2_ms);
}

WEIR_TEST("a time-out of zero or less lets the task run to its first wait") {
  for (const duration length : {0_ms, -5_ms}) {
    std::string log;
    co_await expect_raises<errc::timed_out>(with_timeout(length, [](std::string* out) -> task<> {
      out->push_back('s');
      co_await checkpoint();
      out->push_back('!');
    }(&log)));
    EXPECT_EQ(log, "s");
  }
}

WEIR_TEST("the earliest deadline around a wait ends it, and belongs to its own scope (T5)") {
  co_await with_timeout(1_h, []() -> task<> {
    co_await expect_raises<errc::timed_out>(
        with_timeout(5_ms, []() -> task<> { co_await with_timeout(10_ms, sleep_forever()); }()));
    EXPECT_EQ(elapsed(), 5_ms);
    co_await expect_raises<errc::timed_out>(with_timeout(10_ms, []() -> task<> {
      co_await expect_raises<errc::timed_out>(with_timeout(5_ms, sleep_forever()));
      co_await sleep(1_h);
    }()));
    EXPECT_EQ(elapsed(), 15_ms);
  }());
}

WEIR_TEST("effective_deadline is the earliest up to the nearest shield (T5)") {
  const time_point start = loop::current()->now();
  co_await with_scope({.timeout = 10_ms}, [&](scope& outer) -> task<> {
    EXPECT_EQ(outer.effective_deadline(), start + 10_ms);
    co_await with_scope({.timeout = 20_ms}, [&](scope& inner) -> task<> {
      EXPECT_EQ(inner.deadline(), start + 20_ms);
      EXPECT_EQ(inner.effective_deadline(), start + 10_ms);
      inner.set_deadline(start + 5_ms);
      EXPECT_EQ(inner.effective_deadline(), start + 5_ms);
      co_return;
    });
    co_await with_scope({.timeout = 20_ms, .shield = true}, [&](scope& kept) -> task<> {
      EXPECT_EQ(kept.effective_deadline(), start + 20_ms);
      co_return;
    });
    co_await with_scope([&](scope& open) -> task<> {
      EXPECT_EQ(open.deadline(), time_point::never());
      EXPECT_EQ(open.effective_deadline(), start + 10_ms);
      co_return;
    });
  });
}

WEIR_TEST("a deadline can be moved later, earlier, into the past and away (T2)") {
  const time_point start = loop::current()->now();
  co_await with_scope({.timeout = 5_ms}, [&](scope& s) -> task<> {
    s.set_deadline(start + 20_ms);
    co_await sleep(10_ms);
    s.set_deadline(time_point::never());
    co_await sleep(20_ms);
    s.set_deadline(loop::current()->now() + 1_ms);
    co_await sleep_forever();
  });
  EXPECT_EQ(elapsed(), 31_ms);
  co_await with_scope([&](scope& s) -> task<> {
    s.set_deadline(start);
    EXPECT_TRUE(s.is_cancelled());
    EXPECT_EQ(s.reason().kind, cancel_kind::deadline);
    co_await sleep_forever();
  });
  EXPECT_EQ(elapsed(), 31_ms);
}

WEIR_TEST("the place of a time-out is where it is awaited") {
  const auto place_of = [](const auto& outcome) {
    return std::string_view(outcome.error().place().file_name()).ends_with("deadline_test.cpp")
               ? outcome.error().place().line()
               : 0;
  };
  auto late = with_timeout(1_ms, shield(sleep_forever(), 1_h));
  const auto here = std::source_location::current();
  EXPECT_EQ(place_of(co_await as_result(std::move(late))), here.line() + 1);
  EXPECT_EQ(place_of(co_await as_result(with_timeout(1_ms, sleep(1_h)))), here.line() + 2);
  const auto valued = []() -> task<int> {
    co_return co_await with_scope({.timeout = 1_ms}, [](scope&) -> task<int> {
      co_await sleep_forever();
      co_return 1;
    });
  };
  EXPECT_EQ(place_of(co_await as_result(valued())), here.line() + 4);
}

WEIR_TEST("the handle of a spawned task may be given a time-out, and the task goes on") {
  co_await with_scope([](scope& s) -> task<> {
    const auto child = s.spawn([]() -> task<int> {
      co_await sleep(10_ms);
      co_return 3;
    });
    co_await expect_raises<errc::timed_out>(with_timeout(1_ms, child));
    EXPECT_EQ(co_await with_timeout(1_h, child), 3);
    EXPECT_EQ(elapsed(), 10_ms);
  });
}

WEIR_TEST("with_deadline counts from the moment that it names, not from when it is awaited") {
  const time_point start = loop::current()->now();
  auto late = with_deadline(start + 10_ms, sleep_forever());
  co_await sleep(8_ms);
  co_await expect_raises<errc::timed_out>(std::move(late));
  EXPECT_EQ(elapsed(), 10_ms);
  EXPECT_EQ(co_await with_deadline(time_point::never(), []() -> task<int> { co_return 1; }()), 1);
  co_await expect_raises<errc::timed_out>(with_deadline(start, sleep_forever()));
}

WEIR_TEST("many scopes with one deadline all end") {
  int ended = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 100; ++i) {
      s.spawn([&]() -> task<> {
        co_await with_scope({.timeout = 5_ms}, [](scope&) -> task<> { co_await sleep_forever(); });
        ++ended;
      });
    }
    co_return;
  });
  EXPECT_EQ(ended, 100);
  EXPECT_EQ(elapsed(), 5_ms);
}

}  // namespace
}  // namespace weir::deadline_test
