// libuv's side of tasks_mt_bench: uv_async_send, which carries nothing and may merge two sends.
#include "../measure.hpp"
#include <uv.h>

#include <atomic>
#include <cstdint>
#include <thread>

namespace {

struct player {
  uv_loop_t loop;
  uv_async_t wake;
  player* other = nullptr;
  bool counts = false;
};

std::atomic<std::uint64_t> played{0};
std::atomic<std::int64_t> rounds{0};
std::atomic<bool> is_over{false};

void arrived(uv_async_t* wake) {
  auto* me = static_cast<player*>(wake->data);
  if (is_over) return uv_close(reinterpret_cast<uv_handle_t*>(wake), nullptr);
  if (!me->counts) {
    uv_async_send(&me->other->wake);
  } else if (++played < static_cast<std::uint64_t>(rounds.load())) {
    uv_async_send(&me->other->wake);
  } else {
    played.notify_one();
  }
}

void prepare(player& one) {
  uv_loop_init(&one.loop);
  uv_async_init(&one.loop, &one.wake, arrived);
  one.wake.data = &one;
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 1000 : 1;
  player one;
  player other;
  prepare(one);
  prepare(other);
  one.other = &other;
  other.other = &one;
  one.counts = true;
  std::thread first([&one] { uv_run(&one.loop, UV_RUN_DEFAULT); });
  std::thread second([&other] { uv_run(&other.loop, UV_RUN_DEFAULT); });
  bench::measure(
      "ping_pong", 10'000 / scale,
      [&other](std::int64_t n) {
        played = 0;
        rounds = n;
        uv_async_send(&other.wake);
        for (std::uint64_t seen = 0; seen < static_cast<std::uint64_t>(n); seen = played)
          played.wait(seen);
        return played.load();
      },
      bench::wall_ns);
  is_over = true;
  uv_async_send(&one.wake);
  uv_async_send(&other.wake);
  first.join();
  second.join();
}
