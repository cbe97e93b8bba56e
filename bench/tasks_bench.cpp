// What a task costs on one thread: to call and await, to spawn, to take turns, to join two.
#include <weir/core.hpp>

#include "clock_driver.hpp"
#include "measure.hpp"

using weir::task;

namespace {

[[gnu::noinline]] task<std::uint64_t> number(std::uint64_t n) { co_return n; }
[[gnu::noinline]] task<> add_one(std::uint64_t* sum) {
  ++*sum;
  co_return;
}

task<std::uint64_t> call_and_await(std::int64_t count) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += co_await number(static_cast<std::uint64_t>(i));
  co_return sum;
}

task<std::uint64_t> spawn_and_await(std::int64_t count) {
  co_return co_await weir::with_scope([&](weir::scope& scope) -> task<std::uint64_t> {
    std::uint64_t sum = 0;
    for (std::int64_t i = 0; i < count; ++i)
      sum += co_await scope.spawn(number, static_cast<std::uint64_t>(i));
    co_return sum;
  });
}

task<std::uint64_t> spawn_many(std::int64_t count) {
  std::uint64_t sum = 0;
  co_await weir::with_scope([&](weir::scope& scope) -> task<> {
    for (std::int64_t i = 0; i < count; ++i) scope.spawn(add_one, &sum);
    co_return;
  });
  co_return sum;
}

task<> take_turns(std::int64_t count, std::uint64_t* turns) {
  for (std::int64_t i = 0; i < count; ++i) {
    co_await weir::yield();
    ++*turns;
  }
}

task<std::uint64_t> yield_between_two(std::int64_t count) {
  std::uint64_t turns = 0;
  co_await weir::with_scope([&](weir::scope& scope) -> task<> {
    scope.spawn(take_turns, count / 2, &turns);
    scope.spawn(take_turns, count / 2, &turns);
    co_return;
  });
  co_return turns;
}

task<std::uint64_t> join_two(std::int64_t count) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto [one, other] = co_await weir::when_all(number(static_cast<std::uint64_t>(i)),
                                                      number(static_cast<std::uint64_t>(2 * i)));
    sum += one + other;
  }
  co_return sum;
}

void run(const char* name, std::int64_t count, task<std::uint64_t> (*what)(std::int64_t)) {
  bench::measure(name, count, [what](std::int64_t n) {
    bench::clock_driver driver;
    return weir::run_on(driver, what(n));
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 1000 : 1;
  run("call_await", 10'000'000 / scale, call_and_await);
  run("spawn_await", 2'000'000 / scale, spawn_and_await);
  run("spawn_join/n=1000000", 1'000'000 / scale, spawn_many);
  run("yield", 8'000'000 / scale, yield_between_two);
  run("when_all_two", 1'000'000 / scale, join_two);
}
