#include <weir/serve/until_drained.hpp>

#include <weir/core.hpp>
#include <weir/testing/test.hpp>

namespace weir::until_drained_test {
namespace {

using namespace weir::literals;

task<int> after(duration length) {
  co_await sleep(length);
  co_return 7;
}

WEIR_TEST("a wait ends with its value, or with cancelled once the event is set") {
  event drain;
  EXPECT_EQ(co_await until_drained(drain, after(1_s)), 7);
  drain.set();
  EXPECT_EQ((co_await until_drained(drain, after(1_s))).error(), errc::cancelled);
}

// Callers go on after `cancelled`: were it given for a cancellation from outside, they would turn
// for ever.
WEIR_TEST("a cancellation from outside is not taken for the event") {
  event drain;
  int rounds = 0;
  co_await with_scope({.name = "outside", .timeout = 1_s}, [&](scope&) -> task<> {
    while (rounds < 10) {
      ++rounds;
      static_cast<void>(co_await until_drained(drain, after(1_h)));
    }
  });
  EXPECT_EQ(rounds, 1);
}

}  // namespace
}  // namespace weir::until_drained_test
