#include <weir/flow/cron.hpp>

#include <weir/base/text.hpp>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <utility>

namespace weir {

namespace {

constexpr std::size_t text_bytes_max = 256;
constexpr std::int64_t seconds_of_day = 86'400;
// The longest wait is for a February 29 on a given day of the week, over a year like 2100 that has
// none: 40 years.
constexpr std::int64_t days_ahead_max = 41 * 366;

struct field_kind {
  const char* name;
  std::uint64_t first;
  std::uint64_t last;
  std::span<const std::string_view> names;  // of `first`, first + 1, ...
};

constexpr std::array<std::string_view, 12> month_names{"jan", "feb", "mar", "apr", "may", "jun",
                                                       "jul", "aug", "sep", "oct", "nov", "dec"};
constexpr std::array<std::string_view, 8> day_names{"sun", "mon", "tue", "wed",
                                                    "thu", "fri", "sat", "sun"};
constexpr std::array<field_kind, 6> kinds{{{"second", 0, 59, {}},
                                           {"minute", 0, 59, {}},
                                           {"hour", 0, 23, {}},
                                           {"day of the month", 1, 31, {}},
                                           {"month", 1, 12, month_names},
                                           {"day of the week", 0, 7, day_names}}};

constexpr std::array<std::pair<std::string_view, std::string_view>, 7> short_forms{
    {{"@hourly", "0 * * * *"},
     {"@daily", "0 0 * * *"},
     {"@midnight", "0 0 * * *"},
     {"@weekly", "0 0 * * 0"},
     {"@monthly", "0 0 1 * *"},
     {"@yearly", "0 0 1 1 *"},
     {"@annually", "0 0 1 1 *"}}};

std::unexpected<error> wrong(const field_kind& kind, std::string_view part, std::string_view why) {
  std::string text = "cron: '";
  ((text += part) += "' in the field for the ") += kind.name;
  (text += ": ") += why;
  return fail(errc::invalid_argument, text);
}

result<std::uint64_t> number_of(const field_kind& kind, std::string_view text) {
  for (std::size_t i = 0; i < kind.names.size(); ++i) {
    if (equal_ignoring_case(kind.names[i], text)) return kind.first + i;
  }
  const auto number = parse_number(text, kind.last);
  if (number && *number >= kind.first) return *number;
  return wrong(kind, text,
               "is no number from " + std::to_string(kind.first) + " to " +
                   std::to_string(kind.last) + (kind.names.empty() ? "" : " and no name"));
}

// One entry of a list: "*", "5", "1-5", "*/2", "1-9/3".
result<std::uint64_t> bits_of_part(const field_kind& kind, std::string_view part) {
  const std::size_t slash = part.find('/');
  const std::string_view range = part.substr(0, slash);
  std::uint64_t step = 1;
  if (slash != std::string_view::npos) {
    const auto number = parse_number(part.substr(slash + 1), kind.last);
    if (!number || *number == 0) {
      return wrong(kind, part, "the step must be a number from 1 to " + std::to_string(kind.last));
    }
    step = *number;
  }
  std::uint64_t from = kind.first;
  std::uint64_t to = kind.last;
  if (range != "*") {
    const std::size_t dash = range.find('-');
    const auto first = number_of(kind, range.substr(0, dash));
    if (!first) return first;
    from = to = *first;
    if (dash != std::string_view::npos) {
      const auto last = number_of(kind, range.substr(dash + 1));
      if (!last) return last;
      // "fri-sun": the Sunday after it
      to = *last == 0 && from != 0 && kind.last == 7 ? 7 : *last;
    } else if (slash != std::string_view::npos) {
      to = kind.last;  // "5/15" is "5-59/15"
    }
    if (to < from) return wrong(kind, part, "the range ends before it begins");
  }
  std::uint64_t bits = 0;
  for (std::uint64_t n = from; n <= to; n += step) bits |= std::uint64_t{1} << n;
  return bits;
}

result<std::uint64_t> bits_of(const field_kind& kind, std::string_view field) {
  std::uint64_t bits = 0;
  for (std::size_t at = 0; at <= field.size();) {
    const std::size_t end = std::min(field.find(',', at), field.size());
    const auto some = bits_of_part(kind, field.substr(at, end - at));
    if (!some) return some;
    bits |= *some;
    at = end + 1;
  }
  return bits;
}

std::size_t split(std::string_view text, std::array<std::string_view, 7>& into) {
  std::size_t count = 0;
  for (std::size_t at = 0; count < into.size();) {
    at = text.find_first_not_of(" \t", at);
    if (at == std::string_view::npos) break;
    const std::size_t end = std::min(text.find_first_of(" \t", at), text.size());
    into[count++] = text.substr(at, end - at);
    at = end;
  }
  return count;
}

bool has(std::uint64_t bits, unsigned number) noexcept { return ((bits >> number) & 1) != 0; }

// The first bit from `from` on, or 64.
unsigned next_bit(std::uint64_t bits, unsigned from) noexcept {
  if (from >= 64) return 64;
  const std::uint64_t rest = bits >> from;
  return rest == 0 ? 64 : from + static_cast<unsigned>(__builtin_ctzll(rest));
}

}  // namespace

result<cron_times> cron_times::parse(std::string_view text) {
  if (text.size() > text_bytes_max)
    return fail(errc::too_large, "cron: the text is longer than 256 bytes");
  for (const auto& [name, meaning] : short_forms) {
    if (equal_ignoring_case(name, trim(text))) text = meaning;
  }
  std::array<std::string_view, 7> fields;
  const std::size_t count = split(text, fields);
  if (count != 5 && count != 6) {
    return fail(errc::invalid_argument,
                "cron: '" + std::string(text) +
                    "' has not the five fields minute, hour, day of the month, month and day of "
                    "the week, nor six with seconds before them");
  }
  std::array<std::uint64_t, 6> bits{1};  // second 0
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t kind = i + kinds.size() - count;
    const auto some = bits_of(kinds[kind], fields[i]);
    if (!some) return std::unexpected(some.error());
    bits[kind] = *some;
  }
  cron_times made;
  made.seconds_ = bits[0];
  made.minutes_ = bits[1];
  made.hours_ = bits[2];
  made.days_ = bits[3];
  made.months_ = bits[4];
  made.weekdays_ = (bits[5] | (bits[5] >> 7)) & 0x7f;  // 7 is Sunday, too
  made.is_day_restricted_ = fields[count - 3].front() != '*';
  made.is_weekday_restricted_ = fields[count - 1].front() != '*';
  if (!made.has_a_day()) {
    return fail(errc::invalid_argument,
                "cron: '" + std::string(text) + "' never comes: no such month has such a day");
  }
  return made;
}

