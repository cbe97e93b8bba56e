// How a signal's handler meets a driver (its ear and its wake_flag, the sources that ship) under
// every interleaving of at most three preemptions: a signal that came is heard, whoever else wakes
// the driver, and nobody rings once the driver has gone. Then with weaker orders.
#include <weir/io/detail/signal_ear.hpp>

#include <weir/io/detail/wake_flag.hpp>
#include <weir/testing/model_atomic.hpp>
#include <weir/testing/model_locks.hpp>
#include <weir/testing/weaken_orders.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <vector>

namespace weir::signal_ear_model_test {
namespace {

using model::require;

constexpr std::uint64_t signals = 2;

/// A driver as kernel_driver and signal_relay make one.
struct deaf_or_not {
  detail::signal_ear<model::memory> ear;
  detail::wake_flag<model::memory> is_woken;
  model::event bell;
  model::cell<bool> is_open{true};  // what the handler touches of the driver
  model::cell<int> sent{0};         // what was done before the signal

  void handle() {
    ear.hear(signals, [this] {
      require(is_open, "a handler rings at a driver that is there");
      wake();
    });
  }
  void wake() {
    if (is_woken.raise()) bell.signal();
  }
  /// One wait(): whether the signal was there.
  bool wait() {
    bell.wait();
    bell.clear();
    is_woken.lower();
    return ear.has_any() && ear.take(signals);
  }
};

void a_signal_is_heard() {
  deaf_or_not on;
  on.ear.want(signals);
  model::parallel(
      [&] {
        on.sent = 1;
        on.handle();
      },
      [&] { on.wake(); },
      [&] {
        while (!on.wait()) {
        }
        require(on.sent == 1, "what came before the signal is seen");
      });
}

void a_signal_meets_the_end() {
  deaf_or_not on;
  on.ear.want(signals);
  model::parallel([&] { on.handle(); },
                  [&] {
                    require(on.ear.end([] { model::yield(); }) == signals);
                    on.is_open = false;
                  });
  require(!on.ear.has_any(), "the next one to have this place hears nothing of before");
}

void a_signal_meets_the_beginning() {
  deaf_or_not on;
  on.is_open = false;
  model::parallel([&] { on.handle(); },
                  [&] {
                    on.is_open = true;
                    on.ear.want(signals);
                  });
}

constexpr void (*bodies[])() = {&a_signal_is_heard, &a_signal_meets_the_end,
                                &a_signal_meets_the_beginning};

TEST(SignalEarModel, a_signal_is_heard_and_nobody_rings_at_a_driver_that_has_gone) {
  for (const auto body : bodies) {
    const model::verdict found = model::check({}, body);
    EXPECT_TRUE(found.has_passed()) << found.text();
  }
}

TEST(SignalEarModel, each_order_is_needed) {
  EXPECT_EQ(model::unnoticed_orders("signal_ear.hpp", bodies, {.least = 7}),
            std::vector<std::string>());
}

}  // namespace
}  // namespace weir::signal_ear_model_test
