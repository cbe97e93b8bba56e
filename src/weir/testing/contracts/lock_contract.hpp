// What every lock of weir does, for locks of your own: a kit says how to make one.
//
//   struct my_locks {
//     static auto make() { return my_mutex(); }  // it need not move
//     static constexpr bool is_fair = false;     // only where others may overtake who waits
//   };
//   WEIR_LOCK_CONTRACT(my_locks);  // at namespace scope of a test's file
//
// A lock has lock(), a task or a wait that gives a guard, which moves and lets go when it is
// destroyed. Where it has try_lock(), which gives an optional guard, that is checked, too.
#pragma once

#include <weir/core/as_result.hpp>
#include <weir/core/select.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/contract.hpp>
#include <weir/testing/detail/lock_steps.hpp>

#include <optional>
#include <span>
#include <utility>
#include <vector>

namespace weir::testing {

/// The rules, for one kit.
template <class Kit>
struct lock_contract {
  static std::span<const contract_rule> rules() {
    static const std::vector<contract_rule> all = [] {
      std::vector<contract_rule> made{
          {.sentence = "one task at a time is inside, and all that wait get in", .body = &alone},
          {.sentence = "a task waits while another is inside, and no longer", .body = &waits},
          {.sentence = "a task that fails or is cancelled inside lets go", .body = &failing},
          {.sentence = "a guard that is handed on lets go once", .body = &handing_on},
          {.sentence = "a wait that timed out holds nothing, and those behind it get in",
           .body = &timed_out},
          {.sentence = "a wait cancelled at any point holds nothing and loses nothing",
           .sweep = &cancelled},
      };
      if constexpr (can_select) {
        made.push_back({.sentence = "a wait that lost a select holds nothing", .body = &lost});
      }
      if constexpr (can_try) {
        made.push_back({.sentence = "a try takes what is free and never waits", .body = &tries});
      }
      if constexpr (detail::is_fair<Kit>) {
        made.push_back({.sentence = "tasks get in in the order in which they came", .body = &line});
        made.push_back({.sentence = "who lets go and asks again does not overtake who waits",
                        .body = &overtaking});
      }
      return made;
    }();
    return all;
  }

 private:
  using lock = decltype(Kit::make());
  static constexpr bool can_try = requires(lock& on) { on.try_lock(); };
  static constexpr bool can_select =
      weir::detail::leaf<decltype(std::declval<lock&>().lock())>;  // a task can't be selected

