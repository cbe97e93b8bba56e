// Uses the installed test kit: a test of a user's own, on virtual time.
#include <weir/core.hpp>
#include <weir/testing/test.hpp>

WEIR_TEST("an hour of sleep passes at once") {
  co_await weir::sleep(weir::duration::seconds(3600));
  EXPECT_GE(weir::testing::elapsed(), weir::duration::seconds(3600));
}
