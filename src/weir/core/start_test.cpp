#include <weir/core/start.hpp>

#include <weir/core/sleep.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace weir::start_test {
namespace {

using namespace weir::literals;
using testing::elapsed;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

task<> serve(readiness<int>& ready, std::string* log, duration before, duration after) {
  co_await sleep(before);
  ready(8420);
  log->push_back('r');
  co_await sleep(after);
  log->push_back('e');
}

task<> copy_later(std::string_view viewed, std::string* copy) {
  co_await sleep(1_ms);
  *copy = viewed;
}
WEIR_TEST("arguments that a child's parameters only view are kept for it") {
  const std::string text(100, 'x');
  std::string copy;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(&copy_later, std::string(text), &copy);
    co_return;
  });
  EXPECT_EQ(copy, text);
}

WEIR_TEST("start waits for the child's word, and the child lives on in the given scope (T15)") {
  std::string log;
  co_await with_scope({.name = "services"}, [&](scope& services) -> task<> {
    EXPECT_EQ(co_await start<int>(services, &serve, &log, 2_ms, 5_ms), 8420);
    EXPECT_EQ(elapsed(), 2_ms);
    EXPECT_EQ(log, "r");
    EXPECT_EQ(services.stats().live, 1u);
  });
  EXPECT_EQ(log, "re");
  EXPECT_EQ(elapsed(), 7_ms);
}

WEIR_TEST("an error before the word is thrown to the starter, as it is (T15)") {
  co_await with_scope([](scope& services) -> task<> {
    co_await testing::expect_raises<errc::busy>(start<int>(services, [](readiness<int>&) -> task<> {
      co_await sleep(1_ms);
      raise(error(errc::busy, "port taken"));
    }));
    EXPECT_FALSE(services.is_cancelled());
    EXPECT_EQ(services.stats().live, 0u);
  });
}

WEIR_TEST("an error after the word belongs to the scope in which the child lives") {
  EXPECT_THAT(co_await testing::errors_of([]() -> task<> {
                co_await with_scope([](scope& services) -> task<> {
                  co_await start<int>(services, [](readiness<int>& ready) -> task<> {
                    ready(1);
                    co_await sleep(1_ms);
                    raise(error(errc::broken, "later"));
                  });
                  co_await sleep(1_h);
                });
              }()),
              ElementsAre(HasSubstr("later")));
  EXPECT_EQ(elapsed(), 1_ms);
}

WEIR_TEST("a child that ends without a word raises closed") {
  co_await with_scope([](scope& services) -> task<> {
    co_await testing::expect_raises<errc::closed>(
        start<int>(services, [](readiness<int>&) -> task<> { co_return; }));
  });
}

WEIR_TEST("cancelling the starter before the word ends the child (T15)") {
  std::string log;
  co_await with_scope([&](scope& services) -> task<> {
    co_await testing::expect_raises<errc::timed_out>(
        with_timeout(1_ms, start<int>(services, &serve, &log, 5_ms, 5_ms)));
    EXPECT_EQ(services.stats().live, 0u);
  });
  EXPECT_EQ(log, "");
  EXPECT_EQ(elapsed(), 1_ms);
}

WEIR_TEST("cancelling the starter after the word leaves the child alone") {
  std::string log;
  co_await with_scope([&](scope& services) -> task<> {
    co_await testing::expect_raises<errc::timed_out>(
        with_timeout(3_ms, [](scope* in, std::string* out) -> task<> {
          co_await start<int>(*in, &serve, out, 1_ms, 5_ms);
          co_await sleep(1_h);
        }(&services, &log)));
  });
  EXPECT_EQ(log, "re");
  EXPECT_EQ(elapsed(), 6_ms);
}

WEIR_TEST("scopes that the child has open move with it and obey the new scope's cancellation") {
  bool is_cut_short = false;
  co_await with_scope([&](scope& outer) -> task<> {
    co_await with_scope([&](scope& services) -> task<> {
      co_await start<int>(
          services,
          [](readiness<int>& ready, bool* out) -> task<> {
            co_await with_scope([&](scope& inner) -> task<> {
              inner.spawn([]() -> task<> { co_await sleep(1_h); });
              ready(1);
              const auto ended = co_await as_result(sleep(1_h));
              *out = !ended;
            });
          },
          &is_cut_short);
      co_await sleep(1_ms);
      services.cancel();
      co_return;
    });
    EXPECT_FALSE(outer.is_cancelled());
  });
  EXPECT_TRUE(is_cut_short);
  EXPECT_EQ(elapsed(), 1_ms);
}

