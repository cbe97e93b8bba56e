#include <weir/io/receive_arena.hpp>

#include <gtest/gtest.h>

#include <cstring>
#include <memory>
#include <string_view>
#include <tuple>
#include <vector>

namespace weir::detail::receive_arena_test {
namespace {

bytes put(receive_arena& arena, std::string_view text) {
  const receive_arena::space room = arena.room();
  std::memcpy(room.data, text.data(), text.size());
  return arena.take(text.size());
}

TEST(receive_arena, small_pieces_that_are_kept_share_blocks) {
  receive_arena arena(100);
  std::vector<bytes> kept;
  for (int i = 0; i < 190; ++i) kept.push_back(put(arena, "x"));  // 64 bytes each
  EXPECT_EQ(arena.blocks_live(), 1u);
}

// Else a driver that knows only readiness asks once more for nothing.
TEST(receive_arena, a_message_of_16_kib_does_not_fill_a_block) {
  receive_arena arena(1);
  EXPECT_GT(arena.room().size, std::size_t{16} * 1024);
}

TEST(receive_arena, memory_is_used_again_once_its_views_are_gone) {
  receive_arena arena(100);
  const char* first = put(arena, "a").data();
  for (int i = 0; i < 10'000; ++i) EXPECT_EQ(put(arena, "b").data(), first);
  EXPECT_EQ(arena.blocks_live(), 1u);
}

TEST(receive_arena, a_view_keeps_its_bytes_while_others_come_and_go) {
  receive_arena arena(100);
  const bytes kept = put(arena, "kept");
  for (int i = 0; i < 10'000; ++i) std::ignore = put(arena, "other");
  EXPECT_EQ(kept.text(), "kept");
}

TEST(receive_arena, at_its_bound_there_is_no_room_until_a_view_is_dropped) {
  receive_arena arena(2);
  std::vector<bytes> kept;
  while (arena.has_room()) {
    const receive_arena::space room = arena.room();
    ASSERT_GE(room.size, receive_arena::piece_bytes_min);
    kept.push_back(arena.take(room.size));
  }
  EXPECT_EQ(kept.size(), 2u);
  EXPECT_EQ(arena.room().size, 0u);
  kept.pop_back();
  EXPECT_TRUE(arena.has_room());
  EXPECT_GT(arena.room().size, 0u);
}

TEST(receive_arena, views_may_outlive_it) {
  auto arena = std::make_unique<receive_arena>(10);
  std::vector<bytes> kept;
  for (int i = 0; i < 3; ++i) {
    kept.push_back(arena->room().data ? arena->take(receive_arena::block_bytes) : bytes());
  }
  kept.push_back(put(*arena, "last"));
  arena.reset();
  EXPECT_EQ(kept.back().text(), "last");
  kept.clear();  // under a leak checker: the last one frees everything
}

}  // namespace
}  // namespace weir::detail::receive_arena_test
