#include <weir/base/text.hpp>

#include <gtest/gtest.h>

namespace weir::text_test {
namespace {

using namespace literals;

TEST(text, durations_are_read_as_people_write_them) {
  EXPECT_EQ(parse_duration("0s").value(), duration());
  EXPECT_EQ(parse_duration("1ns").value(), 1_ns);
  EXPECT_EQ(parse_duration("7us").value(), 7_us);
  EXPECT_EQ(parse_duration("250ms").value(), 250_ms);
  EXPECT_EQ(parse_duration("30s").value(), 30_s);
  EXPECT_EQ(parse_duration("5m").value(), 5_min);
  EXPECT_EQ(parse_duration("1h30m").value(), 90_min);
  EXPECT_EQ(parse_duration("7d").value(), 168_h);
  EXPECT_EQ(parse_duration("1d2h3m4s5ms6us7ns").value().ns, 93'784'005'006'007);
  EXPECT_EQ(parse_duration("90m").value(), parse_duration("1h30m").value());
  EXPECT_EQ(parse_duration("36500d").value(), 876'000_h);
}

TEST(text, a_refused_duration_is_named_with_the_reason) {
  const struct {
    const char* text;
    const char* reason;
  } cases[] = {
      {"", "is empty"},
      {"30", "ends without a unit"},
      {"s", "needs a whole number"},
      {"-1s", "needs a whole number"},
      {"+1s", "needs a whole number"},
      {" 1s", "needs a whole number"},
      {"1s ", "has a unit not of"},
      {"1 s", "has a unit not of"},
      {"1.5s", "has a fraction: give whole numbers"},
      {"1w", "has a unit not of"},
      {"1S", "has a unit not of"},
      {"1m1h", "each unit once, largest first"},
      {"1s1s", "each unit once, largest first"},
      {"36501d", "over 100 years"},
      {"99999999999999999999s", "over 100 years"},
      {"9223372036854775807d", "over 100 years"},
  };
  for (const auto& c : cases) {
    const auto parsed = parse_duration(c.text);
    ASSERT_FALSE(parsed.has_value()) << c.text;
    EXPECT_EQ(parsed.error(), errc::invalid_argument) << c.text;
    const std::string message(parsed.error().message());
    EXPECT_NE(message.find(c.reason), std::string::npos) << c.text << " gave " << message;
    EXPECT_NE(message.find('\'' + std::string(c.text) + '\''), std::string::npos) << message;
  }
}

TEST(text, an_error_message_neither_repeats_long_texts_nor_control_bytes) {
  const auto parsed = parse_duration("\x1b[31m\n" + std::string(10'000, '9'));
  ASSERT_FALSE(parsed.has_value());
  EXPECT_LT(parsed.error().message().size(), 200u);
  EXPECT_EQ(parsed.error().message().find('\x1b'), std::string::npos);
  EXPECT_EQ(parsed.error().message().find('\n'), std::string::npos);
}

TEST(text, a_formatted_duration_reads_back_as_the_same_length) {
  EXPECT_EQ(format_duration(duration()), "0s");
  EXPECT_EQ(format_duration(90_s), "1m30s");
  EXPECT_EQ(format_duration(250_ms), "250ms");
  EXPECT_EQ(format_duration(-90_s), "-1m30s");
  for (std::int64_t ns = 1; ns < 3'000'000'000'000'000'000; ns = ns * 7 + 3) {
    EXPECT_EQ(parse_duration(format_duration(duration(ns))).value().ns, ns);
  }
  EXPECT_EQ(format_duration(duration(INT64_MIN)), "-106751d23h47m16s854ms775us808ns");
}

TEST(text, a_number_is_whole_decimal_and_within_its_bound) {
  EXPECT_EQ(parse_number("0").value(), 0u);
  EXPECT_EQ(parse_number("18446744073709551615").value(), UINT64_MAX);
  EXPECT_EQ(parse_number("16", 16).value(), 16u);
  for (const char* text : {"", " 1", "1 ", "+1", "-1", "0x1", "1.0", "1e3", "one",
                           "18446744073709551616", "99999999999999999999999"}) {
    EXPECT_FALSE(parse_number(text).has_value()) << text;
  }
  ASSERT_FALSE(parse_number("17", 16).has_value());
  EXPECT_EQ(parse_number("17", 16).error().message(), "number '17' is over 16");
}

TEST(text, case_is_ignored_for_ascii_letters_only) {
  EXPECT_TRUE(equal_ignoring_case("Content-LENGTH", "content-length"));
  EXPECT_FALSE(equal_ignoring_case("a", "ab"));
  EXPECT_FALSE(equal_ignoring_case("[", "{"));        // differ in the bit that tells cases apart
  EXPECT_FALSE(equal_ignoring_case("\xc4", "\xe4"));  // Latin-1 letters are not letters here
  EXPECT_TRUE(equal_ignoring_case("", ""));
}

TEST(text, trim_takes_white_space_from_both_ends_and_keeps_what_is_inside) {
  EXPECT_EQ(trim("  a b\t\r\n"), "a b");
  EXPECT_EQ(trim("a"), "a");
  EXPECT_EQ(trim(" \t "), "");
  EXPECT_EQ(trim(""), "");
}

}  // namespace
}  // namespace weir::text_test
