// What it costs to reach another thread: a ball between two loops, calls from one to the other and
// to the blocking pool, and a stream of posts.
#include <weir/core.hpp>
#include <weir/core/core_group.hpp>
#include <weir/flow/event.hpp>
#include <weir/io/blocking.hpp>
#include <weir/io/make_driver.hpp>

#include "measure.hpp"
#include <sched.h>

#include <atomic>
#include <memory>
#include <thread>

namespace {

// A loop on a thread of its own, which runs until it is told to end.
class other_loop {
 public:
  other_loop() : thread_([this] { run(); }) { is_ready_.wait(false); }
  other_loop(const other_loop&) = delete;
  other_loop& operator=(const other_loop&) = delete;
  ~other_loop() {
    loop_->post([this] { loop_->root().cancel("the end"); });
    thread_.join();
  }
  weir::loop& get() noexcept { return *loop_; }

 private:
  static weir::task<> wait_for_end() { co_await weir::sleep(weir::duration::seconds(3600)); }
  void run() {
    const auto driver = weir::make_driver();
    weir::loop loop(*driver);
    loop_ = &loop;
    loop.root().spawn(wait_for_end);
    is_ready_ = true;
    is_ready_.notify_one();
    loop.run();
  }

  weir::loop* loop_ = nullptr;
  std::atomic<bool> is_ready_{false};
  std::thread thread_;
};

struct game {
  weir::loop& from;
  weir::loop& to;
  std::int64_t rounds;
  std::atomic<std::uint64_t> played{0};

  void serve() {
    to.post([this] { from.post([this] { back(); }); });
  }
  void back() {
    if (++played < static_cast<std::uint64_t>(rounds)) return serve();
    played.notify_one();
  }
};

std::uint64_t ping_pong(other_loop& one, other_loop& other, std::int64_t count) {
  game ball{one.get(), other.get(), count};
  one.get().post([&ball] { ball.serve(); });
  for (std::uint64_t seen = 0; seen < static_cast<std::uint64_t>(count); seen = ball.played)
    ball.played.wait(seen);
  return ball.played;
}

// Two loops that call each other for once.
struct calls {
  explicit calls(std::int64_t how_many) noexcept : count(how_many) {}

  std::int64_t count;
  weir::core_group cores{2};
  weir::cross::event are_made;
  std::uint64_t sum = 0;
  std::atomic<int> ended{0};  // programs

  weir::task<> make_calls() {
    for (std::int64_t i = 0; i < count; ++i)
      sum += co_await cores.call(1, [] { return weir::this_core(); });
    are_made.set();
  }
  weir::task<> be_called() { co_await are_made.wait(); }
  void start(weir::loop& on, std::size_t index) {
    on.root().spawn(
        [](calls* all, std::size_t core) -> weir::task<> {
          co_await all->cores.run(core, core == 0 ? all->make_calls() : all->be_called());
          ++all->ended;
          all->ended.notify_one();
        },
        this, index);
  }
};

std::uint64_t call_many(other_loop& one, other_loop& other, std::int64_t count) {
  calls all(count);
  weir::loop* const on[] = {&one.get(), &other.get()};
  for (std::size_t i = 0; i < 2; ++i) on[i]->post([&all, on, i] { all.start(*on[i], i); });
  for (int seen = 0; seen < 2; seen = all.ended) all.ended.wait(seen);
  return all.sum;
}

// A function on a thread of the blocking pool, there and back.
weir::task<> block(std::int64_t count, std::uint64_t* sum, std::atomic<bool>* is_done) {
  for (std::int64_t i = 0; i < count; ++i) *sum += co_await weir::blocking([] { return 1u; });
  *is_done = true;
  is_done->notify_one();
}
std::uint64_t block_many(other_loop& one, std::int64_t count) {
  std::uint64_t sum = 0;
  std::atomic<bool> is_done{false};
  one.get().post([&] { one.get().root().spawn(block, count, &sum, &is_done); });
  is_done.wait(false);
  return sum;
}

std::uint64_t post_many(other_loop& to, std::int64_t count) {
  std::uint64_t received = 0;
  std::atomic<bool> is_done{false};
  for (std::int64_t i = 0; i < count; ++i) {
    const auto receive = [&received, &is_done, count] {
      if (++received < static_cast<std::uint64_t>(count)) return;
      is_done = true;
      is_done.notify_one();
    };
    while (!to.get().post(receive)) sched_yield();  // posts_max wait: the loop has to catch up
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
      "call", 10'000 / scale, [&](std::int64_t n) { return call_many(one, other, n); },
      bench::wall_ns);
  bench::measure(
      "blocking", 10'000 / scale, [&](std::int64_t n) { return block_many(one, n); },
      bench::wall_ns);
  bench::measure(
      "post", 1'000'000 / scale, [&](std::int64_t n) { return post_many(one, n); }, bench::wall_ns);
}
