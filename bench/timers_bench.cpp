// What time costs: timers that are set and cancelled, tasks that sleep and wake, and the memory of
// a task that sleeps.
#include <weir/core.hpp>

#include "clock_driver.hpp"
#include "measure.hpp"

using weir::task;

namespace {

// Between half a second and one and a half: all sleep before the first wakes. With --small a
// hundredth of that.
std::int64_t length_divisor = 1;
weir::duration length_of(std::int64_t n) {
  constexpr std::uint32_t spread_us = 1'000'000;
  const std::uint32_t us = 500'000 + bench::scramble(static_cast<std::uint32_t>(n)) % spread_us;
  return weir::duration::microseconds(us / length_divisor);
}

std::uint64_t create_and_cancel(std::int64_t count) {
  bench::clock_driver driver;
  return weir::run_on(driver, [](std::int64_t n) -> task<std::uint64_t> {
    weir::loop& loop = *weir::loop::current();
    const weir::time_point now = loop.now();
    std::uint64_t cancelled = 0;
    weir::detail::callback_timer timer;
    for (std::int64_t i = 0; i < n; ++i) {
      timer.due = now + length_of(i);
      loop.add_timer(timer);
      loop.remove_timer(timer);
      ++cancelled;
    }
    co_return cancelled;
  }(count));
}

[[gnu::noinline]] task<std::uint64_t> one() { co_return 1; }

task<std::uint64_t> time_out_never(std::int64_t count) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i)
    sum += co_await weir::with_timeout(weir::duration::seconds(30), one());
  co_return sum;
}

task<> sleeper(weir::duration length, std::uint64_t* woken) {
  co_await weir::sleep(length);
  ++*woken;
}

task<std::uint64_t> fire(std::int64_t count) {
  std::uint64_t woken = 0;
  co_await weir::with_scope([&](weir::scope& scope) -> task<> {
    for (std::int64_t i = 0; i < count; ++i) scope.spawn(sleeper, length_of(i), &woken);
    co_return;
  });
  co_return woken;
}

// Runs first, when no memory has been used and freed yet.
task<std::uint64_t> sleep_all(std::int64_t count) {
  const std::int64_t before = bench::private_bytes();
  std::uint64_t woken = 0;
  std::int64_t used = 0;
  co_await weir::with_scope([&](weir::scope& scope) -> task<> {
    for (std::int64_t i = 0; i < count; ++i)
      scope.spawn(sleeper, weir::duration::seconds(3600), &woken);
    co_await weir::sleep(weir::duration::milliseconds(1));
    used = bench::private_bytes() - before;
    scope.cancel("measured");
  });
  bench::print_row("sleeping_task/n=1000000",
                   static_cast<double>(used > 0 ? used : 0) / static_cast<double>(count), "bytes",
                   static_cast<std::uint64_t>(count));
  co_return woken;
}

std::uint64_t run(task<std::uint64_t> what) {
  bench::clock_driver driver;
  return weir::run_on(driver, std::move(what));
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 1000 : 1;
  if (scale != 1) length_divisor = 100;
  run(sleep_all(999'000 / scale));
  bench::measure("create_cancel", 2'000'000 / scale, create_and_cancel);
  bench::measure("timeout_unused", 100'000 / scale,
                 [](std::int64_t n) { return run(time_out_never(n)); });
  bench::measure("fire/n=1000000", 1'000'000 / scale, [](std::int64_t n) { return run(fire(n)); });
}
