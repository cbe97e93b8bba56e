#include <weir/broker/message.hpp>

#include <weir/base/random.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>
#include <vector>

namespace weir::detail::message_test {
namespace {

std::uint32_t add(message_slab& slab, std::uint64_t sequence, std::int64_t due = 0) {
  const std::uint32_t slot = slab.take();
  slab[slot].sequence = sequence;
  slab[slot].due = due;
  return slot;
}

TEST(slab, a_drained_backlog_gives_its_memory_back) {
  message_slab slab;
  std::vector<std::uint32_t> slots;
  for (std::uint64_t i = 1; i <= 100'000; ++i) slots.push_back(add(slab, i));
  const std::size_t full = slab.memory_bytes();
  EXPECT_GE(full, 100'000 * sizeof(message));
  EXPECT_LE(full, 102'000 * sizeof(message));
  for (const std::uint32_t slot : slots) slab.give(slot);
  EXPECT_EQ(slab.size(), 0u);
  EXPECT_LT(slab.memory_bytes(), full / 50);
}

TEST(slab, slots_are_distinct_and_keep_their_items_through_random_use) {
  message_slab slab;
  random_source random(3);
  std::map<std::uint32_t, std::uint64_t> model;
  std::uint64_t next = 1;
  for (int step = 0; step < 60'000; ++step) {
    // Phases of growth and of shrinking, so that chunks open and close.
    const bool is_growing = (step / 6'000) % 2 == 0;
    if (model.empty() || random.chance(is_growing ? 0.7 : 0.3)) {
      const std::uint32_t slot = add(slab, next);
      ASSERT_TRUE(model.emplace(slot, next++).second);
      ASSERT_LT(slot, slab.slots_end());
    } else {
      auto victim = model.lower_bound(static_cast<std::uint32_t>(random.below(slab.slots_end())));
      if (victim == model.end()) victim = model.begin();
      ASSERT_EQ(slab[victim->first].sequence, victim->second);
      slab.give(victim->first);
      ASSERT_FALSE(slab.is_used(victim->first));
      model.erase(victim);
    }
    ASSERT_EQ(slab.size(), model.size());
  }
  std::size_t used = 0;
  for (std::uint32_t slot = 0; slot < slab.slots_end(); ++slot) used += slab.is_used(slot) ? 1 : 0;
  EXPECT_EQ(used, model.size());
  for (const auto& [slot, sequence] : model) EXPECT_EQ(slab[slot].sequence, sequence);
}

TEST(slab, has_room_that_was_made_before) {
  message_slab slab;
  for (std::uint64_t i = 1; i <= 1'000; ++i) add(slab, i);
  slab.make_room(24);
  const std::size_t one_chunk = slab.memory_bytes();
  slab.make_room(25);
  EXPECT_GE(slab.memory_bytes(), one_chunk + message_slab::chunk_slots * sizeof(message));
  slab.make_room(3'000);
  const std::size_t before = slab.memory_bytes();
  for (std::uint64_t i = 1; i <= 3'000; ++i) add(slab, 1'000 + i);
  EXPECT_EQ(slab.memory_bytes(), before);
  EXPECT_EQ(slab.size(), 4'000u);
}

TEST(slot_table, has_room_that_was_made_before_and_finds_what_is_in_it) {
  message_slab slab;
  message_table table;
  std::uint64_t next = 1;
  for (const std::size_t count : {1u, 39u, 1u, 300u, 1'000u}) {
    table.make_room(count);
    const std::size_t before = table.memory_bytes();
    for (std::size_t i = 0; i < count; ++i) table.insert(slab, add(slab, next++));
    EXPECT_LE(table.memory_bytes(), before) << count;
  }
  for (std::uint64_t key = 1; key < next; ++key) {
    const std::uint32_t slot = table.find(slab, key);
    ASSERT_NE(slot, no_slot) << key;
    EXPECT_EQ(slab[slot].sequence, key);
  }
}

TEST(slot_table, finds_exactly_what_is_in_it_while_it_grows_and_shrinks) {
  message_slab slab;
  message_table table;
  random_source random(11);
  std::vector<std::pair<std::uint64_t, std::uint32_t>> model;
  std::uint64_t next = 1;
  for (int step = 0; step < 200'000; ++step) {
    if (model.empty() || random.chance((step / 20'000) % 2 == 0 ? 0.8 : 0.35)) {
      const std::uint64_t key = next += random.chance(0.1) ? random.below(1'000'000) : 1;
      const std::uint32_t slot = add(slab, key);
      table.insert(slab, slot);
      model.emplace_back(key, slot);
    } else {
      const std::size_t at = random.below(model.size());
      table.erase(slab, model[at].second);
      slab.give(model[at].second);
      ASSERT_EQ(table.find(slab, model[at].first), no_slot);
      model[at] = model.back();
      model.pop_back();
    }
    if (!model.empty()) {
      const auto& [key, slot] = model[random.below(model.size())];
      ASSERT_EQ(table.find(slab, key), slot);
    }
    ASSERT_EQ(table.size(), model.size());
  }
  for (const auto& [key, slot] : model) ASSERT_EQ(table.find(slab, key), slot);
  EXPECT_EQ(table.find(slab, next + 1), no_slot);
}

TEST(slot_table, is_a_few_bytes_an_entry) {
  message_slab slab;
  message_table table;
  for (std::uint64_t i = 1; i <= 1'000'000; ++i) table.insert(slab, add(slab, i));
  const std::size_t together = table.memory_bytes() + slab.memory_bytes();
  EXPECT_LT(together / 1'000'000, 90u);
}

TEST(ordered_slots, walks_in_the_order_of_a_sorted_set_under_random_changes) {
  message_slab slab;
  due_order order;
  random_source random(5);
  std::set<std::pair<std::int64_t, std::uint64_t>> model;
  std::map<std::uint64_t, std::uint32_t> slots;
  std::uint64_t next = 1;
  std::int64_t now = 0;
  for (int step = 0; step < 30'000; ++step) {
    now += static_cast<std::int64_t>(random.below(3));
    if (slots.empty() || random.chance(0.52)) {
      const std::int64_t due = random.chance(0.6) ? now : now - std::int64_t(random.below(500));
      const std::uint64_t sequence = next++;
      const std::uint32_t slot = add(slab, sequence, due);
      order.insert(slab, slot);
      slots[sequence] = slot;
      model.emplace(due, sequence);
    } else {
      auto at = slots.lower_bound(random.below(next));
      if (at == slots.end()) at = slots.begin();
      order.erase(slab, at->second);
      model.erase({slab[at->second].due, at->first});
      slab.give(at->second);
      slots.erase(at);
    }
    ASSERT_EQ(order.empty(), model.empty());
    if (model.empty()) continue;
    ASSERT_EQ(order.first(slab), slots[model.begin()->second]);
    if (step % 500 != 0) continue;
    auto expected = model.begin();
    auto at = order.begin(slab);
    for (; order.at(slab, at) != no_slot; at = order.next(slab, at), ++expected) {
      ASSERT_NE(expected, model.end());
      ASSERT_EQ(order.at(slab, at), slots[expected->second]);
    }
    ASSERT_EQ(expected, model.end());
  }
}

TEST(ordered_slots, a_walk_goes_on_after_a_key_whether_its_item_is_there_or_not) {
  message_slab slab;
  due_order order;
  std::vector<std::uint32_t> slots(11, no_slot);
  for (const std::uint64_t sequence : {2u, 6u, 10u, 8u, 4u}) {  // 8 and 4 are stragglers
    slots[sequence] = add(slab, sequence);
    order.insert(slab, slots[sequence]);
  }
  const auto next_after = [&](std::uint64_t sequence, std::uint32_t hint) {
    const std::uint32_t slot = order.at(slab, order.after(slab, {0, sequence}, hint));
    return slot == no_slot ? 0 : slab[slot].sequence;
  };
  EXPECT_EQ(next_after(0, no_slot), 2u);
  EXPECT_EQ(next_after(2, slots[2]), 4u);
  EXPECT_EQ(next_after(5, no_slot), 6u);
  EXPECT_EQ(next_after(6, slots[6]), 8u);
  EXPECT_EQ(next_after(8, no_slot), 10u);
  EXPECT_EQ(next_after(10, slots[10]), 0u);
}

TEST(message, times_are_rounded_so_that_nothing_ends_early) {
  message m;
  m.set_expires(time_point(1));
  EXPECT_EQ(m.expires(), time_point(1'000'000));
  m.set_expires(time_point(1'000'000));
  EXPECT_EQ(m.expires(), time_point(1'000'000));
  m.set_submitted(time_point(1'999'999));
  EXPECT_EQ(m.submitted(), time_point(1'000'000));
  m.set_expires(time_point::never());
  EXPECT_EQ(m.expires(), time_point::never());
  EXPECT_FALSE(m.has_expiry());
}

TEST(message, moments_at_the_ends_of_the_clock_are_ones_that_it_can_hold) {
  message m;
  for (const std::int64_t before : {INT64_MIN, std::int64_t{-2'000'000}, std::int64_t{-1}}) {
    m.set_submitted(time_point(before));
    EXPECT_EQ(m.submitted(), time_point(0));
    m.set_expires(time_point(before));
    EXPECT_TRUE(m.has_expiry());
    EXPECT_EQ(m.expires(), time_point(1'000'000));
    EXPECT_TRUE(m.has_possible_times());
  }
  m.set_submitted(time_point::never());
  m.set_expires(time_point(INT64_MAX - 1));
  EXPECT_TRUE(m.has_possible_times());
  EXPECT_GT(m.expires(), time_point(INT64_MAX - 2'000'000));
}

TEST(message, packed_fields_dont_touch_each_other) {
  message m;
  m.set_submitted(time_point(1'700'000'000'000 * ns_per_ms));
  m.set_expires(time_point(1'800'000'000'000 * ns_per_ms));
  m.set_priority(9);
  m.set_state(message_state::dead);
  m.set_attempts(70'000);
  m.set(message::wants_reply, true);
  m.set_state(message_state::delayed);
  EXPECT_EQ(m.submitted().ns, 1'700'000'000'000 * ns_per_ms);
  EXPECT_EQ(m.expires().ns, 1'800'000'000'000 * ns_per_ms);
  EXPECT_EQ(m.priority(), 9u);
  EXPECT_EQ(m.state(), message_state::delayed);
  EXPECT_EQ(m.attempts(), 65'535u);
  EXPECT_TRUE(m.is(message::wants_reply));
  EXPECT_FALSE(m.is(message::has_note));
}

}  // namespace
}  // namespace weir::detail::message_test