  static task<> alone() {
    auto door = Kit::make();
    detail::visitors in;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 4; ++i) s.spawn(detail::write_often<lock>, &door, &in, 3);
      co_await s.join();
    });
    EXPECT_EQ(in.entered, 12);
  }

  static task<> waits() {
    auto door = Kit::make();
    detail::visitors in;
    co_await with_scope([&](scope& s) -> task<> {
      {
        const auto held = co_await door.lock();
        s.spawn(detail::write_often<lock>, &door, &in, 1);
        co_await sleep(duration::milliseconds(1));
        EXPECT_EQ(in.entered, 0) << "two are inside";
      }
      co_await sleep(duration::milliseconds(1));
      EXPECT_EQ(in.entered, 1) << "it is free, and the task still waits";
    });
  }

  static task<> failing() {
    auto door = Kit::make();
    co_await expect_raises<errc::broken>([](lock* on) -> task<> {
      const auto held = co_await on->lock();
      raise(error(errc::broken, "inside"));
    }(&door));
    EXPECT_TRUE(co_await detail::is_free(&door)) << "after an error";
    co_await expect_raises<errc::timed_out>(
        with_timeout(duration::milliseconds(1), [](lock* on) -> task<> {
          const auto held = co_await on->lock();
          co_await sleep(duration::seconds(10));
        }(&door)));
    EXPECT_TRUE(co_await detail::is_free(&door)) << "after a cancellation";
  }

  template <class Guard>
  static std::optional<Guard> handed_on(Guard from) {
    return std::optional<Guard>(std::move(from));
  }
  static task<> handing_on() {
    auto door = Kit::make();
    detail::visitors in;
    co_await with_scope([&](scope& s) -> task<> {
      auto held = handed_on(co_await door.lock());
      s.spawn(detail::write_often<lock>, &door, &in, 1);
      co_await sleep(duration::milliseconds(1));
      EXPECT_EQ(in.entered, 0) << "a guard that was moved from has let go";
      held.reset();
      co_await sleep(duration::milliseconds(1));
      EXPECT_EQ(in.entered, 1) << "it is free, and the task still waits";
    });
  }

  static task<> timed_out() {
    auto door = Kit::make();
    detail::visitors in;
    co_await with_scope([&](scope& s) -> task<> {
      const auto held = co_await door.lock();
      s.spawn(detail::give_up<lock>, &door);
      co_await sleep(duration::milliseconds(1));
      s.spawn(detail::write_often<lock>, &door, &in, 1);
      co_await sleep(duration::milliseconds(10));
      EXPECT_EQ(in.entered, 0) << "who gave up has let somebody in";
    });
    EXPECT_EQ(in.entered, 1);
    EXPECT_TRUE(co_await detail::is_free(&door));
  }

  static task<> lost() {
    if constexpr (can_select) {
      auto door = Kit::make();
      co_await with_scope([&](scope& s) -> task<> {
        const auto held = co_await door.lock();
        s.spawn(
            [](lock* on) -> task<> {
              const auto [locked, late] =
                  co_await select(on->lock(), sleep(duration::milliseconds(1)));
              EXPECT_FALSE(locked);
            },
            &door);
        co_await sleep(duration::milliseconds(2));
      });
      EXPECT_TRUE(co_await detail::is_free(&door));
    }
    co_return;
  }

  static task<> tries() {
    if constexpr (can_try) {
      auto door = Kit::make();
      {
        const auto held = door.try_lock();
        EXPECT_TRUE(held) << "it is free";
        EXPECT_FALSE(door.try_lock()) << "two are inside";
      }
      EXPECT_TRUE(co_await detail::is_free(&door));
    }
    co_return;
  }

  static task<> line() {
    auto door = Kit::make();
    std::vector<int> order;
    co_await with_scope([&](scope& s) -> task<> {
      const auto held = co_await door.lock();
      for (int i = 0; i < 4; ++i) {
        s.spawn(detail::note_turn<lock>, &door, &order, i);
        co_await sleep(duration::milliseconds(1));
      }
    });
    EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
  }

  static task<> overtaking() {
    auto door = Kit::make();
    std::vector<int> order;
    co_await with_scope([&](scope& s) -> task<> {
      {
        const auto held = co_await door.lock();
        s.spawn(detail::note_turn<lock>, &door, &order, 1);
        co_await sleep(duration::milliseconds(1));
      }
      if constexpr (can_try) EXPECT_FALSE(door.try_lock()) << "somebody waits";
      co_await detail::note_turn(&door, &order, 2);
    });
    EXPECT_EQ(order, (std::vector<int>{1, 2}));
  }

  static task<> write_alone_and_among_others(lock* on, detail::visitors* in) {
    co_await detail::write_often(on, in, 1);
    co_await detail::write_later(on, in);
  }
  static task<> cancelled(victim& v) {
    auto door = Kit::make();
    detail::visitors in;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(detail::write_later<lock>, &door, &in);
      s.spawn(detail::write_later<lock>, &door, &in);
      co_await v.run(write_alone_and_among_others(&door, &in));
    });
    EXPECT_GE(in.entered, 6) << "the others have not had their turns";
    EXPECT_TRUE(co_await detail::is_free(&door)) << "a cancelled wait holds it";
  }
};

}  // namespace weir::testing

/// Registers a test for each rule of locks over the kit.
#define WEIR_LOCK_CONTRACT(...)                                                         \
  [[maybe_unused]] static const bool WEIR_TEST_JOIN(weir_lock_contract_, __COUNTER__) = \
      ::weir::testing::add_contract(#__VA_ARGS__,                                       \
                                    ::weir::testing::lock_contract<__VA_ARGS__>::rules())
