#include <weir/core/cleanup.hpp>

#include <weir/core.hpp>
#include <weir/core/log_listener_test.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <tuple>
#include <vector>

namespace weir::cleanup_test {
namespace {

using namespace weir::literals;
using ::testing::Contains;
using testing::elapsed;
using ::testing::HasSubstr;
using ::testing::Not;
using texts = std::vector<std::string>;

task<> note_later(texts& to, const char* text) {
  co_await sleep(1_s);
  to.push_back(text);
}
task<> take(duration length) { co_await sleep(length); }
task<> fail_later(const char* text) {
  co_await sleep(1_ms);
  throw std::runtime_error(text);
}
task<> cancelled_with_a_failing_cleanup() {
  co_await with_scope([](scope& s) -> task<> {
    s.spawn([]() -> task<> {
      co_await with_cleanups([](cleanups& after) -> task<> {
        after.defer_async([] WEIR_CORO_WRAPPER { return fail_later("the cleanup's"); });
        co_await sleep(1_h);
      });
    });
    co_await sleep(1_ms);
    s.cancel("enough");
    co_await s.join();
  });
}

WEIR_TEST("cleanups run after the body, the last one first, and may wait") {
  texts order;
  const int value = co_await with_cleanups([&](cleanups& after) -> task<int> {
    for (const char* text : {"first", "second"}) {
      after.defer_async([&order, text] WEIR_CORO_WRAPPER { return note_later(order, text); });
    }
    order.push_back("body");
    co_return 7;
  });
  EXPECT_EQ(value, 7);
  EXPECT_EQ(order, (texts{"body", "second", "first"}));
  EXPECT_EQ(elapsed(), 2_s);
}

WEIR_TEST("an error of the body alone is raised as it is, after the cleanups") {
  bool is_clean = false;
  try {
    co_await with_cleanups([&](cleanups& after) -> task<> {
      after.defer_async([&]() -> task<> {
        co_await sleep(1_ms);
        is_clean = true;
      });
      throw std::logic_error("a bug");
      co_return;
    });
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::logic_error&) {
    EXPECT_TRUE(is_clean);
  }
}

WEIR_TEST("errors of cleanups come beside the body's, and stop no other cleanup (S6)") {
  const texts told = co_await testing::errors_of(with_cleanups([&](cleanups& after) -> task<> {
    const auto fail_with = [](const char* text) {
      return [text] WEIR_CORO_WRAPPER { return fail_later(text); };
    };
    after.defer_async(fail_with("outer cleanup"));
    after.defer_async(fail_with("inner cleanup"));
    throw std::runtime_error("body");
    co_return;
  }));
  EXPECT_EQ(told, (texts{"body", "inner cleanup", "outer cleanup"}));
}

WEIR_TEST("a cleanup that overruns its deadline is cancelled, and that is told (S6)") {
  bool has_ended = false;
  const texts told = co_await testing::errors_of(with_cleanups([&](cleanups& after) -> task<> {
    after.defer_async(
        [&]() -> task<> {
          struct at_end {
            bool& flag;
            ~at_end() { flag = true; }
          };
          const at_end mark{has_ended};
          co_await sleep(1_h);
        },
        {.name = "good-bye"});
    co_return;
  }));
  EXPECT_TRUE(has_ended);
  EXPECT_EQ(elapsed(), 5_s);
  WEIR_REQUIRE(told.size() == 1);
  EXPECT_THAT(told[0], HasSubstr("timed_out: good-bye did not end within 5s and was cancelled"));
}

// Of a cleanup that has 5 ms.
template <class F>
task<texts> told_of(F cleanup) {
  co_return co_await testing::errors_of(with_cleanups([&](cleanups& after) -> task<> {
    after.defer_async(cleanup, {.deadline = 5_ms, .name = "good-bye"});
    co_return;
  }));
}

WEIR_TEST(
    "a cleanup that overruns its deadline under a shield is told with how long it took (S6)") {
  const texts told = co_await told_of([] WEIR_CORO_WRAPPER { return shield(take(30_ms)); });
  EXPECT_EQ(elapsed(), 30_ms);
  WEIR_REQUIRE(told.size() == 1);
  EXPECT_THAT(told[0], HasSubstr("timed_out: good-bye did not end within 5ms and was cancelled; "
                                 "it took 30ms"));
}

WEIR_TEST("a cleanup that does not end after its deadline is told in the log while it runs (S6)") {
  const testing::log_listener log;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([]() -> task<> {
      std::ignore = co_await told_of([] WEIR_CORO_WRAPPER { return shield(take(1_h)); });
    });
    co_await sleep(9_ms);
    EXPECT_THAT(log.lines, Not(Contains(HasSubstr("goes on"))));
    co_await sleep(2_ms);
    EXPECT_THAT(log.lines, Contains(HasSubstr("cleanup goes on beyond its deadline "
                                              "cleanup=good-bye deadline_ms=5 file=")));
    EXPECT_THAT(log.lines, Contains(HasSubstr("scope cancelled scope=good-bye kind=deadline")));
  });
  EXPECT_EQ(std::ranges::count_if(
                log.lines,
                [](const std::string& line) { return line.find("goes on") != std::string::npos; }),
            1);
}

