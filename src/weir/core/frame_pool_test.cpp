#include <weir/core/frame_pool.hpp>

#include <weir/base/random.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <thread>
#include <utility>
#include <vector>

namespace weir::detail::frame_pool_test {
namespace {

struct block {
  unsigned char* memory;
  std::size_t size;
  unsigned char fill;
};

TEST(FramePool, blocks_of_every_size_are_aligned_and_do_not_overlap) {
  std::vector<block> blocks;
  for (std::size_t size = 1; size <= frame_size_max + 500; size += 7) {
    const auto fill = static_cast<unsigned char>(blocks.size());
    auto* memory = static_cast<unsigned char*>(allocate_frame(size));
    ASSERT_EQ(reinterpret_cast<std::uintptr_t>(memory) % 16, 0u) << size;
    std::memset(memory, fill, size);
    blocks.push_back({memory, size, fill});
  }
  for (const block& one : blocks) {
    for (std::size_t i = 0; i < one.size; ++i) ASSERT_EQ(one.memory[i], one.fill) << one.size;
    free_frame(one.memory, one.size);
  }
}

TEST(FramePool, memory_is_used_again_so_churn_takes_nothing_new) {
  const auto churn = [] {
    std::vector<void*> held;
    for (int i = 0; i < 1000; ++i) held.push_back(allocate_frame(200));
    for (void* one : held) free_frame(one, 200);
  };
  churn();
  const std::size_t before = frame_pool_statistics().slab_bytes;
  for (int round = 0; round < 100; ++round) churn();
  EXPECT_EQ(frame_pool_statistics().slab_bytes, before);
}

TEST(FramePool, random_allocation_keeps_every_block_intact) {
  random_source random(1);
  std::vector<block> held;
  for (int step = 0; step < 200'000; ++step) {
    if (held.size() < 3000 && random.chance(0.55)) {
      const std::size_t size = 1 + random.below(frame_size_max);
      const auto fill = static_cast<unsigned char>(random.below(256));
      auto* memory = static_cast<unsigned char*>(allocate_frame(size));
      memory[0] = memory[size - 1] = fill;
      held.push_back({memory, size, fill});
    } else if (!held.empty()) {
      const std::size_t at = random.below(held.size());
      ASSERT_EQ(held[at].memory[0], held[at].fill);
      ASSERT_EQ(held[at].memory[held[at].size - 1], held[at].fill);
      free_frame(held[at].memory, held[at].size);
      held[at] = held.back();
      held.pop_back();
    }
  }
  for (const block& one : held) free_frame(one.memory, one.size);
}

std::size_t sized_bytes() { return frame_pool_statistics().sized_bytes; }

#ifndef WEIR_FRAMES_UNPOOLED
// A million tasks that end in any order leave their frames in that order; those that are made next
// lie side by side again, or who walks through them misses the cache at each.
TEST(FramePool, blocks_that_were_freed_in_any_order_come_back_in_the_order_of_their_addresses) {
  constexpr std::size_t count = 40 * frame_cached_max;
  constexpr std::size_t size = 432;  // which nobody else has many of
  const auto make_all = [] {
    std::vector<char*> made;
    for (std::size_t i = 0; i < count; ++i)
      made.push_back(static_cast<char*>(allocate_frame(size)));
    return made;
  };
  std::vector<char*> held = make_all();
  random_source random(7);
  for (std::size_t i = count - 1; i != 0; --i) std::swap(held[i], held[random.below(i + 1)]);
  for (char* one : held) free_frame(one, size);
  held = make_all();
  std::size_t neighbours = 0;
  for (std::size_t i = 1; i < count; ++i) neighbours += held[i] == held[i - 1] + size;
  EXPECT_GT(neighbours, count * 9 / 10);  // all but the ends of pages and what the thread had kept
  for (char* one : held) free_frame(one, size);
}

TEST(FramePool, pages_whose_blocks_are_all_free_serve_another_size) {
  const std::size_t before = sized_bytes();
  constexpr std::size_t size = 1776;  // which nobody else has many of
  constexpr std::size_t other = 1888;
  constexpr std::size_t count = 2000;
  std::thread brief([before] {  // which keeps nothing back when it ends
    std::vector<void*> held;
    for (std::size_t i = 0; i < count; ++i) held.push_back(allocate_frame(size));
    random_source random(8);
    for (std::size_t i = count - 1; i != 0; --i) std::swap(held[i], held[random.below(i + 1)]);
    EXPECT_GE(sized_bytes(), before + count * size / 2);  // some may have been there
    for (void* one : held) free_frame(one, size);
  });
  brief.join();
  EXPECT_LE(sized_bytes(), before + 64 * 1024);
  // Another size takes what is free, and nothing that is new.
  const std::size_t used = frame_pool_statistics().slab_bytes;
  std::vector<void*> held;
  for (std::size_t i = 0; i < count / 4; ++i) held.push_back(allocate_frame(other));
  EXPECT_EQ(frame_pool_statistics().slab_bytes, used);
  for (void* one : held) free_frame(one, other);
}
#endif

// One thread makes, another frees: blocks must come back by way of the depot, or memory grows.
TEST(FramePool, blocks_freed_on_another_thread_find_their_way_back) {
  constexpr std::size_t count = 3 * frame_cached_max;
  constexpr std::size_t size = 512;
  std::size_t after_first = 0;
  for (int round = 0; round < 8; ++round) {
    std::vector<void*> made;
    std::thread maker([&] {
      for (std::size_t i = 0; i < count; ++i) {
        void* one = allocate_frame(size);
        std::memset(one, round, size);
        made.push_back(one);
      }
    });
    maker.join();
    std::thread ender([&] {
      for (void* one : made) free_frame(one, size);
    });
    ender.join();
    if (round == 0) after_first = sized_bytes();
  }
  // Each may begin a few pages more; all else is blocks that were freed before.
  EXPECT_LE(sized_bytes(), after_first + 8 * 64 * 1024);
}

// Such a thread has never asked for one, so nothing but its free tells of it.
TEST(FramePool, blocks_that_short_threads_free_find_their_way_back) {
  constexpr std::size_t size = 1024;
  const auto free_one_elsewhere = [] {
    void* const one = allocate_frame(size);
    std::thread brief([one] { free_frame(one, size); });
    brief.join();
  };
  free_one_elsewhere();
  const std::size_t before = sized_bytes();
  for (int i = 0; i < 150; ++i) free_one_elsewhere();  // more than some pages of them
  EXPECT_LE(sized_bytes(), before + 64 * 1024);
}

// A thread that ends leaves what it took to the next one.
TEST(FramePool, short_threads_one_after_the_other_share_a_page) {
  const auto use_one = [] {
    std::thread brief([] { free_frame(allocate_frame(96), 96); });
    brief.join();
  };
  use_one();
  const std::size_t before = sized_bytes();
  for (int i = 0; i < 100; ++i) use_one();
  EXPECT_LE(sized_bytes(), before);
}

}  // namespace
}  // namespace weir::detail::frame_pool_test
