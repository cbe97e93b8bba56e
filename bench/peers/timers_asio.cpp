// Asio's side of timers_bench: steady_timer, in coroutines where weir's side has tasks.
#include "../measure.hpp"
#include <boost/asio.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include <chrono>
#include <cstdint>
#include <exception>
#include <tuple>
#include <utility>

namespace asio = boost::asio;
using asio::awaitable;
using asio::use_awaitable;

namespace {

std::int64_t length_divisor = 1;
std::chrono::microseconds length_of(std::int64_t n) {
  const std::uint32_t us = 500'000 + bench::scramble(static_cast<std::uint32_t>(n)) % 1'000'000;
  return std::chrono::microseconds(us / length_divisor);
}

// A cancelled timer's handler still has to run: in batches, so that a row is not mostly epoll_wait.
std::uint64_t create_and_cancel(std::int64_t count) {
  constexpr std::int64_t batch = 64;
  asio::io_context context(1);
  auto guard = asio::make_work_guard(context);  // a poll() that finds no work would be the last one
  asio::steady_timer earlier(context, std::chrono::milliseconds(400));
  earlier.async_wait([](boost::system::error_code) {});
  const auto now = std::chrono::steady_clock::now();
  std::uint64_t cancelled = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    asio::steady_timer timer(context, now + length_of(i));
    timer.async_wait([&cancelled](boost::system::error_code) { ++cancelled; });
    timer.cancel();
    if (i % batch == 0) context.poll();
  }
  earlier.cancel();
  guard.reset();
  context.run();
  return cancelled;
}

[[gnu::noinline]] awaitable<std::uint64_t> one() { co_return 1; }

awaitable<std::uint64_t> time_out_never(std::int64_t count) {
  using namespace asio::experimental::awaitable_operators;
  const auto executor = co_await asio::this_coro::executor;
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    asio::steady_timer timer(executor, std::chrono::seconds(30));
    const auto first = co_await (one() || timer.async_wait(use_awaitable));
    sum += first.index() == 0 ? std::get<0>(first) : 0;
  }
  co_return sum;
}

awaitable<void> sleeper(std::chrono::microseconds length, std::uint64_t* woken) {
  asio::steady_timer timer(co_await asio::this_coro::executor, length);
  co_await timer.async_wait(use_awaitable);
  ++*woken;
}

std::uint64_t fire(std::int64_t count) {
  asio::io_context context(1);
  std::uint64_t woken = 0;
  for (std::int64_t i = 0; i < count; ++i)
    asio::co_spawn(context, sleeper(length_of(i), &woken), asio::detached);
  context.run();
  return woken;
}

void sleep_all(std::int64_t count) {
  const std::int64_t before = bench::private_bytes();
  asio::io_context context(1);
  std::uint64_t woken = 0;
  for (std::int64_t i = 0; i < count; ++i)
    asio::co_spawn(context, sleeper(std::chrono::hours(1), &woken), asio::detached);
  context.poll();
  const std::int64_t used = bench::private_bytes() - before;
  bench::print_row("sleeping_task/n=1000000",
                   static_cast<double>(used > 0 ? used : 0) / static_cast<double>(count), "bytes",
                   static_cast<std::uint64_t>(count));
}

std::uint64_t run(awaitable<std::uint64_t> what) {
  asio::io_context context(1);
  std::uint64_t sum = 0;
  asio::co_spawn(context, std::move(what),
                 [&sum](std::exception_ptr, std::uint64_t value) { sum = value; });
  context.run();
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 1000 : 1;
  if (scale != 1) length_divisor = 100;
  sleep_all(999'000 / scale);
  bench::measure("create_cancel", 2'000'000 / scale, create_and_cancel);
  bench::measure("timeout_unused", 100'000 / scale,
                 [](std::int64_t n) { return run(time_out_never(n)); });
  bench::measure("fire/n=1000000", 1'000'000 / scale, fire);
}
