#include <weir/bridge/std_future.hpp>

#include <weir/core.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <future>
#include <memory>
#include <stdexcept>
#include <thread>
#include <utility>

namespace weir::std_future_test {
namespace {

using namespace weir::literals;

WEIR_TEST("a std::future gives its value, or raises what it holds") {
  std::promise<std::unique_ptr<int>> ready;
  ready.set_value(std::make_unique<int>(4));
  EXPECT_EQ(*co_await from_std_future(ready.get_future()), 4);
  std::promise<void> failed;
  failed.set_exception(std::make_exception_ptr(std::runtime_error("theirs")));
  try {
    co_await from_std_future(failed.get_future());
    ADD_FAILURE() << "it holds an error";
  } catch (const std::runtime_error& e) {
    EXPECT_STREQ(e.what(), "theirs");
  }
}

WEIR_TEST("a deferred std::future runs when it is awaited, and not before") {
  int runs = 0;
  auto deferred = std::async(std::launch::deferred, [&] { return ++runs; });
  EXPECT_EQ(runs, 0);
  EXPECT_EQ(co_await from_std_future(std::move(deferred)), 1);
}

WEIR_TEST("a std::future that another task fulfils is waited for in virtual time") {
  std::promise<int> later;
  const time_point start = loop::current()->now();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](std::promise<int>* to) -> task<> {
          co_await sleep(1_s);
          to->set_value(4);
        },
        &later);
    EXPECT_EQ(co_await from_std_future(later.get_future()), 4);
  });
  EXPECT_GE(loop::current()->now() - start, 1_s);
  EXPECT_LE(loop::current()->now() - start, 1_s + duration::milliseconds(std_future_slice_ms));
}

WEIR_TEST("a std::future that nobody fulfils is waited for until a deadline") {
  std::promise<int> never;
  co_await testing::expect_raises<errc::timed_out>(
      with_timeout(50_ms, from_std_future(never.get_future())));
}

TEST(StdFuture, of_another_thread_is_waited_for_in_slices) {
  testing::run_virtual(
      []() -> task<> {
        std::promise<int> later;
        bool has_turned = false;
        std::thread other;
        co_await with_scope([&](scope& s) -> task<> {
          s.spawn([&]() -> task<> {
            EXPECT_EQ(co_await from_std_future(later.get_future()), 5);
            EXPECT_TRUE(has_turned) << "others have their turn while it waits";
          });
          co_await yield();
          has_turned = true;
          other = std::thread([&] { later.set_value(5); });
        });
        other.join();
      }(),
      {.world = {.threads = true}});
}

TEST(StdFuture, that_never_comes_is_given_up_when_the_scope_is_cancelled) {
  testing::run_virtual([]() -> task<> {
    std::promise<int> never;
    bool has_value = false;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await yield();
        s.cancel("enough");
      });
      co_await from_std_future(never.get_future());
      has_value = true;
    });
    EXPECT_FALSE(has_value);
  }());
}

TEST(StdFuture, is_made_of_a_future_with_value_and_error_now_or_later) {
  EXPECT_EQ(to_std_future(resolved_future(3)).get(), 3);
  auto failed = to_std_future(rejected_future(errc::refused));
  EXPECT_THROW(failed.get(), exception);
  promise<std::unique_ptr<int>> later;
  auto given = to_std_future(later.get_future());
  std::thread other([&] { later.resolve(std::make_unique<int>(6)); });
  EXPECT_EQ(*given.get(), 6);
  other.join();
  auto broken = [] { return to_std_future(promise<>().get_future()); }();
  EXPECT_THROW(broken.get(), exception);
}

TEST(StdFuture, a_cancelled_wait_leaves_the_work_alone) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    std::promise<int> work;
    std::future<int> waited_for = work.get_future();
    int got = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (int i = 0; i < 3; ++i) co_await yield();
        work.set_value(5);  // as it would without anybody who waits
      });
      co_await v.run([](std::future<int>* from, int* to) -> task<> {
        *to = co_await from_std_future(std::move(*from));
      }(&waited_for, &got));
    });
    EXPECT_TRUE(got == 5 || (got == 0 && v.was_cancelled()));
  });
}

}  // namespace
}  // namespace weir::std_future_test