WEIR_TEST("a cleanup that takes its cancellation has overrun its deadline all the same (S6)") {
  const texts told = co_await told_of([]() -> task<> {
    const auto slept = co_await as_result(sleep(1_h));
    EXPECT_FALSE(slept);
  });
  EXPECT_EQ(elapsed(), 5_ms);
  WEIR_REQUIRE(told.size() == 1);
  EXPECT_THAT(told[0], HasSubstr("timed_out: good-bye did not end within 5ms and was cancelled"));
}

WEIR_TEST("a cleanup that cancels its own scope has not overrun its deadline") {
  const texts told = co_await told_of([]() -> task<> {
    scope::current()->cancel("that is enough");
    co_return;
  });
  EXPECT_EQ(told, texts{});
}

WEIR_TEST("a cleanup that ends its own helper has not failed") {
  const texts told = co_await told_of([]() -> task<> {
    scope::current()->spawn([]() -> task<> { co_await sleep(1_h); });
    co_await sleep(1_ms);
    scope::current()->cancel("the helper is not needed any more");
  });
  EXPECT_EQ(told, texts{});
}

WEIR_TEST("a cleanup that its own cancellation ends has failed") {
  const texts told = co_await told_of([]() -> task<> {
    scope::current()->cancel("that is enough");
    co_await sleep(1_ms);
  });
  WEIR_REQUIRE(told.size() == 1);
  EXPECT_THAT(told[0], HasSubstr("cancelled"));
}

WEIR_TEST("a cancelled body is cleaned up after, and the cancellation goes on") {
  bool is_clean = false;
  bool went_on = false;
  const auto ended = co_await as_result(with_timeout(1_s, [](bool* clean, bool* on) -> task<> {
    co_await with_cleanups([&](cleanups& after) -> task<> {
      after.defer_async([&]() -> task<> {
        co_await sleep(2_s);
        *clean = true;
      });
      co_await sleep(1_h);
    });
    *on = true;
  }(&is_clean, &went_on)));
  EXPECT_EQ(ended.error().code(), errc::timed_out);
  EXPECT_TRUE(is_clean);
  EXPECT_FALSE(went_on);
  EXPECT_EQ(elapsed(), 3_s);
}

WEIR_TEST("what fails in the cleanup of a cancelled body is heard") {
  const texts told = co_await testing::errors_of(cancelled_with_a_failing_cleanup());
  EXPECT_EQ(told, texts{"the cleanup's"});
}

WEIR_TEST("a cleanup may add another, and there is a bound") {
  int runs = 0;
  co_await with_cleanups([&](cleanups& after) -> task<> {
    after.defer_async([&]() -> task<> {
      ++runs;
      after.defer_async([&]() -> task<> {
        ++runs;
        co_return;
      });
      co_return;
    });
    const auto nothing = []() -> task<> { co_return; };
    while (after.size() < cleanups::cleanups_max) after.defer_async(nothing);
    EXPECT_THROW(after.defer_async(nothing), exception);
    co_return;
  });
  EXPECT_EQ(runs, 2);
}

TEST(Cleanup, runs_once_for_each_deferred_one_wherever_the_body_is_cancelled_S6) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    int opened = 0;
    int closed = 0;
    co_await v.run([](int* open, int* close) -> task<> {
      co_await with_cleanups([&](cleanups& after) -> task<> {
        for (int i = 0; i < 3; ++i) {
          co_await sleep(1_ms);
          ++*open;
          after.defer_async([&]() -> task<> {
            co_await sleep(1_ms);
            ++*close;
          });
        }
      });
    }(&opened, &closed));
    EXPECT_EQ(opened, closed);
    EXPECT_TRUE(v.was_cancelled() || opened == 3);
  });
}

}  // namespace
}  // namespace weir::cleanup_test
