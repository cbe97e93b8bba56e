// What tasks of one loop pay to hand things to each other: channels, a oneshot, a mutex, a select.
#include <weir/core.hpp>
#include <weir/flow/channel.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/mutex.hpp>
#include <weir/flow/oneshot.hpp>

#include "clock_driver.hpp"
#include "measure.hpp"

using weir::task;

namespace {

using sender = weir::sender<std::uint64_t>;
using receiver = weir::receiver<std::uint64_t>;

task<> give_back(receiver there, sender back) {
  while (auto ball = co_await there.receive()) co_await back.send(*ball);
}

task<std::uint64_t> ping_pong(std::int64_t count) {
  std::uint64_t played = 0;
  co_await weir::with_scope([&](weir::scope& scope) -> task<> {
    auto [there, arrived] = weir::channel<std::uint64_t>(1);
    auto [back, returned] = weir::channel<std::uint64_t>(1);
    scope.spawn(give_back, std::move(arrived), std::move(back));
    for (std::int64_t i = 0; i < count; ++i) {
      co_await there.send(1);
      played += *co_await returned.receive();
    }
    there.close();
  });
  co_return played;
}

task<> produce(sender to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) co_await to.send(static_cast<std::uint64_t>(i));
}

task<std::uint64_t> channel_of_64(std::int64_t count) {
  std::uint64_t sum = 0;
  co_await weir::with_scope([&](weir::scope& scope) -> task<> {
    auto [to, from] = weir::channel<std::uint64_t>(64);
    scope.spawn(produce, std::move(to), count);
    while (auto item = co_await from.receive()) sum += *item;
  });
  co_return sum;
}

task<std::uint64_t> lock_and_unlock(std::int64_t count) {
  weir::mutex door;
  std::uint64_t entered = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    auto held = co_await door.lock();
    ++entered;
  }
  co_return entered;
}

task<std::uint64_t> select_ready(std::int64_t count) {
  auto [to, from] = weir::channel<std::uint64_t>(1);
  auto [silent, never] = weir::channel<std::uint64_t>(1);
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    co_await to.send(static_cast<std::uint64_t>(i));
    auto [item, nothing] = co_await weir::select(from.receive(), never.receive());
    sum += **item;
  }
  co_return sum;
}

// Both are awaited, and the partner sends to them in turn.
task<> send_in_turn(sender one, sender other, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    co_await (i % 2 == 0 ? one : other).send(static_cast<std::uint64_t>(i));
  }
}
task<std::uint64_t> select_waits(std::int64_t count) {
  std::uint64_t sum = 0;
  co_await weir::with_scope([&](weir::scope& scope) -> task<> {
    auto [to_one, one] = weir::channel<std::uint64_t>(0);
    auto [to_other, other] = weir::channel<std::uint64_t>(0);
    scope.spawn(send_in_turn, std::move(to_one), std::move(to_other), count);
    for (std::int64_t i = 0; i < count; ++i) {
      auto [a, b] = co_await weir::select(one.receive(), other.receive());
      sum += a ? **a : **b;
    }
  });
  co_return sum;
}

task<std::uint64_t> oneshots(std::int64_t count) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    auto [to, from] = weir::oneshot<std::uint64_t>();
    to.send(static_cast<std::uint64_t>(i));
    sum += co_await from.receive();
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
  run("channel_ping_pong", 2'000'000 / scale, ping_pong);
  run("channel/capacity=64", 8'000'000 / scale, channel_of_64);
  run("mutex", 10'000'000 / scale, lock_and_unlock);
  run("select_ready", 4'000'000 / scale, select_ready);
  run("select_waits", 2'000'000 / scale, select_waits);
  run("oneshot", 4'000'000 / scale, oneshots);
}
