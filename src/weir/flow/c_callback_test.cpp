#include <weir/flow/c_callback.hpp>

#include <weir/core.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::c_callback_test {
namespace {

using namespace weir::literals;

// A C library: user data last, first, and with a result.
using c_last = void(int, const char*, void*);
using c_first = int(void*, int);
void call_last(c_last* function, void* user) {
  char text[] = "of the caller";
  function(7, text, user);
  text[0] = 'X';  // what was given is good during the call only
}

WEIR_TEST("a C function with user data, called once, is a future") {
  auto [code, text] = co_await from_c_callback<c_last, int, std::string>(
      [](auto function, void* user) { call_last(function, user); });
  EXPECT_EQ(code, 7);
  EXPECT_EQ(text, "of the caller");
  int returned = -1;
  EXPECT_EQ((co_await from_c_callback<c_first, int>(
                [&](c_first* function, void* user) { returned = function(user, 5); })),
            5);
  EXPECT_EQ(returned, 0);
  co_await from_c_callback<void(void*)>([](auto function, void* user) { function(user); });
}

WEIR_TEST("a C function with user data, called often, is a callable") {
  int sum = 0;
  auto heard = make_c_callback<c_first>([&](int n) { return sum += n; });
  for (int i = 1; i <= 3; ++i) heard.function()(heard.user(), i);
  EXPECT_EQ(sum, 6);
  EXPECT_EQ(heard.function()(heard.user(), 4), 10);
  auto said = make_c_callback<c_last>([&](int n, const char* text) { sum = n + text[0]; });
  call_last(said.function(), said.user());
  EXPECT_EQ(sum, 7 + 'o');
  co_return;
}

TEST(CCallback, a_wait_that_was_cancelled_leaves_the_function_to_be_called) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    c_last* function = nullptr;
    void* user = nullptr;
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        if (function) call_last(function, user);  // what it gives is freed, whoever waits
      });
      co_await v.run([](c_last*& to_call, void*& with, std::string& text) -> task<> {
        auto [code, came] =
            co_await from_c_callback<c_last, int, std::string>([&](c_last* given, void* data) {
              to_call = given;
              with = data;
            });
        text = came;
      }(function, user, got));
    });
    EXPECT_TRUE(got == "of the caller" || (got.empty() && v.was_cancelled()));
  });
}

}  // namespace
}  // namespace weir::c_callback_test