WEIR_TEST("a child that becomes ready in a cancelled scope is cancelled at its next wait") {
  bool has_gone_on = false;
  co_await with_scope([&](scope& outer) -> task<> {
    co_await with_scope([&](scope& services) -> task<> {
      outer.spawn(
          [](scope* in, bool* out) -> task<> {
            co_await start<int>(
                *in,
                [](readiness<int>& ready, bool* went_on) -> task<> {
                  co_await sleep(2_ms);
                  ready(1);
                  co_await sleep(1_h);
                  *went_on = true;
                },
                out);
          },
          &services, &has_gone_on);
      co_await sleep(1_ms);
      services.spawn(
          []() -> task<> { co_await shield([]() -> task<> { co_await sleep(5_ms); }()); });
      services.cancel();
    });
  });
  EXPECT_FALSE(has_gone_on);
  EXPECT_LE(elapsed(), 10_ms);
}

// The starter is outside of the scope that the child shall live in.

WEIR_TEST("a scope whose tasks have ended stays open for children that are being started in it") {
  std::string log;
  int begun = 0;
  co_await with_scope([&](scope& outer) -> task<> {
    co_await with_scope([&](scope& services) -> task<> {
      const auto start_here = [](scope* in, std::string* out, int* count) -> task<> {
        ++*count;
        EXPECT_EQ(co_await start<int>(*in, &serve, out, 2_ms, 3_ms), 8420);
      };
      outer.spawn(start_here, &services, &log, &begun);
      co_await sleep(1_ms);
      outer.spawn(start_here, &services, &log, &begun);
      while (begun < 2) co_await yield();
    });
    EXPECT_EQ(elapsed(), 6_ms) << "1 ms, 2 ms to its word, 3 ms to its end";
    EXPECT_EQ(log, "rree");
    co_return;
  });
}

WEIR_TEST("a start that fails, or is cancelled, lets go of the scope that stayed open for it") {
  co_await with_scope([&](scope& outer) -> task<> {
    co_await with_scope([&](scope& services) -> task<> {
      outer.spawn(
          [](scope* in) -> task<> {
            co_await testing::expect_raises<errc::busy>(
                start<int>(*in, [](readiness<int>&) -> task<> {
                  co_await sleep(7_ms);
                  raise(error(errc::busy));
                }));
          },
          &services);
      outer.spawn(
          [](scope* in) -> task<> {
            co_await testing::expect_raises<errc::timed_out>(with_timeout(
                8_ms, start<int>(*in, [](readiness<int>&) -> task<> { co_await sleep(1_h); })));
          },
          &services);
      co_await sleep(1_ms);
    });
    EXPECT_EQ(elapsed(), 8_ms);
    co_return;
  });
}

WEIR_TEST("a child that is being started has its place among the tasks of its scope") {
  std::string log;
  co_await with_scope({.tasks_max = 2}, [&](scope& services) -> task<> {
    services.spawn([]() -> task<> { co_await sleep(5_ms); });
    co_await start<int>(services, &serve, &log, 1_ms, 1_ms);
    co_await testing::expect_raises<errc::full>(start<int>(services, &serve, &log, 1_ms, 1_ms));
    EXPECT_EQ(elapsed(), 1_ms) << "it was refused before it began";
    co_await sleep(2_ms);
    const auto start_here = [](scope* in, std::string* out) -> task<> {
      co_await start<int>(*in, &serve, out, 1_ms, 1_ms);
    };
    co_await with_scope([&](scope& starters) -> task<> {
      starters.spawn(start_here, &services, &log);
      co_await sleep(duration::microseconds(500));
      EXPECT_EQ(services.stats().live, 1u);
      co_await testing::expect_raises<errc::full>([](scope* in) -> task<> {
        in->spawn([]() -> task<> { co_return; });
        co_return;
      }(&services));
    });
  });
  EXPECT_EQ(log, "rere");
}

TEST(StartDeathTest, saying_ready_twice_stops_the_process) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 co_await with_scope([](scope& s) -> task<> {
                   co_await start<int>(s, [](readiness<int>& ready) -> task<> {
                     ready(1);
                     ready(2);
                     co_return;
                   });
                 });
               }()),
               "readiness is said once");
}

TEST(StartDeathTest, saying_ready_in_a_task_of_the_child_stops_the_process) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 co_await with_scope([](scope& s) -> task<> {
                   co_await start<int>(s, [](readiness<int>& ready) -> task<> {
                     co_await with_scope([&](scope& inner) -> task<> {
                       inner.spawn([&]() -> task<> {
                         ready(1);
                         co_return;
                       });
                       co_return;
                     });
                   });
                 });
               }()),
               "readiness is said by the child itself");
}

}  // namespace
}  // namespace weir::start_test
