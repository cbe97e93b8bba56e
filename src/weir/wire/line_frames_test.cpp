#include <weir/wire/line_frames.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace weir::line_frames_test {
namespace {

TEST(LineFrames, lines_are_found_without_their_ends) {
  const line_frames codec(8);
  const frame_place found = *codec.find("ab\r\ncd");
  EXPECT_TRUE(found.is_whole);
  EXPECT_EQ(found.offset, 0u);
  EXPECT_EQ(found.size, 2u);
  EXPECT_EQ(found.total, 4u);
  EXPECT_FALSE(codec.find("ab")->is_whole);
  EXPECT_FALSE(codec.find("ab\r", 2)->is_whole);
  EXPECT_EQ(codec.find("ab\r\n", 3)->size, 2u) << "what was seen is not searched again";
}

TEST(LineFrames, the_last_line_needs_no_end) {
  const line_frames codec(8);
  EXPECT_EQ(codec.find_last("rest")->size, 4u);
  EXPECT_EQ(codec.find_last("123456789").error().code(), errc::too_large);
}

TEST(LineFrames, a_line_over_the_limit_is_refused_both_ways) {
  const line_frames codec(8);
  EXPECT_EQ(codec.find("12345678\r\n")->size, 8u);
  EXPECT_EQ(codec.find("123456789").error().message(),
            "a line is longer than the limit of 8 bytes");
  EXPECT_EQ(codec.around("123456789").error().code(), errc::too_large);
}

TEST(LineFrames, the_chosen_end_is_written_and_a_text_that_is_no_line_is_refused) {
  EXPECT_EQ(line_frames().around("ab")->tail(), "\n");
  EXPECT_EQ(line_frames(8, line_end::crlf).around("ab")->tail(), "\r\n");
  EXPECT_EQ(line_frames().around("a\nb").error().code(), errc::invalid_argument);
  EXPECT_EQ(line_frames().around("ab\r").error().code(), errc::invalid_argument);
  EXPECT_TRUE(line_frames(8, line_end::crlf).around("ab\r"));
}

}  // namespace
}  // namespace weir::line_frames_test
