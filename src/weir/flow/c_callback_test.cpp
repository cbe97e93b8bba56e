#include <weir/flow/c_callback.hpp>

#include <weir/core.hpp>
#include <weir/flow/thread_loop_test.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <latch>
#include <string>
#include <thread>

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

/// A kept argument that knows how many there are, on whichever thread they go.
struct counted {
  static inline std::atomic<int> living{0};
  int number = 0;
  counted(int n) : number(n) { ++living; }  // NOLINT(google-explicit-constructor): as V of C's int
  counted(const counted& other) : number(other.number) { ++living; }
  counted(counted&& other) noexcept : number(other.number) { ++living; }
  counted& operator=(const counted&) = default;
  counted& operator=(counted&&) = default;
  ~counted() { --living; }
};

/// A C library with a thread of its own, which calls what it was given when it is told to.
struct c_library {
  c_first* function = nullptr;
  void* user = nullptr;
  int got = 0;  // by whoever waited
  std::jthread caller;

  void call(int with) {
    caller = std::jthread([this, with] { function(user, with); });
  }
  task<> wait() {
    const std::thread::id mine = std::this_thread::get_id();
    const counted came = co_await from_c_callback<c_first, counted>([this](auto* to, void* data) {
      function = to;
      user = data;
    });
    EXPECT_EQ(std::this_thread::get_id(), mine) << "a task goes on where it waits";
    got = came.number;
  }
  /// Calls then(scope) when a task of that scope waits, and ends with it.
  template <class F>
  task<> while_one_waits(F then) {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await wait(); });
      co_await yield();
      then(s);
    });
  }
};

TEST(CCallback, called_on_another_thread_wakes_the_task_on_its_own) {
  run_on_thread([]() -> task<> {
    c_library there;
    co_await there.while_one_waits([&](scope&) { there.call(7); });
    EXPECT_EQ(there.got, 7);
    // And when the call is over before anybody waits.
    const counted at_once = co_await from_c_callback<c_first, counted>(
        [](auto* function, void* user) { std::thread([=] { function(user, 8); }).join(); });
    EXPECT_EQ(at_once.number, 8);
  }).join();
  EXPECT_EQ(counted::living, 0);
}

TEST(CCallback, called_on_another_thread_after_the_wait_was_cancelled_frees_what_it_gives) {
  run_on_thread([]() -> task<> {
    c_library there;
    co_await there.while_one_waits([](scope& s) { s.cancel("not wanted"); });
    there.call(7);
    there.caller.join();
    EXPECT_EQ(there.got, 0);
  }).join();
  EXPECT_EQ(counted::living, 0);
}

TEST(CCallback, that_has_come_is_delivered_though_the_waiter_is_cancelled_before_it_goes_on) {
  run_on_thread([]() -> task<> {
    c_library there;
    co_await there.while_one_waits([&](scope& s) {
      there.call(7);
      there.caller.join();
      s.cancel("too late");
    });
    EXPECT_EQ(there.got, 7);
  }).join();
  EXPECT_EQ(counted::living, 0);
}

// Whoever is first: the waiter has all of it or nothing, and nothing is left.
TEST(CCallback, called_on_another_thread_while_the_waiter_is_cancelled_is_heard_or_freed) {
  run_on_thread([]() -> task<> {
    for (int round = 1; round <= 200; ++round) {
      c_library there;
      std::latch both(2);
      co_await there.while_one_waits([&](scope& s) {
        there.caller = std::jthread([&there, &both, round] {
          both.arrive_and_wait();
          there.function(there.user, round);
        });
        both.arrive_and_wait();
        s.cancel("at the same time");
      });
      there.caller.join();
      EXPECT_TRUE(there.got == 0 || there.got == round) << there.got;
      EXPECT_EQ(counted::living, 0);
    }
  }).join();
}

}  // namespace
}  // namespace weir::c_callback_test
