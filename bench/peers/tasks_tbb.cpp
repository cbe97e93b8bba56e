// oneTBB's side of tasks_bench: task_group on one thread. Its tasks can't wait, so only what is
// spawned and joined can be compared.
#include "../measure.hpp"
#include <tbb/global_control.h>
#include <tbb/task_group.h>

#include <cstdint>

namespace {

std::uint64_t spawn_and_await(std::int64_t count) {
  std::uint64_t sum = 0;
  tbb::task_group group;
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint64_t value = 0;
    group.run([&value, i] { value = static_cast<std::uint64_t>(i); });
    group.wait();
    sum += value;
  }
  return sum;
}

std::uint64_t spawn_many(std::int64_t count) {
  std::uint64_t sum = 0;  // one thread: no two tasks run at once
  tbb::task_group group;
  for (std::int64_t i = 0; i < count; ++i) group.run([&sum] { ++sum; });
  group.wait();
  return sum;
}

std::uint64_t join_two(std::int64_t count) {
  std::uint64_t sum = 0;
  tbb::task_group group;
  for (std::int64_t i = 0; i < count; ++i) {
    std::uint64_t one = 0;
    std::uint64_t other = 0;
    group.run([&one, i] { one = static_cast<std::uint64_t>(i); });
    group.run([&other, i] { other = static_cast<std::uint64_t>(2 * i); });
    group.wait();
    sum += one + other;
  }
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 1000 : 1;
  const tbb::global_control one_thread(tbb::global_control::max_allowed_parallelism, 1);
  bench::measure("spawn_await", 2'000'000 / scale, spawn_and_await);
  bench::measure("spawn_join/n=1000000", 1'000'000 / scale, spawn_many);
  bench::measure("when_all_two", 1'000'000 / scale, join_two);
}
