// Work for the processor, one function for each way to have it done beside the loop;
// docs/guide/parallel.md shows them. It runs to its end by itself.
#include <weir/io.hpp>
#include <weir/pool/fork.hpp>
#include <weir/pool/parallel_for.hpp>
#include <weir/pool/parallel_sort.hpp>
#include <weir/pool/pool.hpp>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

using namespace weir::literals;

namespace {

// [run]
std::uint32_t checksum(const std::string& text) {
  std::uint32_t sum = 2166136261u;
  for (const char c : text) sum = (sum ^ static_cast<unsigned char>(c)) * 16777619u;
  return sum;
}
weir::task<> one_long_call(weir::pool& cpu) {
  const std::string file(1'000'000, 'x');
  const std::uint32_t sum = co_await cpu.run([&] { return checksum(file); });
  std::printf("checksum: %u\n", sum);
}
// [/run]

// [fork]
weir::job<std::uint64_t> fib(int n) {
  if (n < 2) co_return static_cast<std::uint64_t>(n);
  auto [a, b] = co_await weir::fork(fib(n - 1), fib(n - 2));
  co_return a + b;
}
weir::task<> divide_and_conquer(weir::pool& cpu) {
  std::printf("fib(25): %lu\n", co_await cpu.run(fib(25)));
}
// [/fork]

// [list]
weir::job<int> queens(std::vector<int> columns, int n) {
  const int row = static_cast<int>(columns.size());
  if (row == n) co_return 1;
  weir::fork_list<int> rest;
  for (int at = 0; at < n; ++at) {
    bool is_free = true;
    for (int i = 0; i < row; ++i) {
      const int other = columns[static_cast<std::size_t>(i)];
      is_free = is_free && other != at && other - at != row - i && at - other != row - i;
    }
    if (!is_free) continue;
    std::vector<int> next = columns;
    next.push_back(at);
    rest.fork(queens(std::move(next), n));
  }
  co_await rest.join();
  int found = 0;
  rest.each([&](int one) { found += one; });
  co_return found;
}
weir::task<> as_many_as_there_are(weir::pool& cpu) {
  std::printf("queens(8): %d\n", co_await cpu.run(queens({}, 8)));
}
// [/list]

// [loops]
weir::task<> loops(weir::pool& cpu) {
  std::vector<std::int64_t> numbers(100'000);
  co_await cpu.run(weir::parallel_for(std::size_t{0}, numbers.size(), [&](std::size_t i) {
    numbers[i] = static_cast<std::int64_t>(i * 7919 % 100'003);
  }));
  co_await cpu.run(weir::parallel_sort(numbers.begin(), numbers.end()));
  const std::int64_t sum = co_await cpu.run(weir::parallel_reduce(
      std::size_t{0}, numbers.size(), std::int64_t{0}, [&](std::size_t i) { return numbers[i]; },
      [](std::int64_t a, std::int64_t b) { return a + b; }));
  std::printf("least: %ld, sum: %ld\n", numbers.front(), sum);
}
// [/loops]

// [invoke]
weir::task<> different_things_at_once(weir::pool& cpu) {
  std::vector<std::string> words{"weir", "lock", "sluice", "mill"};
  const auto [sum, longest, nothing] = co_await cpu.run(
      weir::parallel_invoke([] { return checksum(std::string(100'000, 'y')); },
                            [&] { return std::ranges::max(words, {}, &std::string::size).size(); },
                            [] {}));  // unit stands for the value that it does not give
  std::printf("checksum: %u, longest: %zu\n", sum, longest);
  co_await cpu.run(weir::parallel_for_each(words, [](std::string& word) { word += '!'; }));
  std::printf("%s %s\n", words.front().c_str(), words.back().c_str());
}
// [/invoke]

// [errors]
weir::task<> errors(weir::pool& cpu) {
  try {
    co_await cpu.run(weir::parallel_for(0, 1000, [](int i) {
      if (i == 500) throw std::runtime_error("500 is not to my taste");
    }));
  } catch (const weir::error_group& group) {
    std::printf("%d error\n", static_cast<int>(group.size()));
  }
}
// [/errors]

// [cancel]
weir::task<> cancelled(weir::pool& cpu) {
  const auto late = co_await weir::as_result(weir::with_timeout(10_ms, cpu.run(fib(60))));
  std::printf("fib(60): %s\n", late ? "done" : "timed out");
}
// [/cancel]

// [ask]
weir::task<> a_function_that_asks(weir::pool& cpu) {
  std::uint64_t pieces = 0;
  co_await weir::as_result(weir::with_timeout(10_ms, cpu.run([&] {
    while (!weir::is_work_cancelled()) ++pieces;
  })));
  std::puts("a function without an await stopped when it was asked to");
}
// [/ask]

// [background]
weir::task<> background(weir::pool& cpu) {
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    s.spawn([&]() -> weir::task<> { co_await cpu.run(fib(20), weir::priority::background); });
    std::printf("meanwhile: %lu\n", co_await cpu.run(fib(10)));
  });
}
// [/background]

weir::task<> tour() {
  weir::pool cpu({.name = "cpu"});  // its threads start with the first call
  co_await one_long_call(cpu);
  co_await divide_and_conquer(cpu);
  co_await as_many_as_there_are(cpu);
  co_await loops(cpu);
  co_await different_things_at_once(cpu);
  co_await errors(cpu);
  co_await cancelled(cpu);
  co_await a_function_that_asks(cpu);
  co_await background(cpu);
}

}  // namespace

int main() { return weir::run(tour()); }
