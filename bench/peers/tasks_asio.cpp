// Asio's side of tasks_bench: C++20 coroutines on an io_context for one thread.
#include "../measure.hpp"
#include <boost/asio.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>

#include <cstdint>
#include <exception>

namespace asio = boost::asio;
using asio::awaitable;
using asio::use_awaitable;

namespace {

[[gnu::noinline]] awaitable<std::uint64_t> number(std::uint64_t n) { co_return n; }
[[gnu::noinline]] awaitable<void> add_one(std::uint64_t* sum) {
  ++*sum;
  co_return;
}

awaitable<std::uint64_t> call_and_await(std::int64_t count) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += co_await number(static_cast<std::uint64_t>(i));
  co_return sum;
}

awaitable<std::uint64_t> spawn_and_await(std::int64_t count) {
  const auto executor = co_await asio::this_coro::executor;
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    sum += co_await asio::co_spawn(executor, number(static_cast<std::uint64_t>(i)), use_awaitable);
  }
  co_return sum;
}

awaitable<std::uint64_t> spawn_many(std::int64_t count) {
  const auto executor = co_await asio::this_coro::executor;
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) asio::co_spawn(executor, add_one(&sum), asio::detached);
  while (sum < static_cast<std::uint64_t>(count)) co_await asio::post(executor, use_awaitable);
  co_return sum;
}

awaitable<void> take_turns(std::int64_t count, std::uint64_t* turns) {
  const auto executor = co_await asio::this_coro::executor;
  for (std::int64_t i = 0; i < count; ++i) {
    co_await asio::post(executor, use_awaitable);
    ++*turns;
  }
}

awaitable<std::uint64_t> yield_between_two(std::int64_t count) {
  using namespace asio::experimental::awaitable_operators;
  std::uint64_t turns = 0;
  co_await (take_turns(count / 2, &turns) && take_turns(count / 2, &turns));
  co_return turns;
}

awaitable<std::uint64_t> join_two(std::int64_t count) {
  using namespace asio::experimental::awaitable_operators;
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    const auto [one, other] = co_await (number(static_cast<std::uint64_t>(i)) &&
                                        number(static_cast<std::uint64_t>(2 * i)));
    sum += one + other;
  }
  co_return sum;
}

void run(const char* name, std::int64_t count, awaitable<std::uint64_t> (*what)(std::int64_t)) {
  bench::measure(name, count, [what](std::int64_t n) {
    asio::io_context context(1);
    std::uint64_t sum = 0;
    asio::co_spawn(context, what(n),
                   [&sum](std::exception_ptr, std::uint64_t value) { sum = value; });
    context.run();
    return sum;
  });
}

}  // namespace

int main(int argc, char** argv) {
  const bool small = bench::is_small(argc, argv);
  const std::int64_t scale = small ? 1000 : 1;
  run("call_await", 10'000'000 / scale, call_and_await);
  run("spawn_await", 2'000'000 / scale, spawn_and_await);
  run("spawn_join/n=1000000", 1'000'000 / scale, spawn_many);
  run("yield", 8'000'000 / scale, yield_between_two);
  run("when_all_two", 1'000'000 / scale, join_two);
}
