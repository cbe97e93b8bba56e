// What tasks of two loops pay to hand things to each other: a ball to and fro, one producer and one
// consumer, two of each.
#include <weir/core.hpp>
#include <weir/flow/channel.hpp>
#include <weir/io/make_driver.hpp>

#include "measure.hpp"

#include <atomic>
#include <memory>
#include <thread>

using weir::task;

namespace {

using sender = weir::cross::sender<std::uint64_t>;
using receiver = weir::cross::receiver<std::uint64_t>;

// Runs f(args...) on a loop and thread of its own. The arguments are given away: a half of a
// channel that the thread kept would leave the channel open for ever.
template <class F, class... A>
std::thread on_thread(F f, A... args) {
  return std::thread([f, ... args = std::move(args)]() mutable {
    const auto driver = weir::make_driver();
    weir::run_on(*driver, f(std::move(args)...));
  });
}

task<> give_back(receiver there, sender back) {
  while (auto ball = co_await there.receive()) co_await back.send(*ball);
}
task<> play(sender there, receiver returned, std::int64_t count, std::uint64_t* played) {
  for (std::int64_t i = 0; i < count; ++i) {
    co_await there.send(1);
    *played += *co_await returned.receive();
  }
}

std::uint64_t ping_pong(std::int64_t count) {
  auto [there, arrived] = weir::cross::channel<std::uint64_t>(1);
  auto [back, returned] = weir::cross::channel<std::uint64_t>(1);
  std::uint64_t played = 0;
  auto one = on_thread(give_back, arrived, back);
  auto other = on_thread(play, there, returned, count, &played);
  there.close();
  arrived.close();
  back.close();
  returned.close();
  one.join();
  other.join();
  return played;
}

task<> produce(sender to, std::int64_t first, std::int64_t count) {
  for (std::int64_t i = first; i < first + count; ++i) {
    co_await to.send(static_cast<std::uint64_t>(i));
  }
}
task<> consume(receiver from, std::uint64_t* sum) {
  std::uint64_t mine = 0;
  while (auto item = co_await from.receive()) mine += *item;
  *sum = mine;
}

std::uint64_t spsc(std::int64_t count) {
  auto [to, from] = weir::cross::channel<std::uint64_t>(1024);
  std::uint64_t sum = 0;
  auto one = on_thread(produce, to, 0, count);
  auto other = on_thread(consume, from, &sum);
  to.close();
  from.close();
  one.join();
  other.join();
  return sum;
}

// Two loops, on each a producer and a consumer.
task<> both(sender to, receiver from, std::int64_t first, std::int64_t count, std::uint64_t* sum) {
  co_await weir::with_scope([&](weir::scope& scope) -> task<> {
    scope.spawn(produce, std::move(to), first, count);
    scope.spawn(consume, std::move(from), sum);
    co_return;
  });
}
std::uint64_t mpmc(std::int64_t count) {
  auto [to, from] = weir::cross::channel<std::uint64_t>(1024);
  std::uint64_t sums[2] = {};
  const std::int64_t half = count / 2;
  auto one = on_thread(both, to, from, 0, half, &sums[0]);
  auto other = on_thread(both, to, from, half, half, &sums[1]);
  to.close();
  from.close();
  one.join();
  other.join();
  return sums[0] + sums[1];
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 1000 : 1;
  bench::measure("channel_ping_pong", 200'000 / scale, ping_pong, bench::wall_ns);
  bench::measure("channel_one_to_one/capacity=1024", 4'000'000 / scale, spsc, bench::wall_ns);
  bench::measure("channel_two_to_two/capacity=1024", 4'000'000 / scale, mpmc, bench::wall_ns);
}
