#include <weir/bridge/stop_token.hpp>

#include <weir/core.hpp>
#include <weir/testing/cancel_points.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <stop_token>
#include <thread>
#include <utility>

namespace weir::stop_token_test {
namespace {

using namespace weir::literals;

task<int> value_after(duration length, int value) {
  co_await sleep(length);
  co_return value;
}

WEIR_TEST("a stopped token ends a task, one that is never stopped lets it end") {
  std::stop_source source;
  EXPECT_EQ(co_await cancel_on_stop(source.get_token(), value_after(1_ms, 3)), 3);
  bool has_ended = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await cancel_on_stop(source.get_token(), [](bool& to) -> task<> {
        co_await sleep(1_h);
        to = true;
      }(has_ended));
    });
    co_await sleep(1_ms);
    source.request_stop();
  });
  EXPECT_FALSE(has_ended);
  EXPECT_LT(testing::elapsed(), 1_s);
  co_await testing::expect_raises<errc::cancelled>(
      cancel_on_stop(source.get_token(), value_after(1_ms, 3)));
}

WEIR_TEST("a token that was stopped before lets the task run to its first wait") {
  std::stop_source source;
  source.request_stop();
  int steps = 0;
  co_await cancel_on_stop(source.get_token(), [](int& to) -> task<> {
    ++to;
    co_await yield();
    ++to;
  }(steps));
  EXPECT_EQ(steps, 1);
  // An error is not covered by the stop.
  auto errors = co_await testing::errors_of(cancel_on_stop(std::stop_token(), []() -> task<> {
    co_await sleep(1_ms);
    raise(error(errc::refused));
  }()));
  EXPECT_EQ(errors.size(), 1u);
}

WEIR_TEST("an error of a task that a token may stop is raised as it is, not as a group") {
  co_await testing::expect_raises<errc::refused>(cancel_on_stop(std::stop_token(), []() -> task<> {
    co_await yield();
    raise(error(errc::refused));
  }()));
  co_await testing::expect_raises<errc::refused>(
      with_stop_token([](const std::stop_token&) -> task<int> {
        co_await yield();
        raise(error(errc::refused));
      }));
}

TEST(CrossStopToken, is_stopped_on_another_thread) {
  for (int round = 0; round < 20; ++round) {
    std::stop_source source;
    std::thread other;
    testing::run_virtual(
        [](std::stop_source& stop, std::thread& thread) -> task<> {
          thread = std::thread([&] { stop.request_stop(); });
          co_await cancel_on_stop(stop.get_token(), []() -> task<> {
            for (;;) co_await yield();
          }());
        }(source, other),
        {.world = {.threads = true}});
    other.join();
  }
}

WEIR_TEST("a token of weir's is stopped when the scope around it is cancelled") {
  std::stop_token kept;
  bool was_stopped_inside = true;
  EXPECT_EQ(co_await with_stop_token([&](std::stop_token token) -> task<int> {
              kept = token;
              co_await sleep(1_ms);
              was_stopped_inside = token.stop_requested();
              co_return 3;
            }),
            3);
  EXPECT_FALSE(was_stopped_inside);
  std::stop_token other;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await with_stop_token([&](std::stop_token token) -> task<> {
        other = token;
        co_await sleep(1_h);
      });
    });
    co_await sleep(1_ms);
    EXPECT_FALSE(other.stop_requested());
    s.cancel("enough");
  });
  EXPECT_TRUE(other.stop_requested());
}

TEST(StopToken, at_every_point_a_cancelled_scope_has_stopped_its_token) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    std::stop_token token;
    co_await v.run([](std::stop_token& to) -> task<> {
      co_await with_stop_token([&](std::stop_token given) -> task<> {
        to = given;
        co_await sleep(1_ms);
      });
    }(token));
    if (token.stop_possible()) EXPECT_TRUE(token.stop_requested());
  });
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    std::stop_source source;
    int value = 0;
    co_await v.run([](std::stop_source& stop, int& to) -> task<> {
      to = co_await cancel_on_stop(stop.get_token(), value_after(1_ms, 3));
    }(source, value));
    EXPECT_TRUE(value == 3 || v.was_cancelled());
  });
}

}  // namespace
}  // namespace weir::stop_token_test
