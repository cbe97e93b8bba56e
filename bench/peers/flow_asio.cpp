// Asio's side of flow_bench: its experimental channels on an io_context for one thread. It has no
// mutex for coroutines; its `||` takes no item back, so a select of channels has no counterpart.
#include "../measure.hpp"
#include <boost/asio.hpp>
#include <boost/asio/experimental/channel.hpp>

#include <cstdint>
#include <exception>

namespace asio = boost::asio;
using asio::awaitable;
using asio::use_awaitable;
using boost::system::error_code;
using channel = asio::experimental::channel<void(error_code, std::uint64_t)>;

namespace {

awaitable<void> give_back(channel* there, channel* back, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    const std::uint64_t ball = co_await there->async_receive(use_awaitable);
    co_await back->async_send(error_code(), ball, use_awaitable);
  }
}
awaitable<std::uint64_t> ping_pong(std::int64_t count) {
  const auto executor = co_await asio::this_coro::executor;
  channel there(executor, 1);
  channel back(executor, 1);
  asio::co_spawn(executor, give_back(&there, &back, count), asio::detached);
  std::uint64_t played = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    co_await there.async_send(error_code(), 1, use_awaitable);
    played += co_await back.async_receive(use_awaitable);
  }
  co_return played;
}

awaitable<void> produce(channel* to, std::int64_t count) {
  for (std::int64_t i = 0; i < count; ++i) {
    co_await to->async_send(error_code(), static_cast<std::uint64_t>(i), use_awaitable);
  }
}
awaitable<std::uint64_t> channel_of_64(std::int64_t count) {
  const auto executor = co_await asio::this_coro::executor;
  channel items(executor, 64);
  asio::co_spawn(executor, produce(&items, count), asio::detached);
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += co_await items.async_receive(use_awaitable);
  co_return sum;
}

awaitable<std::uint64_t> oneshots(std::int64_t count) {
  const auto executor = co_await asio::this_coro::executor;
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    channel answer(executor, 1);
    co_await answer.async_send(error_code(), static_cast<std::uint64_t>(i), use_awaitable);
    sum += co_await answer.async_receive(use_awaitable);
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
  const std::int64_t scale = bench::is_small(argc, argv) ? 1000 : 1;
  run("channel_ping_pong", 2'000'000 / scale, ping_pong);
  run("channel/capacity=64", 8'000'000 / scale, channel_of_64);
  run("oneshot", 4'000'000 / scale, oneshots);
}
