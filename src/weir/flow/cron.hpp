// Times in the notation of cron(5): "0 3 * * mon-fri". The hard idea: what the fields allow is five
// or six sets of bits, so the next time is found by looking at days, not at seconds, and an
// expression that no time fits ("30 February") is refused when it is read.
#pragma once

#include <weir/base/result.hpp>
#include <weir/base/time.hpp>

#include <cstdint>
#include <string_view>

namespace weir {

/// Moments of wall time, in UTC.
///
/// Five fields: minute, hour, day of the month, month, day of the week; six: seconds before them.
/// Each is *, a number, a range, a list of these, with /step; months and days have their English
/// names' first three letters; 0 and 7 are Sunday. As in cron, a day fits when either of the two
/// day fields does if both are restricted (begin with something else than *). Also @hourly, @daily,
/// @midnight, @weekly, @monthly, @yearly, @annually.
///
/// Cancel:  plain value, no waits.
/// Order:   next_after() gives later and later moments.
/// Bound:   a text of 256 bytes; a next moment lies at most 40 years ahead.
/// Errors:  parse() names the field that is wrong.
/// Threads: copies may be used from different threads.
class cron_times {
 public:
  static result<cron_times> parse(std::string_view text);

  /// The first moment after `wall` that fits.
  time_point next_after(time_point wall) const noexcept;

  friend bool operator==(const cron_times&, const cron_times&) = default;

 private:
  cron_times() = default;
  bool fits(std::int64_t day) const noexcept;
  bool has_a_day() const noexcept;

  std::uint64_t seconds_ = 0;  // a bit per number that fits
  std::uint64_t minutes_ = 0;
  std::uint64_t hours_ = 0;
  std::uint64_t days_ = 0;
  std::uint64_t months_ = 0;
  std::uint64_t weekdays_ = 0;
  bool is_day_restricted_ = false;
  bool is_weekday_restricted_ = false;
};

}  // namespace weir
