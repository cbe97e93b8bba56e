#include <weir/serve/wall_time.hpp>

#include <fmt/format.h>

#include <chrono>

namespace weir {

std::string format_wall_time(time_point since_1970) {
  using namespace std::chrono;
  const sys_time<milliseconds> moment(floor<milliseconds>(nanoseconds(since_1970.ns)));
  const sys_days day = floor<days>(moment);
  const year_month_day date(day);
  const hh_mm_ss<milliseconds> clock(moment - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                     clock.hours().count(), clock.minutes().count(), clock.seconds().count(),
                     clock.subseconds().count());
}

}  // namespace weir
