// libuv's side of timers_bench: bare timers with callbacks, no tasks.
#include "../measure.hpp"
#include <uv.h>

#include <cstdint>
#include <vector>

namespace {

std::uint64_t length_divisor = 1;
std::uint64_t length_of(std::int64_t n) {
  return (500'000 + bench::scramble(static_cast<std::uint32_t>(n)) % 1'000'000) / 1000 /
         length_divisor;
}

std::uint64_t woken = 0;
void count_one(uv_timer_t*) { ++woken; }

std::uint64_t create_and_cancel(std::int64_t count) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  uv_timer_t timer;
  uv_timer_init(&loop, &timer);
  std::uint64_t cancelled = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    uv_timer_start(&timer, count_one, length_of(i), 0);
    uv_timer_stop(&timer);
    ++cancelled;
  }
  uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  return cancelled;
}

std::uint64_t fire(std::int64_t count) {
  uv_loop_t loop;
  uv_loop_init(&loop);
  std::vector<uv_timer_t> timers(static_cast<std::size_t>(count));
  woken = 0;
  for (std::int64_t i = 0; i < count; ++i) {
    uv_timer_t* timer = &timers[static_cast<std::size_t>(i)];
    uv_timer_init(&loop, timer);
    uv_timer_start(timer, count_one, length_of(i), 0);
  }
  uv_run(&loop, UV_RUN_DEFAULT);
  for (uv_timer_t& timer : timers) uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
  return woken;
}

void sleep_all(std::int64_t count) {
  const std::int64_t before = bench::private_bytes();
  uv_loop_t loop;
  uv_loop_init(&loop);
  std::vector<uv_timer_t> timers(static_cast<std::size_t>(count));
  for (uv_timer_t& timer : timers) {
    uv_timer_init(&loop, &timer);
    uv_timer_start(&timer, count_one, 3'600'000, 0);
  }
  const std::int64_t used = bench::private_bytes() - before;
  bench::print_row("sleeping_task/n=1000000",
                   static_cast<double>(used > 0 ? used : 0) / static_cast<double>(count), "bytes",
                   static_cast<std::uint64_t>(count));
  for (uv_timer_t& timer : timers) uv_close(reinterpret_cast<uv_handle_t*>(&timer), nullptr);
  uv_run(&loop, UV_RUN_DEFAULT);
  uv_loop_close(&loop);
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 1000 : 1;
  if (scale != 1) length_divisor = 100;
  sleep_all(999'000 / scale);
  bench::measure("create_cancel", 2'000'000 / scale, create_and_cancel);
  bench::measure("fire/n=1000000", 1'000'000 / scale, fire);
}
