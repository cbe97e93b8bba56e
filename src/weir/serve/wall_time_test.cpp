#include <weir/serve/wall_time.hpp>

#include <gtest/gtest.h>

namespace weir::wall_time_test {
namespace {

TEST(wall_time, is_written_in_utc_with_milliseconds) {
  EXPECT_EQ(format_wall_time(time_point(0)), "1970-01-01T00:00:00.000Z");
  EXPECT_EQ(format_wall_time(time_point(951'827'696'789'999'999)), "2000-02-29T12:34:56.789Z");
}

TEST(wall_time, before_1970_is_rounded_down_as_well) {
  EXPECT_EQ(format_wall_time(time_point(-1)), "1969-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace weir::wall_time_test
