#include <weir/wire/length_prefix.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

namespace weir::length_prefix_test {
namespace {

using namespace std::string_view_literals;

std::string framed(const length_prefix& codec, std::string_view frame) {
  const frame_edges edges = codec.around(frame).value();
  return std::string(edges.head()) + std::string(frame) + std::string(edges.tail());
}

TEST(LengthPrefix, each_format_writes_the_bytes_that_its_protocols_expect) {
  struct row {
    length_format format;
    byte_order order;
    std::size_t size;
    std::string_view head;
  };
  constexpr row rows[] = {
      {length_format::one_byte, byte_order::big, 0, "\0"sv},
      {length_format::one_byte, byte_order::big, 255, "\xff"},
      {length_format::two_bytes, byte_order::big, 0x102, "\x01\x02"},
      {length_format::two_bytes, byte_order::little, 0x102, "\x02\x01"},
      {length_format::four_bytes, byte_order::big, 0x102, "\0\0\x01\x02"sv},
      {length_format::four_bytes, byte_order::little, 0x102, "\x02\x01\0\0"sv},
      {length_format::eight_bytes, byte_order::big, 1, "\0\0\0\0\0\0\0\x01"sv},
      {length_format::eight_bytes, byte_order::little, 1, "\x01\0\0\0\0\0\0\0"sv},
      {length_format::varint, byte_order::big, 0, "\0"sv},
      {length_format::varint, byte_order::big, 127, "\x7f"},
      {length_format::varint, byte_order::big, 128, "\x80\x01"},
      {length_format::varint, byte_order::big, 300, "\xac\x02"},
  };
  for (const row& r : rows) {
    const length_prefix codec(r.format, 1000, r.order);
    EXPECT_EQ(codec.around(std::string(r.size, 'x'))->head(), r.head) << r.size;
  }
}

TEST(LengthPrefix, what_was_written_is_found_and_nothing_is_found_in_a_part_of_it) {
  for (const length_format format :
       {length_format::one_byte, length_format::two_bytes, length_format::four_bytes,
        length_format::eight_bytes, length_format::varint}) {
    for (const byte_order order : {byte_order::big, byte_order::little}) {
      const length_prefix codec(format, 1000, order);
      for (const std::size_t size : {0u, 1u, 127u, 128u, 255u}) {
        const std::string frame(size, 'x');
        const std::string whole = framed(codec, frame);
        for (std::size_t have = 0; have < whole.size(); ++have)
          EXPECT_FALSE(codec.find(std::string_view(whole).substr(0, have))->is_whole);
        const frame_place found = *codec.find(whole + "more");
        EXPECT_TRUE(found.is_whole);
        EXPECT_EQ(found.total, whole.size());
        EXPECT_EQ((whole + "more").substr(found.offset, found.size), frame);
      }
    }
  }
}

TEST(LengthPrefix, a_frame_over_the_limit_is_refused_both_ways_before_it_is_there) {
  const length_prefix codec(length_format::four_bytes, 10);
  EXPECT_TRUE(codec.around("0123456789"));
  EXPECT_EQ(codec.around("0123456789a").error().code(), errc::too_large);
  const auto found = codec.find("\0\0\0\x0b"sv);
  ASSERT_FALSE(found);
  EXPECT_EQ(found.error().code(), errc::too_large);
  EXPECT_EQ(found.error().message(), "a frame of 11 bytes is over the limit of 10 bytes");
  EXPECT_EQ(codec.find("\xff\xff\xff\xff").error().code(), errc::too_large);
  const length_prefix wide(length_format::eight_bytes);
  EXPECT_EQ(wide.find("\xff\xff\xff\xff\xff\xff\xff\xff").error().code(), errc::too_large);
}

TEST(LengthPrefix, the_limit_is_never_more_than_the_format_can_say) {
  constexpr std::size_t all = std::numeric_limits<std::size_t>::max();
  EXPECT_EQ(length_prefix(length_format::one_byte, all).bytes_max(), 255u);
  EXPECT_EQ(length_prefix(length_format::two_bytes, all).bytes_max(), 65'535u);
  EXPECT_EQ(length_prefix(length_format::four_bytes, all).bytes_max(), 0xffff'ffffu);
  EXPECT_EQ(length_prefix(length_format::eight_bytes, all).bytes_max(), all);
  EXPECT_EQ(length_prefix(length_format::one_byte).around(std::string(256, 'x')).error().code(),
            errc::too_large);
}

TEST(LengthPrefix, a_varint_that_is_none_is_malformed) {
  const length_prefix codec(length_format::varint, std::numeric_limits<std::size_t>::max());
  EXPECT_EQ(codec.find("\x80\0"sv).error().code(), errc::malformed) << "longer than needed";
  EXPECT_EQ(codec.find("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02").error().code(), errc::malformed)
      << "65 bits";
  EXPECT_EQ(codec.find("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80").error().code(), errc::malformed);
  EXPECT_FALSE(codec.find("\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")->is_whole)
      << "2^64 - 1 is a length";
  EXPECT_FALSE(codec.find("\x80\x80")->is_whole) << "more may come";
}

}  // namespace
}  // namespace weir::length_prefix_test
