// The two ends of a channel between loops, the source that ships, under every interleaving (of
// three preemptions at most) of those who put, those who take and those who hold both locks: each
// item is had once and in order, no slot is used by two, and nobody waits while there is an item.
// Then the same with weaker orders, each of which must be found.
#include <weir/flow/detail/ring_ends.hpp>

#include <weir/testing/model_atomic.hpp>
#include <weir/testing/model_locks.hpp>
#include <weir/testing/weaken_orders.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <mutex>
#include <string>
#include <vector>

namespace weir {
namespace {

using model::operation;
using model::require;

constexpr std::memory_order relaxed = std::memory_order_relaxed;
constexpr std::memory_order acquire = std::memory_order_acquire;
constexpr std::memory_order release = std::memory_order_release;

/// A channel of numbers, as channel_state makes one of its ends.
template <std::size_t Capacity>
struct numbers {
  detail::ring_ends<model::threads> ends;
  model::cell<int> slots[Capacity];
  // What is changed under both locks only.
  model::cell<bool> is_waiting{false};
  model::cell<int> handed{0};
  model::event told;

  void put_held(int number) {
    slots[ends.free_slot(Capacity)] = number;
    ends.has_put(Capacity);
  }
  int take_held() {
    const int number = slots[ends.used_slot(Capacity)];
    ends.has_taken(Capacity);
    return number;
  }
  bool try_put(int number) {
    const std::lock_guard held(ends.back.lock);
    if (!ends.has_room(Capacity)) return false;
    put_held(number);
    return true;
  }
  /// 0: nothing is there.
  int try_take() {
    const std::lock_guard held(ends.front.lock);
    return ends.has_items() ? take_held() : 0;
  }
  void put(int number) {
    while (!try_put(number)) model::yield();
  }
  int take() {
    for (;;) {
      if (const int number = try_take()) return number;
      model::yield();
    }
  }
  /// To whoever waits, or into the ring, which has room.
  void give(int number) {
    ends.back.lock.lock();
    if (!is_waiting) {
      put_held(number);
      ends.back.lock.unlock();
      return;
    }
    ends.front.lock.lock();
    is_waiting = false;
    handed = number;
    ends.unlock();
    told.signal();
  }
  int receive() {
    if (const int number = try_take()) return number;
    ends.lock();
    if (ends.has_items()) {
      const int number = take_held();
      ends.unlock();
      return number;
    }
    is_waiting = true;
    ends.unlock();
    told.wait();
    const std::lock_guard held(ends);
    told.clear();
    return handed;
  }
};

void numbers_pass_through_one_slot() {
  numbers<1> on;
  model::parallel(
      [&] {
        for (int i = 1; i <= 3; ++i) on.put(i);
      },
      [&] {
        for (int i = 1; i <= 3; ++i) require(on.take() == i, "in order, each once");
      });
  require(on.try_take() == 0, "nothing is left");
}

void numbers_run_ahead() {
  numbers<2> on;
  model::parallel(
      [&] {
        for (int i = 1; i <= 3; ++i) on.put(i);
      },
      [&] {
        for (int i = 1; i <= 3; ++i) require(on.take() == i, "in order, each once");
      });
}

void two_put_and_one_takes() {
  numbers<1> on;
  model::parallel([&] { on.put(1); }, [&] { on.put(2); },
                  [&] { require(on.take() + on.take() == 3, "each once"); });
}

void one_puts_and_two_take() {
  numbers<2> on;
  int taken[2] = {};
  model::parallel(
      [&] {
        on.put(1);
        on.put(2);
      },
      [&] { taken[0] = on.take(); }, [&] { taken[1] = on.take(); });
  require(taken[0] + taken[1] == 3 && taken[0] != taken[1], "each once");
}

// What a policy does to a full channel, while both ends are in use.
void the_oldest_is_dropped_under_both_locks() {
  numbers<1> on;
  int dropped = 0;
  int taken = 0;
  bool is_put = false;
  on.put(1);
  model::parallel(
      [&] {
        const std::lock_guard held(on.ends);
        if (!on.ends.has_room(1)) dropped = on.take_held();
        on.put_held(2);
        require(on.ends.size(1) == 1, "no more than its capacity");
      },
      [&] { is_put = on.try_put(4); }, [&] { taken = on.try_take(); });
  int left = 0;
  while (const int number = on.try_take()) left += number;
  require(dropped + taken + left == (is_put ? 7 : 3), "nothing is lost or had twice");
}

void who_waits_is_told() {
  numbers<2> on;
  model::parallel(
      [&] {
        on.give(1);
        on.give(2);
      },
      [&] {
        require(on.receive() == 1, "in order");
        require(on.receive() == 2, "in order");
      });
}

constexpr void (*bodies[])() = {&numbers_pass_through_one_slot,
                                &numbers_run_ahead,
                                &two_put_and_one_takes,
                                &one_puts_and_two_take,
                                &the_oldest_is_dropped_under_both_locks,
                                &who_waits_is_told};

TEST(RingEndsModel, nothing_is_lost_had_twice_or_slept_over) {
  for (const auto body : bodies) {
    const model::verdict found = model::check({}, body);
    EXPECT_TRUE(found.has_passed()) << found.text();
  }
}

struct mutant {
  model::weakening what;
  void (*body)();
};

TEST(RingEndsModel, each_order_that_is_made_weaker_is_found) {
  const mutant all[] = {
      {{"has_put", operation::store, release, relaxed}, &numbers_run_ahead},
      {{"has_items", operation::load, acquire, relaxed}, &numbers_run_ahead},
      {{"has_taken", operation::store, release, relaxed}, &numbers_pass_through_one_slot},
      {{"has_room", operation::load, acquire, relaxed}, &numbers_pass_through_one_slot},
  };
  for (const mutant& one : all) {
    const model::verdict found = model::check({.weakened = {one.what}}, one.body);
    EXPECT_TRUE(found.failure.starts_with("data race"))
        << one.what.function << ": " << found.text();
  }
}

TEST(RingEndsModel, each_order_is_needed) {
  constexpr void (*quick[])() = {&numbers_pass_through_one_slot};
  EXPECT_EQ(model::unnoticed_orders("ring_ends.hpp", quick, {.least = 4}),
            (std::vector<std::string>{}));
}

// One who looks first and says then that it waits, with the lock of its own end only.
TEST(RingEndsModel, a_receiver_that_says_that_it_waits_under_one_lock_is_found) {
  const model::verdict found = model::check({}, [] {
    numbers<1> on;
    model::parallel([&] { on.give(1); },
                    [&] {
                      const std::lock_guard held(on.ends.front.lock);
                      if (!on.ends.has_items()) on.is_waiting = true;
                    });
  });
  EXPECT_TRUE(found.failure.starts_with("data race")) << found.text();
}

}  // namespace
}  // namespace weir
