#include <weir/base/buffer.hpp>

#include <gtest/gtest.h>

#include <utility>

namespace weir::buffer_test {
namespace {

struct counted_block : buffer_block {
  int released = 0;
  char data[8] = {'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'};
  counted_block() {
    release = [](buffer_block* b) noexcept { ++static_cast<counted_block*>(b)->released; };
  }
  bytes all() { return bytes(data, sizeof data, this); }
};

TEST(buffer, the_block_is_given_back_when_its_last_view_is_dropped) {
  counted_block block;
  {
    bytes whole = block.all();
    bytes part = whole.slice(2, 3);
    whole = bytes();
    EXPECT_EQ(block.released, 0);
    EXPECT_EQ(part.text(), "cde");
  }
  EXPECT_EQ(block.released, 1);
}

TEST(buffer, copies_count_and_moves_do_not) {
  counted_block block;
  bytes one = block.all();
  EXPECT_EQ(block.views, 1u);
  bytes two = one;
  EXPECT_EQ(block.views, 2u);
  bytes three = std::move(two);
  EXPECT_EQ(block.views, 2u);
  EXPECT_TRUE(two.empty());  // NOLINT(bugprone-use-after-move): the contract under test
  three = one;
  EXPECT_EQ(block.views, 2u);
  bytes& self = one;
  one = self;
  EXPECT_EQ(one.text(), "abcdefgh");
  EXPECT_EQ(block.views, 2u);
  one = bytes();
  three = bytes();
  EXPECT_EQ(block.views, 0u);
  EXPECT_EQ(block.released, 1);
}

TEST(buffer, a_slice_is_cut_to_what_is_there) {
  counted_block block;
  const bytes all = block.all();
  EXPECT_EQ(all.slice(6).text(), "gh");
  EXPECT_EQ(all.slice(6, 100).text(), "gh");
  EXPECT_EQ(all.slice(100).text(), "");
  EXPECT_EQ(all.slice(0, 0).text(), "");
  EXPECT_EQ(all.slice(2, 4).slice(1, 2).text(), "de");
}

TEST(buffer, a_copy_owns_its_bytes) {
  bytes kept;
  {
    char text[] = "hello";
    kept = bytes::copy_of(text);
    text[0] = 'j';
  }
  EXPECT_EQ(kept.text(), "hello");
  EXPECT_EQ(kept[1], 'e');
  EXPECT_TRUE(bytes::copy_of("").empty());
}

TEST(buffer, a_view_is_true_when_it_has_bytes) {
  EXPECT_FALSE(bytes());
  EXPECT_TRUE(bytes("x", 1, nullptr));
}

}  // namespace
}  // namespace weir::buffer_test
