// Asio's side of tasks_mt_bench: two io_contexts on two threads, asio::post between them.
#include "../measure.hpp"
#include <boost/asio.hpp>

#include <atomic>
#include <cstdint>
#include <thread>

namespace asio = boost::asio;

namespace {

class other_loop {
 public:
  other_loop() : guard_(asio::make_work_guard(context)), thread_([this] { context.run(); }) {}
  ~other_loop() {
    guard_.reset();
    thread_.join();
  }
  asio::io_context context{1};

 private:
  asio::executor_work_guard<asio::io_context::executor_type> guard_;
  std::thread thread_;
};

struct game {
  asio::io_context& from;
  asio::io_context& to;
  std::int64_t rounds;
  std::atomic<std::uint64_t> played{0};

  void serve() {
    asio::post(to, [this] { asio::post(from, [this] { back(); }); });
  }
  void back() {
    if (++played < static_cast<std::uint64_t>(rounds)) return serve();
    played.notify_one();
  }
};

std::uint64_t ping_pong(other_loop& one, other_loop& other, std::int64_t count) {
  game ball{one.context, other.context, count};
  asio::post(one.context, [&ball] { ball.serve(); });
  for (std::uint64_t seen = 0; seen < static_cast<std::uint64_t>(count); seen = ball.played)
    ball.played.wait(seen);
  return ball.played;
}

std::uint64_t post_many(other_loop& to, std::int64_t count) {
  std::uint64_t received = 0;
  std::atomic<bool> is_done{false};
  for (std::int64_t i = 0; i < count; ++i) {
    asio::post(to.context, [&received, &is_done, count] {
      if (++received < static_cast<std::uint64_t>(count)) return;
      is_done = true;
      is_done.notify_one();
    });
  }
  is_done.wait(false);
  return received;
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 1000 : 1;
  other_loop one;
  other_loop other;
  bench::measure(
      "ping_pong", 10'000 / scale, [&](std::int64_t n) { return ping_pong(one, other, n); },
      bench::wall_ns);
  bench::measure(
      "post", 1'000'000 / scale, [&](std::int64_t n) { return post_many(one, n); }, bench::wall_ns);
}
