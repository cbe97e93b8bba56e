// oneTBB's side of forkjoin_mt_bench: task_group in an arena of two threads.
#include "../forkjoin_problems.hpp"
#include <tbb/global_control.h>
#include <tbb/task_arena.h>
#include <tbb/task_group.h>

#include <array>
#include <cstdint>
#include <vector>

namespace {

using bench::block;
using bench::board;

std::uint64_t fib(int n) {
  if (n < 2) return static_cast<std::uint64_t>(n);
  std::uint64_t a = 0;
  tbb::task_group group;
  group.run([&a, n] { a = fib(n - 1); });
  const std::uint64_t b = fib(n - 2);
  group.wait();
  return a + b;
}

std::uint64_t queens(const board& on, int row, int n) {
  if (row == n) return 1;
  std::array<std::uint64_t, board::size_max> found{};
  tbb::task_group group;
  for (int at = 0; at < n; ++at) {
    if (!on.can_take(row, at)) continue;
    group.run([&found, at, row, n, next = on.with(row, at)] {
      found[static_cast<std::size_t>(at)] = queens(next, row + 1, n);
    });
  }
  group.wait();
  std::uint64_t sum = 0;
  for (const std::uint64_t one : found) sum += one;
  return sum;
}

std::uint64_t skynet(std::uint64_t number, std::int64_t leaves) {
  if (leaves == 1) return number;
  std::array<std::uint64_t, bench::skynet_fan> found{};
  const std::int64_t each = leaves / bench::skynet_fan;
  tbb::task_group group;
  for (std::int64_t i = 0; i < bench::skynet_fan; ++i) {
    group.run([&found, i, each, number] {
      found[static_cast<std::size_t>(i)] =
          skynet(number + static_cast<std::uint64_t>(i * each), each);
    });
  }
  group.wait();
  std::uint64_t sum = 0;
  for (const std::uint64_t one : found) sum += one;
  return sum;
}

void multiply(block a, block b, block c, std::size_t size) {
  if (size <= bench::matmul_leaf) return bench::multiply_leaf(a, b, c, size);
  const std::size_t h = size / 2;
  tbb::task_group group;
  group.run([=] { multiply(a, b, c, h); });
  group.run([=] { multiply(a, b.at(0, h), c.at(0, h), h); });
  group.run([=] { multiply(a.at(h, 0), b, c.at(h, 0), h); });
  multiply(a.at(h, 0), b.at(0, h), c.at(h, h), h);
  group.wait();
  group.run([=] { multiply(a.at(0, h), b.at(h, 0), c, h); });
  group.run([=] { multiply(a.at(0, h), b.at(h, h), c.at(0, h), h); });
  group.run([=] { multiply(a.at(h, h), b.at(h, 0), c.at(h, 0), h); });
  multiply(a.at(h, h), b.at(h, h), c.at(h, h), h);
  group.wait();
}

std::uint64_t flat(std::uint32_t jobs) {
  std::vector<std::uint64_t> found(jobs);
  tbb::task_group group;
  for (std::uint32_t i = 0; i < jobs; ++i)
    group.run([&found, i] { found[i] = bench::flat_job(i); });
  group.wait();
  std::uint64_t sum = 0;
  for (const std::uint64_t one : found) sum += one;
  return sum;
}

struct tbb_side {
  tbb::task_arena arena{bench::forkjoin_threads};

  std::uint64_t fib(int n) {
    return arena.execute([n] { return ::fib(n); });
  }
  std::uint64_t queens(int n) {
    return arena.execute([n] { return ::queens(board{}, 0, n); });
  }
  std::uint64_t skynet(std::int64_t leaves) {
    return arena.execute([leaves] { return ::skynet(0, leaves); });
  }
  std::uint64_t flat(std::uint32_t jobs) {
    return arena.execute([jobs] { return ::flat(jobs); });
  }
  void multiply(bench::matrices& m) {
    arena.execute([&m] { ::multiply(m.of(m.a), m.of(m.b), m.of(m.c), m.size); });
  }
};

}  // namespace

int main(int argc, char** argv) {
  const tbb::global_control threads(tbb::global_control::max_allowed_parallelism,
                                    bench::forkjoin_threads);
  tbb_side side;
  bench::measure_forkjoin(side, bench::is_small(argc, argv));
}
