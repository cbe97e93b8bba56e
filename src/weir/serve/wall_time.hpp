// Moments of wall time as people and programs exchange them: RFC 3339 in UTC with milliseconds.
#pragma once

#include <weir/base/time.hpp>

#include <string>

namespace weir {

/// "2026-03-01T12:00:00.123Z"; rounds down to the millisecond.
std::string format_wall_time(time_point since_1970);

}  // namespace weir
