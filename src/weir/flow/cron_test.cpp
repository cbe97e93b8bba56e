#include <weir/flow/cron.hpp>

#include <gtest/gtest.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <string>
#include <vector>

namespace weir::cron_test {
namespace {

time_point at(int year, unsigned month, unsigned day, int hour = 0, int minute = 0,
              int second = 0) {
  using namespace std::chrono;
  const sys_days date = std::chrono::year(year) / std::chrono::month(month) / std::chrono::day(day);
  const auto since = date.time_since_epoch() + hours(hour) + minutes(minute) + seconds(second);
  return time_point(duration_cast<nanoseconds>(since).count());
}

std::string text_of(time_point moment) {
  using namespace std::chrono;
  const sys_seconds whole{seconds(moment.ns / 1'000'000'000)};
  const sys_days day = floor<days>(whole);
  const year_month_day date(day);
  const hh_mm_ss time(whole - day);
  std::array<char, 64> out{};
  std::snprintf(out.data(), out.size(), "%04d-%02u-%02u %02d:%02d:%02d",
                static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                static_cast<unsigned>(date.day()), static_cast<int>(time.hours().count()),
                static_cast<int>(time.minutes().count()), static_cast<int>(time.seconds().count()));
  return out.data();
}

// The next `count` times after a moment.
std::vector<std::string> times(std::string_view expression, time_point after, int count = 1) {
  const auto parsed = cron_times::parse(expression);
  if (!parsed) return {std::string(parsed.error().message())};
  std::vector<std::string> all;
  for (int i = 0; i < count; ++i) all.push_back(text_of(after = parsed->next_after(after)));
  return all;
}
using texts = std::vector<std::string>;

TEST(Cron, the_next_time_is_after_the_moment_and_never_at_it) {
  EXPECT_EQ(times("* * * * *", at(2026, 3, 1, 12, 0, 0)), texts{"2026-03-01 12:01:00"});
  EXPECT_EQ(times("* * * * *", at(2026, 3, 1, 12, 0, 59)), texts{"2026-03-01 12:01:00"});
  EXPECT_EQ(times("0 3 * * *", at(2026, 12, 31, 3)), texts{"2027-01-01 03:00:00"});
  EXPECT_EQ(times("0 3 * * *", at(2026, 12, 31, 2, 59, 59)), texts{"2026-12-31 03:00:00"});
  EXPECT_EQ(times("0 0 * * *", at(2026, 1, 1) - duration(1)), texts{"2026-01-01 00:00:00"});
  EXPECT_EQ(times("0 0 1 1 *", at(1969, 6, 1)), texts{"1970-01-01 00:00:00"}) << "before 1970";
}

TEST(Cron, lists_ranges_and_steps) {
  EXPECT_EQ(times("5,35 9-10 * * *", at(2026, 3, 1), 5),
            (texts{"2026-03-01 09:05:00", "2026-03-01 09:35:00", "2026-03-01 10:05:00",
                   "2026-03-01 10:35:00", "2026-03-02 09:05:00"}));
  EXPECT_EQ(times("*/20 * * * *", at(2026, 3, 1), 3),
            (texts{"2026-03-01 00:20:00", "2026-03-01 00:40:00", "2026-03-01 01:00:00"}));
  EXPECT_EQ(times("10-40/15 0 * * *", at(2026, 3, 1), 3),
            (texts{"2026-03-01 00:10:00", "2026-03-01 00:25:00", "2026-03-01 00:40:00"}));
  EXPECT_EQ(times("50/5 0 * * *", at(2026, 3, 1), 3),
            (texts{"2026-03-01 00:50:00", "2026-03-01 00:55:00", "2026-03-02 00:50:00"}));
  EXPECT_EQ(times("30 */2 0 * * *", at(2026, 3, 1), 2),
            (texts{"2026-03-01 00:00:30", "2026-03-01 00:02:30"}))
      << "six fields begin with seconds";
}

TEST(Cron, months_and_days_have_names_and_sunday_has_two_numbers) {
  const texts sundays{"2026-03-08 00:00:00", "2026-03-15 00:00:00"};
  EXPECT_EQ(times("0 0 * * 0", at(2026, 3, 1), 2), sundays);
  EXPECT_EQ(times("0 0 * * 7", at(2026, 3, 1), 2), sundays);
  EXPECT_EQ(times("0 0 * * Sun", at(2026, 3, 1), 2), sundays);
  EXPECT_EQ(times("0 0 * * sun-sun", at(2026, 3, 1), 2), sundays);
  EXPECT_EQ(times("0 0 * * 0-0", at(2026, 3, 1), 2), sundays);
  EXPECT_EQ(times("0 0 * * fri-sun", at(2026, 3, 1), 3),
            (texts{"2026-03-06 00:00:00", "2026-03-07 00:00:00", "2026-03-08 00:00:00"}));
  EXPECT_EQ(times("0 0 1 JAN,jul *", at(2026, 3, 1), 2),
            (texts{"2026-07-01 00:00:00", "2027-01-01 00:00:00"}));
}

TEST(Cron, of_two_restricted_day_fields_either_one_is_enough) {
  EXPECT_EQ(times("0 0 13 * fri", at(2026, 3, 1), 4),
            (texts{"2026-03-06 00:00:00", "2026-03-13 00:00:00", "2026-03-20 00:00:00",
                   "2026-03-27 00:00:00"}));
  EXPECT_EQ(times("0 0 13 4 fri", at(2026, 3, 1), 3),
            (texts{"2026-04-03 00:00:00", "2026-04-10 00:00:00", "2026-04-13 00:00:00"}));
  EXPECT_EQ(times("0 0 */10 * mon", at(2026, 3, 1)), texts{"2026-05-11 00:00:00"})
      << "a field that begins with * is not restricted: both must fit";
}

TEST(Cron, leap_days_come_also_after_a_long_time) {
  EXPECT_EQ(times("0 0 29 2 *", at(2024, 2, 29), 2),
            (texts{"2028-02-29 00:00:00", "2032-02-29 00:00:00"}));
  EXPECT_EQ(times("0 0 29 2 *", at(2096, 2, 29)), texts{"2104-02-29 00:00:00"});
  EXPECT_EQ(times("0 0 29 2 */7", at(2088, 2, 29)), texts{"2128-02-29 00:00:00"})
      << "a Sunday, over 2100, which has none";
  EXPECT_EQ(times("0 0 31 * *", at(2026, 3, 31)), texts{"2026-05-31 00:00:00"});
}

TEST(Cron, short_forms) {
  EXPECT_EQ(times("@hourly", at(2026, 3, 1)), texts{"2026-03-01 01:00:00"});
  EXPECT_EQ(times("@daily", at(2026, 3, 1)), texts{"2026-03-02 00:00:00"});
  EXPECT_EQ(times(" @Midnight ", at(2026, 3, 1)), texts{"2026-03-02 00:00:00"});
  EXPECT_EQ(times("@weekly", at(2026, 3, 1)), texts{"2026-03-08 00:00:00"});
  EXPECT_EQ(times("@monthly", at(2026, 3, 1)), texts{"2026-04-01 00:00:00"});
  EXPECT_EQ(times("@yearly", at(2026, 3, 1)), times("@annually", at(2026, 3, 1)));
}

TEST(Cron, what_is_wrong_is_named_with_its_field) {
  const auto why = [](std::string_view text) { return times(text, at(2026, 1, 1)).front(); };
  EXPECT_EQ(why("60 * * * *"), "cron: '60' in the field for the minute: is no number from 0 to 59");
  EXPECT_EQ(why("* 24 * * *"), "cron: '24' in the field for the hour: is no number from 0 to 23");
  EXPECT_EQ(why("* * 0 * *"),
            "cron: '0' in the field for the day of the month: is no number from 1 to 31");
  EXPECT_EQ(why("* * * foo *"),
            "cron: 'foo' in the field for the month: is no number from 1 to 12 and no name");
  EXPECT_EQ(
      why("* * * * fri-mon"),
      "cron: 'fri-mon' in the field for the day of the week: the range ends before it begins");
  EXPECT_EQ(why("*/0 * * * *"),
            "cron: '*/0' in the field for the minute: the step must be a number from 1 to 59");
  EXPECT_EQ(why("*/70 * * * *"),
            "cron: '*/70' in the field for the minute: the step must be a number from 1 to 59");
  EXPECT_NE(why("1,,2 * * * *").find("''"), std::string::npos);
  EXPECT_NE(why("* * * *").find("five fields"), std::string::npos);
  EXPECT_NE(why("* * * * * * *").find("five fields"), std::string::npos);
  EXPECT_NE(why("").find("five fields"), std::string::npos);
  EXPECT_NE(why("0 0 30 2 *").find("never comes"), std::string::npos);
  EXPECT_NE(why("0 0 31 4,6,9,11 *").find("never comes"), std::string::npos);
  EXPECT_EQ(cron_times::parse(std::string(257, '*')).error().code(), errc::too_large);
}

}  // namespace
}  // namespace weir::cron_test
