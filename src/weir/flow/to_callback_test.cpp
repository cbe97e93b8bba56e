#include <weir/flow/to_callback.hpp>

#include <weir/core.hpp>
#include <weir/testing/cancel_points.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::to_callback_test {
namespace {

using namespace weir::literals;

WEIR_TEST("a task calls back once, never inside the call that starts it") {
  std::vector<std::string> calls;
  const auto note = [&](result<int> outcome) {
    calls.push_back(outcome ? std::to_string(*outcome) : std::string(name(outcome.error().code())));
  };
  co_await with_scope([&](scope& s) -> task<> {
    to_callback([]() -> task<int> { co_return 3; }(), note);
    EXPECT_TRUE(calls.empty()) << "inside to_callback()";
    co_await sleep(1_ms);
    to_callback(
        s,
        []() -> task<int> {
          co_await sleep(1_ms);
          raise(error(errc::refused));
        }(),
        note);
    to_callback(
        s,
        []() -> task<int> {
          throw std::string("foreign");
          co_return 0;
        }(),
        note);
    co_await sleep(5_ms);
    to_callback(
        s,
        []() -> task<int> {
          co_await sleep(1_h);
          co_return 1;
        }(),
        note);
    bool is_done = false;
    to_callback([]() -> task<> { co_return; }(), [&](result<> outcome) { is_done = !!outcome; });
    co_await sleep(1_ms);
    EXPECT_TRUE(is_done);
    s.cancel("enough");
  });
  EXPECT_EQ(calls, (std::vector<std::string>{"3", "internal", "refused", "cancelled"}));
}

WEIR_TEST("what a called function throws fails the scope of its task") {
  auto errors = co_await testing::errors_of([]() -> task<> {
    co_await with_scope([](scope& s) -> task<> {
      to_callback(s, []() -> task<> { co_return; }(), [](result<>) { raise(error(errc::busy)); });
      co_return;
    });
  }());
  EXPECT_EQ(errors.size(), 1u);
}

TEST(Callback, a_task_cancelled_at_any_point_has_called_back_once) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    int calls = 0;
    bool has_begun = false;
    co_await v.run([](int& count, bool& begun) -> task<> {
      begun = true;
      to_callback([]() -> task<> { co_await sleep(1_ms); }(), [&](result<>) { ++count; });
      co_await sleep(2_ms);
    }(calls, has_begun));
    EXPECT_EQ(calls, has_begun ? 1 : 0);
  });
}

}  // namespace
}  // namespace weir::to_callback_test
