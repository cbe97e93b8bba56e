// What forkjoin_mt_bench and its peers compute: fib, queens, skynet, a product of matrices and a
// list of jobs that fork nothing, with all that does not depend on who runs it. Each forks down to
// the last call, as is usual in these comparisons: what is measured is the price of a fork, not a
// clever cut-off.
#pragma once

#include "measure.hpp"

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace bench {

inline constexpr int forkjoin_threads = 2;

/// How often fib(n) is called in all.
inline std::int64_t calls_of_fib(int n) {
  std::int64_t now = 1;
  std::int64_t before = 1;
  for (int i = 2; i <= n; ++i) {
    const std::int64_t next = now + before + 1;
    before = now;
    now = next;
  }
  return now;
}

/// Queens in the first rows of a board: the column of each.
struct board {
  static constexpr int size_max = 16;
  std::array<std::int8_t, size_max> column{};

  bool can_take(int row, int at) const {
    for (int i = 0; i < row; ++i) {
      const int other = column[static_cast<std::size_t>(i)];
      if (other == at || other - at == row - i || at - other == row - i) return false;
    }
    return true;
  }
  board with(int row, int at) const {
    board next = *this;
    next.column[static_cast<std::size_t>(row)] = static_cast<std::int8_t>(at);
    return next;
  }
};

/// The nodes of the search tree for n queens, for figures per node.
inline std::int64_t nodes_of_queens(const board& on, int row, int n) {
  std::int64_t nodes = 1;
  if (row == n) return nodes;
  for (int at = 0; at < n; ++at) {
    if (on.can_take(row, at)) nodes += nodes_of_queens(on.with(row, at), row + 1, n);
  }
  return nodes;
}

inline constexpr std::int64_t skynet_fan = 10;

/// Square matrices of n * n numbers, row after row; a block is a corner and a size.
using numbers = std::vector<std::uint32_t>;
struct block {
  std::uint32_t* first;
  std::size_t stride;
  block at(std::size_t row, std::size_t column) const {
    return {first + row * stride + column, stride};
  }
};
inline constexpr std::size_t matmul_leaf = 32;

/// c += a * b for blocks of `size`. One function in every program, so that it is the same code.
[[gnu::noinline]] inline void multiply_leaf(block a, block b, block c, std::size_t size) {
  for (std::size_t i = 0; i < size; ++i) {
    for (std::size_t k = 0; k < size; ++k) {
      const std::uint32_t factor = a.first[i * a.stride + k];
      for (std::size_t j = 0; j < size; ++j)
        c.first[i * c.stride + j] += factor * b.first[k * b.stride + j];
    }
  }
}

struct matrices {
  std::size_t size;
  numbers a, b, c;
  explicit matrices(std::size_t n) : size(n), a(n * n), b(n * n), c(n * n) {
    for (std::size_t i = 0; i < n * n; ++i) {
      a[i] = scramble(static_cast<std::uint32_t>(i));
      b[i] = scramble(static_cast<std::uint32_t>(i + n * n));
    }
  }
  block of(numbers& which) const { return {which.data(), size}; }
  std::uint64_t checksum() {
    std::uint64_t sum = 0;
    for (std::uint32_t& one : c) {
      sum += one;
      one = 0;
    }
    return sum;
  }
};

/// One of a list of jobs: some microseconds of work, 1 to 20 times as much.
[[gnu::noinline]] inline std::uint64_t flat_job(std::uint32_t number) {
  constexpr std::uint32_t least = 1'000;
  std::uint32_t value = number;
  for (std::uint32_t left = least * (1 + scramble(number) % 20); left != 0; --left)
    value = scramble(value + left);
  return value;
}

/// One problem, by the clock on the wall and by the processor time of all threads, per fork or
/// leaf.
template <class Work>
void measure_forks(const std::string& name, std::int64_t count, Work work) {
  measure((name + "_cpu").c_str(), count, [&](std::int64_t) { return work(); }, cpu_ns);
  measure((name + "_wall").c_str(), count, [&](std::int64_t) { return work(); }, wall_ns);
}

/// The problems in their sizes; `Side` offers fib(n), queens(n), skynet(leaves), multiply(m) and
/// flat(jobs).
template <class Side>
void measure_forkjoin(Side& side, bool is_small) {
  const int n = is_small ? 12 : 32;
  measure_forks("fib", calls_of_fib(n), [&] { return side.fib(n); });
  const int queens = is_small ? 6 : 11;
  measure_forks("queens", nodes_of_queens(board{}, 0, queens), [&] { return side.queens(queens); });
  const std::int64_t leaves = is_small ? 1'000 : 1'000'000;
  measure_forks("skynet", leaves, [&] { return side.skynet(leaves); });
  matrices of(is_small ? 64 : 512);
  const auto blocks = static_cast<std::int64_t>(of.size / matmul_leaf);
  measure_forks("matmul", blocks * blocks * blocks, [&] {
    side.multiply(of);
    return of.checksum();
  });
  const std::uint32_t jobs = is_small ? 20 : 1'000;
  measure_forks("flat", jobs, [&] { return side.flat(jobs); });
}

}  // namespace bench
