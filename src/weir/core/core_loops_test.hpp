// Loops beside the one that a test runs on, of the same thread: for tests between loops in the
// virtual world. Whose turn is next is drawn by lot, so that the explorer tries orders; their
// clocks follow the test's.
#pragma once

#include <weir/core/detail/other_loop_runs.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/sim/virtual_driver.hpp>
#include <weir/testing/test.hpp>

#include <cstddef>
#include <deque>

namespace weir {

class core_loops {
 public:
  explicit core_loops(std::size_t count) {
    const bool shuffles = testing::world().options().shuffle || testing::world().options().schedule;
    for (std::size_t i = 0; i < count; ++i)
      others_.emplace_back(virtual_options{
          .seed = loop::current()->io().random(), .shuffle = shuffles, .is_led = true});
  }

  loop& operator[](std::size_t at) noexcept { return others_[at].on; }

  /// Runs a body while the others have their turns, and then those until they have no task left.
  task<> run(task<> body) {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await shield(lead()); });
      co_await std::move(body);
    });
  }

 private:
  struct side {
    explicit side(virtual_options options) : world(options), driver(world), on(driver) {}
    virtual_world world;
    virtual_driver driver;
    loop on;
  };

  bool turn(side& one) {
    one.world.clock().advance_to(loop::current()->now());
    const weir::detail::other_loop_runs aside;
    return one.on.run_turn();
  }
  task<> lead() {
    const auto count = static_cast<std::uint32_t>(others_.size());
    for (bool goes_on = true; goes_on;) {
      const std::uint32_t first = loop::current()->lot(count);
      goes_on = false;
      for (std::uint32_t i = 0; i < count; ++i)
        goes_on = turn(others_[(first + i) % count]) || goes_on;
      co_await sleep(duration::microseconds(1));
    }
  }

  std::deque<side> others_;
};

}  // namespace weir
