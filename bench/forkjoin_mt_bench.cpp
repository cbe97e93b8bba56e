// What a fork costs: fib, queens, skynet, a product of matrices and a list of jobs that fork
// nothing, on a pool of two threads.
#include <weir/pool/fork.hpp>

#include <weir/core.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/pool/pool.hpp>

#include "forkjoin_problems.hpp"

namespace {

using bench::block;
using bench::board;

weir::job<std::uint64_t> fib(int n) {
  if (n < 2) co_return static_cast<std::uint64_t>(n);
  auto [a, b] = co_await weir::fork(fib(n - 1), fib(n - 2));
  co_return a + b;
}

weir::job<std::uint64_t> queens(board on, int row, int n) {
  if (row == n) co_return 1;
  weir::fork_list<std::uint64_t> rest;
  for (int at = 0; at < n; ++at) {
    if (on.can_take(row, at)) rest.fork(queens(on.with(row, at), row + 1, n));
  }
  co_await rest.join();
  std::uint64_t found = 0;
  rest.each([&](std::uint64_t one) { found += one; });
  co_return found;
}

weir::job<std::uint64_t> skynet(std::uint64_t number, std::int64_t leaves) {
  if (leaves == 1) co_return number;
  weir::fork_list<std::uint64_t> children;
  const std::int64_t each = leaves / bench::skynet_fan;
  for (std::int64_t i = 0; i < bench::skynet_fan; ++i)
    children.fork(skynet(number + static_cast<std::uint64_t>(i * each), each));
  co_await children.join();
  std::uint64_t sum = 0;
  children.each([&](std::uint64_t one) { sum += one; });
  co_return sum;
}

weir::job<> multiply(block a, block b, block c, std::size_t size) {
  if (size <= bench::matmul_leaf) {
    bench::multiply_leaf(a, b, c, size);
    co_return;
  }
  const std::size_t h = size / 2;
  co_await weir::fork(multiply(a, b, c, h), multiply(a, b.at(0, h), c.at(0, h), h),
                      multiply(a.at(h, 0), b, c.at(h, 0), h),
                      multiply(a.at(h, 0), b.at(0, h), c.at(h, h), h));
  co_await weir::fork(multiply(a.at(0, h), b.at(h, 0), c, h),
                      multiply(a.at(0, h), b.at(h, h), c.at(0, h), h),
                      multiply(a.at(h, h), b.at(h, 0), c.at(h, 0), h),
                      multiply(a.at(h, h), b.at(h, h), c.at(h, h), h));
}

weir::job<std::uint64_t> flat_job(std::uint32_t number) { co_return bench::flat_job(number); }
weir::job<std::uint64_t> flat(std::uint32_t jobs) {
  weir::fork_list<std::uint64_t> all;
  for (std::uint32_t i = 0; i < jobs; ++i) all.fork(flat_job(i));
  co_await all.join();
  std::uint64_t sum = 0;
  all.each([&](std::uint64_t one) { sum += one; });
  co_return sum;
}

struct weir_side {
  weir::driver& io;
  weir::pool pool{{.threads = bench::forkjoin_threads}};

  template <class T>
  T run(weir::job<T> work) {
    return weir::run_on(io, pool.run(std::move(work)));
  }
  std::uint64_t fib(int n) { return run(::fib(n)); }
  std::uint64_t queens(int n) { return run(::queens(board{}, 0, n)); }
  std::uint64_t skynet(std::int64_t leaves) { return run(::skynet(0, leaves)); }
  std::uint64_t flat(std::uint32_t jobs) { return run(::flat(jobs)); }
  void multiply(bench::matrices& m) { run(::multiply(m.of(m.a), m.of(m.b), m.of(m.c), m.size)); }
};

// A call that does nothing: what it costs to go to the pool and come back.
weir::task<> call_many(weir::pool& on, std::int64_t count, std::uint64_t& sum) {
  for (std::int64_t i = 0; i < count; ++i)
    sum += co_await on.run([i] { return static_cast<std::uint64_t>(i); });
}
std::uint64_t call_many(weir_side& side, std::int64_t count) {
  std::uint64_t sum = 0;
  weir::run_on(side.io, call_many(side.pool, count, sum));
  return sum;
}

}  // namespace

int main(int argc, char** argv) {
  const auto io = weir::make_driver();
  weir_side side{*io};
  const bool is_small = bench::is_small(argc, argv);
  bench::measure_forkjoin(side, is_small);
  const auto call = [&](std::int64_t n) { return call_many(side, n); };
  bench::measure("run_cpu", is_small ? 100 : 20'000, call, bench::cpu_ns);
  bench::measure("run_wall", is_small ? 100 : 20'000, call, bench::wall_ns);
}
