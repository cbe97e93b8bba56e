#include <weir/wire/utf8.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::utf8_test {
namespace {

using namespace std::string_view_literals;

// Encodes without any check, so that surrogates and overlong forms can be made too.
std::string encoded(unsigned code_point, int size) {
  const auto byte = [](unsigned value) { return static_cast<char>(value); };
  switch (size) {
    case 1:
      return {byte(code_point)};
    case 2:
      return {byte(0xc0 | code_point >> 6), byte(0x80 | (code_point & 0x3f))};
    case 3:
      return {byte(0xe0 | code_point >> 12), byte(0x80 | (code_point >> 6 & 0x3f)),
              byte(0x80 | (code_point & 0x3f))};
    default:
      return {byte(0xf0 | code_point >> 18), byte(0x80 | (code_point >> 12 & 0x3f)),
              byte(0x80 | (code_point >> 6 & 0x3f)), byte(0x80 | (code_point & 0x3f))};
  }
}

TEST(utf8, every_code_point_is_accepted_in_its_shortest_form_only) {
  for (unsigned code_point = 0; code_point <= 0x13ffff; ++code_point) {
    const int shortest = code_point < 0x80      ? 1
                         : code_point < 0x800   ? 2
                         : code_point < 0x10000 ? 3
                                                : 4;
    const bool is_surrogate = code_point >= 0xd800 && code_point <= 0xdfff;
    for (int size = shortest; size <= 4; ++size) {
      const bool expected = size == shortest && !is_surrogate && code_point <= 0x10ffff;
      ASSERT_EQ(is_utf8(encoded(code_point, size)), expected) << code_point << ' ' << size;
    }
  }
}

TEST(utf8, a_sequence_that_is_cut_is_refused_wherever_it_stands) {
  const std::string text = "0123456789\xf0\x9f\x8c\x8a";
  for (std::size_t size = 0; size <= text.size(); ++size) {
    EXPECT_EQ(is_utf8(std::string_view(text).substr(0, size)), size <= 10 || size == 14) << size;
  }
  EXPECT_FALSE(is_utf8("\x80"sv));
  EXPECT_FALSE(is_utf8("\xff"sv));
  EXPECT_TRUE(is_utf8("a\0b"sv));
}

TEST(utf8, repair_keeps_what_is_well_formed_and_replaces_each_other_byte) {
  EXPECT_EQ(repair_utf8("w\xc3\xa4hr"), "w\xc3\xa4hr");
  EXPECT_EQ(repair_utf8("a\xff\xfe"), "a\xef\xbf\xbd\xef\xbf\xbd");
  EXPECT_EQ(repair_utf8("\xe2\x82"), "\xef\xbf\xbd\xef\xbf\xbd");
  std::string every_byte;
  for (int i = 0; i < 256; ++i) every_byte += static_cast<char>(i);
  EXPECT_TRUE(is_utf8(repair_utf8(every_byte)));
}

}  // namespace
}  // namespace weir::utf8_test
