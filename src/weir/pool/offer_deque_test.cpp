// The deque under its owner alone, and with thieves: every item is had exactly once.
#include <weir/pool/detail/offer_deque.hpp>

#include <weir/base/random.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

namespace weir::detail::offer_deque_test {
namespace {

TEST(offer_deque, gives_the_newest_to_its_owner_and_the_oldest_to_thieves) {
  offer_deque<int> deque;
  deque.want_shown(2);
  int items[4] = {};
  EXPECT_EQ(deque.offer(&items[0]), offered::wanted);
  EXPECT_EQ(deque.offer(&items[1]), offered::wanted);
  deque.show_all();
  EXPECT_EQ(deque.offer(&items[2]), offered::kept);
  EXPECT_EQ(deque.offer(&items[3]), offered::kept);
  EXPECT_EQ(deque.take(), &items[3]);
  EXPECT_FALSE(deque.keeps_too_much());
  EXPECT_EQ(deque.steal(), &items[0]);
  EXPECT_EQ(deque.steal(), &items[1]);
  EXPECT_EQ(deque.steal(), nullptr) << "the third was never shown";
  EXPECT_TRUE(deque.keeps_too_much());
  EXPECT_EQ(deque.take(), &items[2]);
  EXPECT_FALSE(deque.keeps_any());
  EXPECT_EQ(deque.take(), nullptr);
  EXPECT_FALSE(deque.shows_any());
}

TEST(offer_deque, shows_all_that_it_has_when_a_thief_had_what_was_shown) {
  offer_deque<int> deque;
  deque.want_shown(1);
  int items[5] = {};
  EXPECT_EQ(deque.offer(&items[0]), offered::wanted);
  deque.show_all();
  for (int i = 1; i < 4; ++i) EXPECT_EQ(deque.offer(&items[i]), offered::kept);
  EXPECT_EQ(deque.steal(), &items[0]);
  EXPECT_EQ(deque.steal(), nullptr);
  EXPECT_EQ(deque.take(), &items[3]);
  EXPECT_TRUE(deque.keeps_too_much());
  deque.show_all();
  EXPECT_FALSE(deque.keeps_too_much());
  EXPECT_EQ(deque.offer(&items[4]), offered::kept) << "two are there to be found";
  EXPECT_EQ(deque.steal(), &items[1]);
  EXPECT_EQ(deque.steal(), &items[2]);
  EXPECT_EQ(deque.steal(), nullptr);
  EXPECT_EQ(deque.take(), &items[4]);
}

TEST(offer_deque, wants_the_next_offer_shown_when_a_thief_had_the_first) {
  offer_deque<int> deque;
  deque.want_shown(1);
  int items[3] = {};
  EXPECT_EQ(deque.offer(&items[0]), offered::wanted);
  deque.show_all();
  EXPECT_EQ(deque.offer(&items[1]), offered::kept);
  EXPECT_EQ(deque.steal(), &items[0]);
  EXPECT_EQ(deque.offer(&items[2]), offered::wanted);
  deque.show_all();
  EXPECT_EQ(deque.steal(), &items[1]);
  EXPECT_EQ(deque.take(), &items[2]);
  EXPECT_EQ(deque.take(), nullptr);
}

TEST(offer_deque, shows_nothing_where_there_are_no_thieves) {
  offer_deque<int> deque;
  deque.want_shown(0);
  int items[2] = {};
  for (int round = 0; round < 3; ++round) {
    for (int& one : items) EXPECT_EQ(deque.offer(&one), offered::kept);
    EXPECT_FALSE(deque.shows_any());
    EXPECT_EQ(deque.take(), &items[1]);
    EXPECT_FALSE(deque.keeps_too_much());
    EXPECT_EQ(deque.take(), &items[0]);
    EXPECT_EQ(deque.take(), nullptr);
  }
}

TEST(offer_deque, refuses_when_it_is_full_and_takes_again_after_a_theft) {
  offer_deque<int> deque;
  deque.want_shown(1);
  std::vector<int> items(offer_deque<int>::capacity + 1);
  for (std::int64_t i = 0; i < offer_deque<int>::capacity; ++i)
    EXPECT_NE(deque.offer(&items[static_cast<std::size_t>(i)]), offered::no);
  deque.show_all();
  EXPECT_EQ(deque.room(), 0);
  EXPECT_EQ(deque.offer(&items.back()), offered::no);
  EXPECT_EQ(deque.steal(), &items.front());
  EXPECT_EQ(deque.room(), 1);
  EXPECT_NE(deque.offer(&items.back()), offered::no);
  std::int64_t taken = 0;
  while (deque.take()) ++taken;
  EXPECT_EQ(taken, offer_deque<int>::capacity);
}

// One owner and three thieves. The owner offers in runs and takes in runs, so that the shown part,
// the last shown item and the empty deque are all fought for.
void fight(std::int64_t shown, std::uint64_t seed) {
  constexpr std::size_t count = 200'000;
  struct item {
    std::atomic<std::uint32_t> had{0};
    std::uint32_t value = 0;  // plain: whoever has the item must see what the owner wrote
  };
  std::vector<item> items(count);
  offer_deque<item> deque;
  deque.want_shown(shown);
  std::atomic<std::size_t> total{0};
  std::atomic<std::uint64_t> sum{0};
  const auto have = [&](item& one) {
    one.had.fetch_add(1, std::memory_order_relaxed);
    sum.fetch_add(one.value, std::memory_order_relaxed);
    total.fetch_add(1, std::memory_order_relaxed);
  };
  std::vector<std::thread> thieves;
  for (int i = 0; i < 3; ++i) {
    thieves.emplace_back([&] {
      while (total.load(std::memory_order_relaxed) != count) {
        if (item* const one = deque.steal())
          have(*one);
        else
          std::this_thread::yield();
      }
    });
  }
  random_source random(seed);
  for (std::size_t next = 0; next != count;) {
    for (std::uint64_t run = random.below(8); run != 0 && next != count; --run) {
      items[next].value = static_cast<std::uint32_t>(next);
      const offered outcome = deque.offer(&items[next]);
      if (outcome == offered::no) break;
      if (outcome == offered::wanted) deque.show_all();
      ++next;
    }
    for (std::uint64_t run = random.below(8); run != 0; --run) {
      item* const one = deque.take();
      if (deque.keeps_too_much()) deque.show_all();
      if (!one) break;
      have(*one);
    }
  }
  while (item* const one = deque.take()) have(*one);
  for (std::thread& one : thieves) one.join();
  EXPECT_EQ(sum, std::uint64_t{count} * (count - 1) / 2);
  for (const item& one : items) ASSERT_EQ(one.had, 1u);
}

TEST(offer_deque, loses_nothing_and_gives_nothing_twice_whoever_fights_for_it) {
  for (const std::int64_t shown : {1, 3}) {
    for (std::uint64_t seed = 1; seed <= 3; ++seed) {
      SCOPED_TRACE(::testing::Message() << "shown " << shown << ", seed " << seed);
      fight(shown, seed);
    }
  }
}

}  // namespace
}  // namespace weir::detail::offer_deque_test
