// What every lock of weir for many readers or one writer does, for locks of your own. A kit is as
// for lock_contract.hpp, whose rules are checked as well; its lock has lock_shared(), too, and
// try_lock_shared() where it has try_lock().
//
//   WEIR_SHARED_LOCK_CONTRACT(my_locks);  // at namespace scope of a test's file
#pragma once

#include <weir/testing/contracts/lock_contract.hpp>

#include <span>
#include <string>
#include <vector>

namespace weir::testing {

/// The rules, for one kit.
template <class Kit>
struct shared_lock_contract {
  static std::span<const contract_rule> rules() {
    static const std::vector<contract_rule> all = [] {
      const auto of_locks = lock_contract<Kit>::rules();
      std::vector<contract_rule> made(of_locks.begin(), of_locks.end());
      made.push_back({.sentence = "readers are inside together", .body = &together});
      made.push_back({.sentence = "a writer is alone, and all that wait get in", .body = &alone});
      made.push_back(
          {.sentence = "a writer that gives up lets the readers behind it in", .body = &giving_up});
      made.push_back({.sentence = "readers and writers cancelled at any point hold nothing",
                      .sweep = &cancelled});
      if constexpr (can_try) {
        made.push_back(
            {.sentence = "a reader's try takes what is free and never waits", .body = &tries});
      }
      if constexpr (detail::is_fair<Kit>) {
        made.push_back(
            {.sentence = "readers do not overtake a writer, nor writers a reader", .body = &line});
      }
      return made;
    }();
    return all;
  }

 private:
  using lock = decltype(Kit::make());
  static constexpr bool can_try = requires(lock& on) { on.try_lock_shared(); };

  static task<> read_often(lock* on, detail::visitors* in, int times) {
    for (int i = 0; i < times; ++i) {
      const auto held = co_await on->lock_shared();
      const detail::visit here(in, true);
      co_await yield();
    }
  }
  static task<> read_for_long(lock* on, detail::visitors* in) {
    const auto held = co_await on->lock_shared();
    const detail::visit here(in, true);
    co_await sleep(duration::milliseconds(1));
  }

  static task<> together() {
    auto door = Kit::make();
    detail::visitors in;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 3; ++i) s.spawn(read_for_long, &door, &in);
      co_await s.join();
    });
    EXPECT_EQ(in.readers_max, 3) << "a reader waits for a reader";
    EXPECT_TRUE(co_await detail::is_free(&door));
  }

  static task<> alone() {
    auto door = Kit::make();
    detail::visitors in;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 3; ++i) s.spawn(read_often, &door, &in, 3);
      for (int i = 0; i < 2; ++i) s.spawn(detail::write_often<lock>, &door, &in, 3);
      co_await s.join();
    });
    EXPECT_EQ(in.entered, 15);
  }

  static task<> giving_up() {
    auto door = Kit::make();
    detail::visitors in;
    co_await with_scope([&](scope& s) -> task<> {
      const auto reading = co_await door.lock_shared();
      s.spawn(detail::give_up<lock>, &door);
      co_await sleep(duration::milliseconds(1));
      s.spawn(read_often, &door, &in, 1);
      co_await sleep(duration::milliseconds(10));
      EXPECT_EQ(in.entered, 1) << "a reader waits though no writer does";
    });
    EXPECT_TRUE(co_await detail::is_free(&door));
  }

  static task<> tries() {
    if constexpr (can_try) {
      auto door = Kit::make();
      {
        const auto one = door.try_lock_shared();
        const auto other = door.try_lock_shared();
        EXPECT_TRUE(one && other) << "readers are inside together";
        EXPECT_FALSE(door.try_lock()) << "readers are inside";
      }
      {
        const auto held = co_await door.lock();
        EXPECT_FALSE(door.try_lock_shared()) << "a writer is inside";
      }
      EXPECT_TRUE(co_await detail::is_free(&door));
    }
    co_return;
  }

  template <class Guard>
  static task<> stay(Guard, std::string* log, char name) {
    *log += name;
    co_await sleep(duration::milliseconds(20));
    *log += '.';
  }
  static task<> take_turn(lock* on, std::string* log, char name) {
    if (name >= 'a') {
      co_await stay(co_await on->lock_shared(), log, name);
    } else {
      co_await stay(co_await on->lock(), log, name);
    }
  }
  static task<> line() {
    auto door = Kit::make();
    std::string log;
    co_await with_scope([&](scope& s) -> task<> {
      for (const char name : {'a', 'b', 'W', 'c', 'd', 'X'}) {  // capitals write
        s.spawn(take_turn, &door, &log, name);
        co_await sleep(duration::milliseconds(1));
      }
      co_await s.join();
    });
    // Two that are let in together may begin in any order.
    EXPECT_TRUE(log == "ab..W.cd..X." || log == "ab..W.dc..X.") << log;
  }

  static task<> read_and_write(lock* on, detail::visitors* in) {
    co_await detail::write_often(on, in, 1);
    co_await read_often(on, in, 2);
    co_await detail::write_often(on, in, 1);
  }
  static task<> cancelled(victim& v) {
    auto door = Kit::make();
    detail::visitors in;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(read_often, &door, &in, 2);
      s.spawn(read_and_write, &door, &in);
      co_await v.run(read_and_write(&door, &in));
    });
    EXPECT_GE(in.entered, 6) << "the others have not had their turns";
    EXPECT_TRUE(co_await detail::is_free(&door)) << "a cancelled wait holds it";
  }
};

}  // namespace weir::testing

/// Registers a test for each rule of locks for readers and writers over the kit.
#define WEIR_SHARED_LOCK_CONTRACT(...)                                                         \
  [[maybe_unused]] static const bool WEIR_TEST_JOIN(weir_shared_lock_contract_, __COUNTER__) = \
      ::weir::testing::add_contract(#__VA_ARGS__,                                              \
                                    ::weir::testing::shared_lock_contract<__VA_ARGS__>::rules())
