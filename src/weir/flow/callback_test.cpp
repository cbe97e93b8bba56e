#include <weir/flow/callback.hpp>

#include <weir/core.hpp>
#include <weir/testing/cancel_points.hpp>

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace weir::callback_test {
namespace {

using namespace weir::literals;

/// An interface that calls back when it is told to.
struct legacy {
  std::vector<std::function<void(int, std::string)>> waiting;
  void fetch(std::function<void(int, std::string)> done) { waiting.push_back(std::move(done)); }
  void answer(int status, const char* body) {
    for (auto& one : std::exchange(waiting, {})) one(status, body);
  }
};

WEIR_TEST("a callback's arguments are the value of a future, as nothing, one, or a tuple") {
  legacy server;
  auto reply = from_callback<int, std::string>([&](auto done) { server.fetch(done); });
  EXPECT_FALSE(reply.is_ready());
  server.answer(200, "text");
  auto [status, body] = co_await reply;
  EXPECT_EQ(status, 200);
  EXPECT_EQ(body, "text");
  co_await from_callback<>([](auto done) { done(); });
  EXPECT_EQ(*co_await from_callback<std::unique_ptr<int>>(
                [](auto done) { done(std::make_unique<int>(3)); }),
            3);
}

WEIR_TEST("the first call counts, and a call after everybody has gone changes nothing") {
  std::function<void(int)> kept;
  auto first = from_callback<int>([&](auto done) {
    kept = done;
    done(1);
    done(2);
    done.fail(errc::io);
  });
  EXPECT_EQ(co_await first, 1);
  kept(3);
  co_await testing::expect_raises<errc::timed_out>(with_timeout(1_s, [](auto& keep) -> task<> {
    co_await from_callback<int>([&](auto done) { keep = done; });
  }(kept)));
  kept(4);
}

WEIR_TEST("no task goes on inside the call that calls back") {
  legacy server;
  bool has_gone_on = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await from_callback<int, std::string>([&](auto done) { server.fetch(done); });
      has_gone_on = true;
    });
    co_await sleep(1_ms);
    server.answer(1, "");
    EXPECT_FALSE(has_gone_on) << "inside answer()";
  });
  EXPECT_TRUE(has_gone_on);
}

WEIR_TEST("failures arrive: reported by the callback, thrown at the start, or by never calling") {
  co_await testing::expect_raises<errc::refused>(
      from_callback<int>([](auto done) { done.fail(error(errc::refused, "no")); }));
  co_await testing::expect_raises<errc::busy>(
      from_callback<int>([](auto) { raise(error(errc::busy)); }));
  co_await testing::expect_raises<errc::broken>(from_callback<int>([](auto) {}));
  legacy server;
  auto reply = from_callback<int, std::string>([&](auto done) { server.fetch(done); });
  EXPECT_FALSE(reply.is_ready());
  server.waiting.clear();
  co_await testing::expect_raises<errc::broken>(std::move(reply));
}

TEST(Callback, a_wait_that_is_cancelled_calls_the_cancel_function_unless_it_was_called_back) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    int starts = 0;
    int cancels = 0;
    int calls = 0;
    int got = 0;
    std::function<void(int)> kept;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        co_await sleep(1_ms);
        if (!kept) co_return;
        if (cancels == 0) ++calls;  // a cancelled wait may not have ended its frames yet
        kept(7);
      });
      co_await v.run([](int& start, int& cancel, int& to, auto& keep) -> task<> {
        to = co_await from_callback<int>(
            [&](auto done) {
              ++start;
              keep = done;
            },
            [&] { ++cancel; });
      }(starts, cancels, got, kept));
    });
    EXPECT_EQ(starts, cancels + calls) << "each start ends in one way";
    EXPECT_TRUE(got == 0 || calls == 1);
  });
}

WEIR_TEST("a callback that is called once its cancel function has begun keeps nothing") {
  std::function<void(std::shared_ptr<int>)> kept;
  std::weak_ptr<int> given;
  int cancels = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await from_callback<std::shared_ptr<int>>([&](auto done) { kept = done; },
                                                   [&] {
                                                     ++cancels;
                                                     auto late = std::make_shared<int>(1);
                                                     given = late;
                                                     kept(std::move(late));
                                                   });
    });
    co_await sleep(1_ms);
    s.cancel("enough");
  });
  EXPECT_EQ(cancels, 1);
  EXPECT_TRUE(given.expired());
}

WEIR_TEST("a callback that fails is not cancelled") {
  co_await testing::expect_raises<errc::refused>(from_callback<>(
      [](auto done) { done.fail(errc::refused); }, [] { ADD_FAILURE() << "it has ended"; }));
  co_await from_callback<>([](auto done) { done(); }, [] { ADD_FAILURE() << "it has ended"; });
}

WEIR_TEST("items of a callback that is called often are bounded, counted and ended") {
  std::function<bool(int, const char*)> on_item;
  auto items = from_callback_many<int, std::string>({.capacity = 2},
                                                    [&](auto callable) { on_item = callable; });
  for (int i = 1; i <= 4; ++i) on_item(i, "x");
  EXPECT_EQ(items.stats().dropped, 2u);
  EXPECT_EQ(std::get<0>(*co_await items.receive()), 1);
  on_item(5, "y");
  on_item = nullptr;
  EXPECT_EQ(std::get<0>(*co_await items.receive()), 2);
  EXPECT_EQ(std::get<1>(*co_await items.receive()), "y");
  EXPECT_FALSE(co_await items.receive()) << "the last copy has gone";

  std::function<bool(int)> newest;
  auto latest = from_callback_many<int>({.capacity = 1, .when_full = overflow::drop_oldest},
                                        [&](auto callable) { newest = callable; });
  for (int i = 1; i <= 4; ++i) EXPECT_TRUE(newest(i));
  EXPECT_EQ(co_await latest.receive(), 4);
  latest.close();
  EXPECT_FALSE(newest(5)) << "nobody receives";
}

TEST(Callback, a_cancelled_receive_leaves_the_items_of_a_callback_that_is_called_often) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    std::function<bool(int)> on_item;
    auto items =
        from_callback_many<int>({.capacity = 3}, [&](auto callable) { on_item = callable; });
    std::vector<int> got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (int i = 1; i <= 3; ++i) {
          co_await sleep(1_ms);
          on_item(i);
        }
        on_item = nullptr;
      });
      co_await v.run([](auto& from, std::vector<int>& to) -> task<> {
        while (const auto item = co_await from.receive()) to.push_back(*item);
      }(items, got));
    });
    while (const auto item = co_await items.receive()) got.push_back(*item);
    EXPECT_EQ(got, (std::vector{1, 2, 3}));
  });
}

TEST(CrossCallback, is_called_on_threads_of_others) {
  testing::run_virtual(
      []() -> task<> {
        std::vector<std::thread> threads;
        int sum = 0;
        for (int i = 0; i < 20; ++i) {
          sum += co_await from_callback<int>(
              [&](auto done) { threads.emplace_back([done, i] { done(i); }); });
        }
        auto items = from_callback_many<int>({.capacity = 64}, [&](auto on_item) {
          threads.emplace_back([on_item] {
            for (int i = 0; i < 50; ++i) on_item(i);
          });
        });
        while (auto item = co_await items.receive()) sum += *item;
        EXPECT_EQ(sum, 190 + 1225);
        for (std::thread& one : threads) one.join();
      }(),
      {.world = {.threads = true}});
}

}  // namespace
}  // namespace weir::callback_test
