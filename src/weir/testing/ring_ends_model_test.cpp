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

namespace weir::ring_ends_model_test {
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

/// Tries to put 1, 2 ... and tells how many there was room for.
template <std::size_t Capacity>
int put_some(numbers<Capacity>& on, int tries) {
  int put = 0;
  for (int i = 0; i != tries; ++i) put += on.try_put(put + 1) ? 1 : 0;
  return put;
}
/// Takes what there is and tells what came last.
template <std::size_t Capacity>
int take_some(numbers<Capacity>& on, int tries, int last = 0) {
  for (int i = 0; i != tries; ++i) {
    const int number = on.try_take();
    if (number == 0) continue;
    require(number == last + 1, "in order, each once");
    last = number;
  }
  return last;
}

template <std::size_t Capacity>
void numbers_pass() {
  numbers<Capacity> on;
  int put = 0;
  int last = 0;
  model::parallel([&] { put = put_some(on, 3); }, [&] { last = take_some(on, 3); });
  require(take_some(on, 3, last) == put, "what was put is had");
}

void two_put_and_one_takes() {
  numbers<2> on;
  int put = 0;
  int taken = 0;
  int other_put = 0;
  model::parallel([&] { put = on.try_put(1) ? 1 : 0; }, [&] { other_put = on.try_put(2) ? 2 : 0; },
                  [&] {
                    taken += on.try_take();
                    taken += on.try_take();
                  });
  while (const int number = on.try_take()) taken += number;
  require(put + other_put == 3 && taken == 3, "each once");
}

void one_puts_and_two_take() {
  numbers<2> on;
  int taken[2] = {};
  on.try_put(1);
  model::parallel([&] { on.try_put(2); }, [&] { taken[0] = on.try_take(); },
                  [&] { taken[1] = on.try_take(); });
  require(taken[0] == 0 || taken[0] != taken[1], "each once");
  int sum = taken[0] + taken[1];
  while (const int number = on.try_take()) sum += number;
  require(sum == 3, "nothing is lost");
}

// What a policy does to a full channel, while both ends are in use.
void the_oldest_is_dropped_under_both_locks() {
  numbers<1> on;
  int dropped = 0;
  int taken = 0;
  bool is_put = false;
  on.try_put(1);
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

// As the last receiver does that goes, with a sender that has not heard of it.
void what_was_not_taken_is_forgotten() {
  numbers<2> on;
  on.try_put(1);
  require(on.try_take() == 1, "what was put is had");
  on.try_put(1);
  on.try_put(2);
  require(on.try_take() == 1, "in order");
  bool is_put = false;
  model::parallel([&] { is_put = on.try_put(3); },
                  [&] {
                    const std::lock_guard held(on.ends);
                    on.ends.forget_all();
                    require(!on.ends.has_items() && on.ends.size(2) == 0, "nothing is left");
                  });
  const int left = on.try_take();
  require(is_put && (left == 0 || left == 3), "but what came later");
  require(on.try_take() == 0, "once");
}

// As a receiver does before it takes, and one that looks out.
void looks_without_a_lock_disturb_nobody() {
  numbers<1> on;
  int put = 0;
  int taken = 0;
  model::parallel([&] { put = put_some(on, 2); }, [&] { taken = on.try_take(); },
                  [&] {
                    static_cast<void>(on.ends.knows_items());
                    static_cast<void>(on.ends.seen_size(1));
                  });
  require(take_some(on, 2, taken) == put, "what was put is had");
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

constexpr void (*bodies[])() = {&numbers_pass<1>,
                                &numbers_pass<2>,
                                &two_put_and_one_takes,
                                &one_puts_and_two_take,
                                &the_oldest_is_dropped_under_both_locks,
                                &what_was_not_taken_is_forgotten,
                                &looks_without_a_lock_disturb_nobody,
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
      {{"has_put", operation::store, release, relaxed}, &numbers_pass<2>},
      {{"has_items", operation::load, acquire, relaxed}, &numbers_pass<2>},
      {{"has_taken", operation::store, release, relaxed}, &numbers_pass<1>},
      {{"has_room", operation::load, acquire, relaxed}, &numbers_pass<1>},
  };
  for (const mutant& one : all) {
    const model::verdict found = model::check({.weakened = {one.what}}, one.body);
    EXPECT_TRUE(found.failure.starts_with("data race"))
        << one.what.function << ": " << found.text();
  }
}

TEST(RingEndsModel, each_order_is_needed) {
  constexpr void (*quick[])() = {&numbers_pass<1>};
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
}  // namespace weir::ring_ends_model_test
