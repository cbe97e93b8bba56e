// What every semaphore of weir does, for semaphores of your own: a kit says how to make one.
//
//   struct my_semaphores {
//     static auto make(std::size_t permits) { return my_semaphore(permits); }
//     static constexpr bool is_fair = false;  // only where others may overtake who waits
//   };
//   WEIR_SEMAPHORE_CONTRACT(my_semaphores);  // at namespace scope of a test's file
//
// It has acquire(count), a task or a wait that gives so many permits, which move and go back when
// they are destroyed; where it has try_acquire(count), which gives optional permits, that is
// checked, too. With one permit it is a lock, and keeps the rules of lock_contract.hpp.
#pragma once

#include <weir/testing/contracts/lock_contract.hpp>

#include <algorithm>
#include <cstddef>
#include <span>
#include <vector>

namespace weir::testing {

/// The rules, for one kit.
template <class Kit>
struct semaphore_contract {
  static std::span<const contract_rule> rules() {
    static const std::vector<contract_rule> all = [] {
      const auto of_locks = lock_contract<as_lock>::rules();
      std::vector<contract_rule> made(of_locks.begin(), of_locks.end());
      made.push_back(
          {.sentence = "as many permits are out as there are, and never more", .body = &bound});
      made.push_back(
          {.sentence = "permits that come back at once let several in", .body = &several});
      made.push_back({.sentence = "when a wait for many gives up, those behind it are looked at",
                      .body = &giving_up});
      made.push_back({.sentence = "a wait for several cancelled at any point keeps none",
                      .sweep = &cancelled});
      if constexpr (can_try) {
        made.push_back({.sentence = "a try takes all that it asks for or nothing", .body = &tries});
      }
      if constexpr (detail::is_fair<Kit>) {
        made.push_back(
            {.sentence = "a wait for many is not overtaken by waits for few", .body = &line});
      }
      return made;
    }();
    return all;
  }

 private:
  using semaphore = decltype(Kit::make(1));
  static constexpr bool can_try = requires(semaphore& of) { of.try_acquire(1u); };

  struct one_permit {
    semaphore of = Kit::make(1);
    WEIR_CORO_WRAPPER auto lock() { return of.acquire(1); }
    auto try_lock()
      requires can_try
    {
      return of.try_acquire(1);
    }
  };
  struct as_lock {
    static one_permit make() { return one_permit(); }
    static constexpr bool is_fair = detail::is_fair<Kit>;
  };

  struct users {
    std::size_t inside = 0;
    std::size_t inside_max = 0;
    int done = 0;
  };
  static task<> use(semaphore* from, std::size_t count, users* all) {
    const auto mine = co_await from->acquire(count);
    all->inside += count;
    all->inside_max = std::max(all->inside_max, all->inside);
    co_await sleep(duration::milliseconds(1));
    all->inside -= count;
    ++all->done;
  }
  static task<bool> has_all(semaphore* from, std::size_t count) {
    const auto outcome =
        co_await as_result(with_timeout(duration::seconds(1), from->acquire(count)));
    co_await checkpoint();
    co_return outcome.has_value();
  }

  static task<> bound() {
    auto slots = Kit::make(3);
    users all;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 10; ++i) s.spawn(use, &slots, std::size_t{1}, &all);
      co_await s.join();
    });
    EXPECT_EQ(all.inside_max, 3u);
    EXPECT_EQ(all.done, 10);
  }

  static task<> several() {
    auto slots = Kit::make(3);
    users all;
    co_await with_scope([&](scope& s) -> task<> {
      {
        const auto held = co_await slots.acquire(3);
        for (int i = 0; i < 3; ++i) s.spawn(use, &slots, std::size_t{1}, &all);
        co_await sleep(duration::milliseconds(1));
        EXPECT_EQ(all.inside_max, 0u);
      }
      co_await s.join();
    });
    EXPECT_EQ(all.inside_max, 3u) << "a permit is free, and somebody waits for one";
  }

  static task<> giving_up() {
    auto slots = Kit::make(3);
    users all;
    co_await with_scope([&](scope& s) -> task<> {
      const auto held = co_await slots.acquire(2);
      s.spawn(
          [](semaphore* from) -> task<> {
            co_await expect_raises<errc::timed_out>(
                with_timeout(duration::milliseconds(5), from->acquire(3)));
          },
          &slots);
      co_await sleep(duration::milliseconds(1));
      s.spawn(use, &slots, std::size_t{1}, &all);
      co_await sleep(duration::milliseconds(10));
      EXPECT_EQ(all.done, 1) << "a permit is free, and the first in line waits";
    });
    EXPECT_TRUE(co_await has_all(&slots, 3));
  }

  static task<> tries() {
    if constexpr (can_try) {
      auto slots = Kit::make(3);
      {
        const auto two = slots.try_acquire(2);
        EXPECT_TRUE(two);
        EXPECT_FALSE(slots.try_acquire(2)) << "one is free";
        EXPECT_TRUE(slots.try_acquire(1)) << "a try that failed has taken something";
      }
      EXPECT_TRUE(co_await has_all(&slots, 3));
    }
    co_return;
  }

  static task<> note_turn(semaphore* from, std::size_t count, std::vector<std::size_t>* order) {
    const auto mine = co_await from->acquire(count);
    order->push_back(count);
  }
  static task<> line() {
    auto slots = Kit::make(3);
    std::vector<std::size_t> order;
    co_await with_scope([&](scope& s) -> task<> {
      const auto held = co_await slots.acquire(2);
      s.spawn(note_turn, &slots, std::size_t{3}, &order);
      co_await sleep(duration::milliseconds(1));
      s.spawn(note_turn, &slots, std::size_t{1}, &order);
      co_await sleep(duration::milliseconds(1));
      if constexpr (can_try) EXPECT_FALSE(slots.try_acquire(1)) << "others wait";
    });
    EXPECT_EQ(order, (std::vector<std::size_t>{3, 1}));
  }

  static task<> use_later(semaphore* from, std::size_t count, users* all) {
    co_await sleep(duration::milliseconds(1));
    for (int i = 0; i < 3; ++i) {
      const auto mine = co_await from->acquire(count);
      co_await yield();
      ++all->done;
    }
  }
  static task<> use_alone_and_among_others(semaphore* from, users* all) {
    {
      const auto mine = co_await from->acquire(2);
    }
    co_await use_later(from, 2, all);
  }
  static task<> cancelled(victim& v) {
    auto slots = Kit::make(2);
    users all;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(use_later, &slots, std::size_t{1}, &all);
      s.spawn(use_later, &slots, std::size_t{2}, &all);
      co_await v.run(use_alone_and_among_others(&slots, &all));
    });
    EXPECT_GE(all.done, 6) << "the others have not had their turns";
    EXPECT_TRUE(co_await has_all(&slots, 2)) << "a cancelled wait keeps permits";
  }
};

}  // namespace weir::testing

/// Registers a test for each rule of semaphores over the kit.
#define WEIR_SEMAPHORE_CONTRACT(...)                                                         \
  [[maybe_unused]] static const bool WEIR_TEST_JOIN(weir_semaphore_contract_, __COUNTER__) = \
      ::weir::testing::add_contract(#__VA_ARGS__,                                            \
                                    ::weir::testing::semaphore_contract<__VA_ARGS__>::rules())
