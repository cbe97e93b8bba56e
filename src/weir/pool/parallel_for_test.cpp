#include <weir/pool/parallel_for.hpp>

#include <weir/base/probe.hpp>
#include <weir/core.hpp>
#include <weir/pool/parallel_sort.hpp>
#include <weir/pool/pool.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>

#include <algorithm>
#include <cstddef>
#include <functional>
#include <limits>
#include <numeric>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

namespace weir::parallel_for_test {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;

WEIR_TEST("parallel_for calls its body once for every number") {
  pool cpu({.threads = 3});
  std::vector<int> calls(50);
  co_await cpu.run(parallel_for(0, 50, [&](int i) { ++calls[static_cast<std::size_t>(i)]; }));
  EXPECT_THAT(calls, Each(1));
  co_await cpu.run(
      parallel_for(0, 50, [&](int i) { ++calls[static_cast<std::size_t>(i)]; }, {.grain = 7}));
  EXPECT_THAT(calls, Each(2));
}

WEIR_TEST("parallel_for does nothing for an empty range, and knows the ends of a type") {
  pool cpu;
  std::vector<int> seen;
  co_await cpu.run(parallel_for(5, 5, [&](int i) { seen.push_back(i); }));
  co_await cpu.run(parallel_for(5, 3, [&](int i) { seen.push_back(i); }));
  EXPECT_TRUE(seen.empty());
  constexpr int least = std::numeric_limits<int>::min();
  co_await cpu.run(
      parallel_for(least, least + 2, [&](int i) { seen.push_back(i); }, {.grain = 10}));
  EXPECT_THAT(seen, ElementsAre(least, least + 1));
}

WEIR_TEST("an error of the body ends the loop, and all errors are one flat group") {
  pool cpu({.threads = 3});
  int calls = 0;
  const auto errors = co_await testing::errors_of(cpu.run(parallel_for(0, 40,
                                                                       [&](int i) {
                                                                         ++calls;
                                                                         if (i % 10 == 3)
                                                                           throw std::runtime_error(
                                                                               std::to_string(i));
                                                                       },
                                                                       {.grain = 2})));
  WEIR_REQUIRE(!errors.empty());
  EXPECT_LE(errors.size(), 4u);
  for (const std::string& one : errors) EXPECT_EQ(std::stoi(one) % 10, 3);
  EXPECT_LT(calls, 41);
  sometimes(calls < 20, "the rest was spared");
  sometimes(errors.size() > 1, "several failed");
}

WEIR_TEST("parallel_for_each gives every element by reference") {
  pool cpu;
  std::vector<int> numbers(30);
  std::iota(numbers.begin(), numbers.end(), 0);
  co_await cpu.run(parallel_for_each(numbers, [](int& one) { one *= 2; }));
  for (int i = 0; i < 30; ++i) EXPECT_EQ(numbers[static_cast<std::size_t>(i)], 2 * i);
  std::span<int> tail = std::span(numbers).subspan(28);
  co_await cpu.run(parallel_for_each(tail, [](int& one) { one = 0; }));
  EXPECT_EQ(numbers[27], 54);
  EXPECT_EQ(numbers[29], 0);
}

WEIR_TEST("parallel_reduce combines neighbours in their order") {
  pool cpu({.threads = 3});
  const std::string all = co_await cpu.run(parallel_reduce(
      0, 26, std::string(), [](int i) { return std::string(1, static_cast<char>('a' + i)); },
      [](std::string a, const std::string& b) { return std::move(a) + b; }, {.grain = 3}));
  EXPECT_EQ(all, "abcdefghijklmnopqrstuvwxyz");
  EXPECT_EQ(co_await cpu.run(parallel_reduce(
                7, 7, 42, [](int i) { return i; }, [](int a, int b) { return a + b; })),
            42);
}

WEIR_TEST("parallel_invoke gives the values of functions") {
  pool cpu;
  std::vector<int> log;
  auto [number, nothing] =
      co_await cpu.run(parallel_invoke([] { return 7; }, [&] { log.push_back(1); }));
  EXPECT_EQ(number, 7);
  EXPECT_EQ(nothing, unit{});
  co_await cpu.run(parallel_invoke([&] { log.push_back(1); }));
  EXPECT_THAT(log, ElementsAre(1, 1));
}

WEIR_TEST("an error in parallel_invoke is a group, and spares the functions that have not begun") {
  pool cpu;
  int calls = 0;
  auto fails = [&](const char* text) {
    ++calls;
    throw std::runtime_error(text);
  };
  int groups = 0;
  try {
    co_await cpu.run(parallel_invoke([&] { fails("a"); }, [&] { fails("b"); }, [&] { ++calls; }));
  } catch (const error_group& group) {
    ++groups;
    EXPECT_EQ(group.size(), 1u);
  }
  EXPECT_EQ(groups, 1);
  sometimes(calls == 1, "the others were spared");
}

std::vector<int> numbers_of(const char* shape, int count) {
  std::vector<int> made(static_cast<std::size_t>(count));
  for (int i = 0; i < count; ++i) {
    int& one = made[static_cast<std::size_t>(i)];
    switch (*shape) {
      case 'r':  // random: a multiplicative hash
        one = static_cast<int>(static_cast<unsigned>(i) * 2654435761u >> 8);
        break;
      case 'u':  // up
        one = i;
        break;
      case 'd':  // down
        one = count - i;
        break;
      case 'e':  // equal
        one = 1;
        break;
      default:  // few values
        one = i % 3;
    }
  }
  return made;
}

TEST(parallel_sort, sorts_whatever_its_input_looks_like) {
  testing::run_virtual([]() -> task<> {
    pool cpu({.threads = 3});
    for (const char* shape : {"random", "up", "down", "equal", "few"}) {
      for (const int count : {0, 1, 2, 15, 16, 17, 100, 3'000}) {
        std::vector<int> numbers = numbers_of(shape, count);
        std::vector<int> wanted = numbers;
        std::sort(wanted.begin(), wanted.end());
        co_await cpu.run(parallel_sort(numbers.begin(), numbers.end(),
                                       [](int a, int b) { return a < b; }, {.grain = 16}));
        EXPECT_EQ(numbers, wanted) << shape << " " << count;
      }
    }
    std::vector<int> numbers = numbers_of("random", 20'000);
    co_await cpu.run(parallel_sort(numbers.begin(), numbers.end()));
    EXPECT_TRUE(std::is_sorted(numbers.begin(), numbers.end()));
  }());
}

WEIR_TEST("a comparison that throws ends the sort with its error") {
  pool cpu;
  std::vector<int> numbers = numbers_of("random", 200);
  int calls = 0;
  const auto errors =
      co_await testing::errors_of(cpu.run(parallel_sort(numbers.begin(), numbers.end(),
                                                        [&](int a, int b) {
                                                          if (++calls == 500)
                                                            throw std::runtime_error("no order");
                                                          return a < b;
                                                        },
                                                        {.grain = 16})));
  EXPECT_THAT(errors, ElementsAre("no order"));
}

// Cancelled at any point, a call to the pool has ended: nobody writes to what its caller had lent,
// and the pool serves on.
template <class Begin>
task<> expect_ended(testing::victim& v, Begin begin) {
  pool cpu({.threads = 2});
  std::vector<int> lent(20);
  std::iota(lent.rbegin(), lent.rend(), 0);
  bool has_ended = false;
  co_await v.run(begin(&cpu, &lent, &has_ended));
  EXPECT_EQ(cpu.stats().waiting + cpu.stats().begun, 0u);
  EXPECT_TRUE(has_ended || v.was_cancelled());
  const std::vector<int> left = lent;
  co_await cpu.run([] {});
  EXPECT_EQ(lent, left);
}

TEST(parallel_for, cancelled_at_any_point_has_ended) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    co_await expect_ended(v, [](pool* on, std::vector<int>* all, bool* done) -> task<> {
      co_await on->run(parallel_for_each(*all, [](int& one) { ++one; }, {.grain = 4}));
      *done = true;
    });
  });
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    co_await expect_ended(v, [](pool* on, std::vector<int>* all, bool* done) -> task<> {
      const int sum = co_await on->run(parallel_reduce(std::size_t{0}, all->size(), 0,
                                                       [&](std::size_t i) { return (*all)[i]; },
                                                       std::plus<>(), {.grain = 4}));
      EXPECT_EQ(sum, 190);
      *done = true;
    });
  });
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    co_await expect_ended(v, [](pool* on, std::vector<int>* all, bool* done) -> task<> {
      const auto [first, second] = co_await on->run(
          parallel_invoke([=] { return (*all)[0] = 3; }, [=] { return (*all)[1] = 4; }));
      EXPECT_EQ(first + second, 7);
      *done = true;
    });
  });
}

TEST(parallel_sort, cancelled_at_any_point_has_ended) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    co_await expect_ended(v, [](pool* on, std::vector<int>* all, bool* done) -> task<> {
      co_await on->run(parallel_sort(all->begin(), all->end(), std::less<>(), {.grain = 4}));
      EXPECT_TRUE(std::ranges::is_sorted(*all));
      *done = true;
    });
  });
}

}  // namespace
}  // namespace weir::parallel_for_test
