// Work that other threads hand to a loop.
#include <weir/core/loop.hpp>
#include <weir/core/plain_driver_test.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/unhandled.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace weir::post_test {
namespace {

using namespace weir::literals;

/// A wait for something that posts make true.
struct gate {
  struct wait_for_open final : detail::leaf_wait<wait_for_open, void> {
    static constexpr auto when_cancelled = cancel_safety::nothing_happened;
    explicit wait_for_open(gate& g) noexcept : leaf_wait(kind_), of(&g) {}
    bool try_now() noexcept { return of->is_open; }
    void enlist() noexcept { of->waiter = this; }
    result<void> take() noexcept { return {}; }
    gate* of;
    static void leave(detail::wait& w) noexcept {
      auto& self = static_cast<wait_for_open&>(w);
      self.of->waiter = nullptr;
      self.complete_cancelled();
    }
    static constexpr detail::wait_kind kind_{"gate", &leave};
  };
  wait_for_open wait() noexcept { return wait_for_open(*this); }
  void open() noexcept {
    is_open = true;
    if (waiter) std::exchange(waiter, nullptr)->complete();
  }
  bool is_open = false;
  wait_for_open* waiter = nullptr;
};

virtual_options with_threads() { return {.threads = true}; }

TEST(Post, runs_on_the_loop_in_the_order_of_each_poster) {
  constexpr int posters = 4;
  constexpr int each = 5000;
  virtual_driver driver(with_threads());
  loop on(driver);
  std::vector<int> last(posters, -1);
  int heard = 0;
  bool is_in_order = true;
  gate all;
  const auto loop_thread = std::this_thread::get_id();
  std::vector<std::thread> threads;
  for (int p = 0; p < posters; ++p) {
    threads.emplace_back([&, p] {
      for (int i = 0; i < each; ++i) {
        while (!on.post([&, p, i] {
          is_in_order = is_in_order && std::this_thread::get_id() == loop_thread &&
                        std::exchange(last[static_cast<std::size_t>(p)], i) == i - 1;
          if (++heard == posters * each) all.open();
        })) {
          std::this_thread::yield();  // posts_max are waiting
        }
      }
    });
  }
  on.root().spawn([&]() -> task<> { co_await all.wait(); });
  on.run();
  for (std::thread& t : threads) t.join();
  EXPECT_TRUE(is_in_order);
  EXPECT_EQ(heard, posters * each);
  EXPECT_EQ(on.stats().posts, static_cast<std::uint64_t>(posters * each));
}

TEST(Post, wakes_a_loop_that_has_nothing_else_to_do) {
  virtual_driver driver(with_threads());
  loop on(driver);
  gate opened;
  std::atomic<bool> is_waiting{false};
  std::thread other([&] {
    while (!is_waiting) std::this_thread::yield();
    EXPECT_TRUE(on.post([&] { opened.open(); }));
  });
  on.root().spawn([&]() -> task<> {
    is_waiting = true;
    co_await opened.wait();
  });
  on.run();
  other.join();
}

TEST(Post, a_hundred_thousand_posts_arrive_when_the_bound_allows_them) {
  virtual_driver driver;
  loop on(driver, {.posts_max = 100'000});
  int heard = 0;
  for (int i = 0; i < 100'000; ++i) ASSERT_TRUE(on.post([&] { ++heard; }));
  on.root().spawn([]() -> task<> { co_return; });
  on.run();
  EXPECT_EQ(heard, 100'000);
}

TEST(Post, beyond_the_bound_it_says_so_and_goes_on_when_there_is_room) {
  int heard = 0;
  virtual_driver driver;
  loop on(driver, {.posts_max = 3});
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(on.post([&] { ++heard; }));
  EXPECT_FALSE(on.post([&] { ADD_FAILURE(); }));
  on.root().spawn([]() -> task<> { co_return; });
  on.run();
  EXPECT_EQ(heard, 3);
  EXPECT_TRUE(on.post([&] { ++heard; }));
}

TEST(Post, posting_from_posts_does_not_starve_tasks_L7) {
  struct again {
    loop* on;
    bool* stop;
    int* rounds;
    void operator()() {
      ++*rounds;
      if (!*stop) on->post(again{*this});
    }
  };
  bool stop = false;
  int rounds = 0;
  testing::run_virtual([](bool* end, int* count) -> task<> {
    loop::current()->post(again{loop::current(), end, count});
    for (int i = 0; i < 10; ++i) co_await yield();
    *end = true;
    co_await yield();
  }(&stop, &rounds));
  EXPECT_GE(rounds, 1);
  EXPECT_LE(rounds, 14) << "one post per turn";
}

TEST(Post, what_is_posted_too_late_still_runs_once_when_the_loop_is_destroyed) {
  auto owned = std::make_shared<int>(0);
  {
    virtual_driver driver;
    loop on(driver);
    on.root().spawn([]() -> task<> { co_return; });
    on.run();
    EXPECT_TRUE(on.post([owned] { ++*owned; }));
  }
  EXPECT_EQ(*owned, 1);
  EXPECT_EQ(owned.use_count(), 1);
}

TEST(Post, what_it_spawns_too_late_is_cancelled_when_the_loop_is_destroyed) {
  bool has_begun = false;
  bool has_ended = false;
  const loop* seen = nullptr;
  testing::run_virtual([](bool* begun, bool* ended, const loop** here) -> task<> {
    loop* const outer = loop::current();
    virtual_driver driver;
    std::optional<loop> on(std::in_place, driver);
    loop* const inner = &*on;
    EXPECT_TRUE(inner->post([=] {
      *here = loop::current() == inner ? inner : nullptr;
      inner->root().spawn([=]() -> task<> {
        *begun = true;
        co_await sleep(1_h);
        *ended = true;
      });
    }));
    on.reset();
    EXPECT_EQ(loop::current(), outer);
    co_await yield();
  }(&has_begun, &has_ended, &seen));
  EXPECT_TRUE(has_begun);
  EXPECT_FALSE(has_ended);
  EXPECT_NE(seen, nullptr);
}

/// A driver whose wake() has not returned when the loop that it has woken goes on.
class slow_to_wake final : public contract::plain_driver {
 public:
  const char* name() const noexcept override { return "slow to wake"; }
  void wake() noexcept override {
    plain_driver::wake();
    for (int i = 0; i < 5000 && !is_loop_gone; ++i) std::this_thread::yield();
    has_loop_gone_first = is_loop_gone.load();
  }

  std::atomic<bool> is_loop_gone{false};
  std::atomic<bool> has_loop_gone_first{false};
};

/// A wait for an answer from another thread, which a cancellation asks for and does not replace.
struct answered final : detail::leaf_wait<answered, void> {
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  struct node final : detail::post_node {
    answered* to = nullptr;
  };
  explicit answered(node* n, std::atomic<bool>* a) noexcept : leaf_wait(kind_), by(n), asked(a) {
    by->run = [](detail::post_node& one) noexcept {
      static_cast<node&>(one).to->complete_cancelled();
    };
  }
  bool try_now() noexcept { return false; }
  void enlist() noexcept { by->to = this; }
  result<void> take() noexcept { return {}; }
  static void leave(detail::wait& w) noexcept { *static_cast<answered&>(w).asked = true; }
  static constexpr detail::wait_kind kind_{"answer", &leave};

  node* by;
  std::atomic<bool>* asked;
};

TEST(Post, a_loop_that_ends_with_a_task_waits_for_who_has_answered_that_task_and_posts_still) {
  slow_to_wake io;
  answered::node answer;
  std::atomic<bool> is_asked{false};
  std::optional<loop> on(std::in_place, io);
  on->root().spawn([&]() -> task<> { co_await answered(&answer, &is_asked); });
  on->run_turn_now();
  std::thread other([&, to = &*on] {
    while (!is_asked) std::this_thread::yield();
    to->post_node(answer);
  });
  on.reset();
  io.is_loop_gone = true;
  other.join();
  EXPECT_FALSE(io.has_loop_gone_first) << "it was still inside of post_node()";
}

TEST(Post, an_error_of_what_was_posted_too_late_is_heard) {
  static bool is_heard;
  is_heard = false;
  const unhandled_handler before = set_unhandled_handler(
      [](const unhandled_error& what) noexcept { is_heard = !what.is_report; });
  {
    virtual_driver driver;
    loop on(driver);
    EXPECT_TRUE(on.post([&] {
      on.root().spawn([]() -> task<> {
        raise(error(errc::busy, "too late"));
        co_return;
      });
    }));
  }
  set_unhandled_handler(before);
  EXPECT_TRUE(is_heard);
}

TEST(Post, a_post_may_spawn_and_cancel) {
  virtual_driver driver;
  loop on(driver);
  bool has_run = false;
  on.root().spawn([]() -> task<> { co_await sleep(1_h); });
  on.post([&] {
    on.root().spawn([&]() -> task<> {
      has_run = true;
      on.root().cancel();
      co_return;
    });
  });
  on.run();
  EXPECT_TRUE(has_run);
}

TEST(PostDeathTest, an_exception_that_leaves_a_post_ends_the_process) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(testing::run_virtual([]() -> task<> {
                 loop::current()->post([] { raise(error(errc::busy, "nobody hears this")); });
                 co_await sleep(1_ms);
               }()),
               "nobody hears this");
}

}  // namespace
}  // namespace weir::post_test