bool cron_times::has_a_day() const noexcept {
  if (is_day_restricted_ && is_weekday_restricted_) return true;
  constexpr std::array<unsigned, 13> length{0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  for (unsigned month = 1; month <= 12; ++month) {
    if (has(months_, month) && next_bit(days_, 1) <= length[month]) return true;
  }
  return false;
}

bool cron_times::fits(std::int64_t day) const noexcept {
  const std::chrono::sys_days at{std::chrono::days(day)};
  const std::chrono::year_month_day date(at);
  if (!has(months_, static_cast<unsigned>(date.month()))) return false;
  const bool by_day = has(days_, static_cast<unsigned>(date.day()));
  const bool by_weekday = has(weekdays_, std::chrono::weekday(at).c_encoding());
  if (is_day_restricted_ && is_weekday_restricted_) return by_day || by_weekday;
  return by_day && by_weekday;
}

time_point cron_times::next_after(time_point wall) const noexcept {
  constexpr std::int64_t ns = 1'000'000'000;
  const std::int64_t from =
      wall.ns / ns - (wall.ns % ns < 0 ? 1 : 0) + 1;  // the first whole second after it
  std::int64_t day = from / seconds_of_day - (from % seconds_of_day < 0 ? 1 : 0);
  auto left = static_cast<unsigned>(from - day * seconds_of_day);  // where to begin in this day
  for (std::int64_t i = 0; i <= days_ahead_max; ++i, ++day, left = 0) {
    if (!fits(day)) continue;
    // The lowest hour, minute and second that are not before `left`, from the coarse to the fine.
    for (unsigned hour = next_bit(hours_, left / 3600); hour < 24;
         hour = next_bit(hours_, hour + 1)) {
      const unsigned minute_from = hour == left / 3600 ? left / 60 % 60 : 0;
      for (unsigned minute = next_bit(minutes_, minute_from); minute < 60;
           minute = next_bit(minutes_, minute + 1)) {
        const bool is_first = hour == left / 3600 && minute == left / 60 % 60;
        const unsigned second = next_bit(seconds_, is_first ? left % 60 : 0);
        if (second >= 60) continue;
        const std::int64_t at = day * seconds_of_day + hour * 3600 + minute * 60 + second;
        std::int64_t at_ns = 0;
        return __builtin_mul_overflow(at, ns, &at_ns) ? time_point::never() : time_point(at_ns);
      }
    }
  }
  return time_point::never();  // not reached: parse() refuses what never comes
}

}  // namespace weir
