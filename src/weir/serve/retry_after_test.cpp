#include <weir/serve/retry_after.hpp>

#include <gtest/gtest.h>

namespace weir::retry_after_test {
namespace {

using namespace literals;

constexpr time_point now(784'111'777'000'000'000);  // Sun, 06 Nov 1994 08:49:37 GMT

TEST(retry_after, seconds_are_read_and_capped_at_a_day) {
  EXPECT_EQ(parse_retry_after("0", now), 0_s);
  EXPECT_EQ(parse_retry_after(" 120 ", now), 120_s);
  EXPECT_EQ(parse_retry_after("86401", now), 24_h);
  EXPECT_EQ(parse_retry_after("99999999999999999999999", now), 24_h);
}

TEST(retry_after, a_date_is_the_time_until_then) {
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:49:37 GMT", now), 0_s);
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1994 08:50:07 GMT", now), 30_s);
  EXPECT_EQ(parse_retry_after("Sun, 06 Nov 1993 08:50:07 GMT", now), 0_s);
  EXPECT_EQ(parse_retry_after("Mon, 01 Jan 1601 00:00:00 GMT", now), 0_s);
  EXPECT_EQ(parse_retry_after("Sat, 01 Jan 0000 00:00:00 GMT", now), 0_s);
  EXPECT_EQ(parse_retry_after("Fri, 31 Dec 9999 23:59:60 GMT", now), 24_h);
}

TEST(retry_after, what_is_neither_form_is_nothing) {
  for (const char* text :
       {"", "soon", "-1", "1.5", "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Nvo 1994 08:49:37 GMT",
        "Sun, 32 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
        "Sun, xx Nov 1994 08:49:37 GMT", "Sun, 06 Nov yyyy 08:49:37 GMT",
        "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994"}) {
    EXPECT_EQ(parse_retry_after(text, now), std::nullopt) << text;
  }
}

}  // namespace
}  // namespace weir::retry_after_test
