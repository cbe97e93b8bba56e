#include <weir/serve/retry_after.hpp>

#include <weir/base/text.hpp>

#include <algorithm>
#include <array>
#include <chrono>

namespace weir {

namespace {

constexpr std::array<std::string_view, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                  "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
constexpr std::string_view date_shape = "***, ## *** #### ##:##:## GMT";  // *: any, #: a digit

int number(std::string_view text, std::size_t at, std::size_t count) {
  return static_cast<int>(parse_number(text.substr(at, count)).value_or(0));
}

std::optional<time_point> parse_date(std::string_view text) {
  if (text.size() != date_shape.size()) return std::nullopt;
  for (std::size_t at = 0; at < text.size(); ++at) {
    const bool is_digit = text[at] >= '0' && text[at] <= '9';
    const char shape = date_shape[at];
    if (shape == '#' ? !is_digit : shape != '*' && shape != text[at]) return std::nullopt;
  }
  using namespace std::chrono;
  const auto month = std::ranges::find(months, text.substr(8, 3));
  const year_month_day date(year(number(text, 12, 4)),
                            std::chrono::month(static_cast<unsigned>(month - months.begin()) + 1),
                            day(static_cast<unsigned>(number(text, 5, 2))));
  const int hour = number(text, 17, 2);
  const int minute = number(text, 20, 2);
  const int second = number(text, 23, 2);
  if (month == months.end() || !date.ok() || hour > 23 || minute > 59 || second > 60) {
    return std::nullopt;
  }
  const auto moment = sys_days(date) + hours(hour) + minutes(minute) + seconds(second);
  const auto since = moment.time_since_epoch();
  if (since < seconds(0)) return time_point();  // long ago; before 1678 beyond nanoseconds, too
  if (since > hours(24) * 365 * 250) return time_point::never();  // beyond nanoseconds of 64 bits
  return time_point(duration_cast<nanoseconds>(since).count());
}

}  // namespace

std::optional<duration> parse_retry_after(std::string_view text, time_point wall_now) noexcept {
  text = trim(text);
  constexpr auto seconds_max = static_cast<std::uint64_t>(retry_after_max.ns / 1'000'000'000);
  const bool is_number =
      !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
  if (is_number) {
    const std::uint64_t seconds = parse_number(text).value_or(seconds_max);
    return duration::seconds(static_cast<std::int64_t>(std::min(seconds, seconds_max)));
  }
  const std::optional<time_point> date = parse_date(text);
  if (!date) return std::nullopt;
  if (*date <= wall_now) return duration();
  return std::min(*date - wall_now, retry_after_max);
}

}  // namespace weir
