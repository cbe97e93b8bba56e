#include <weir/core/generator.hpp>

#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/cancel_points.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weir::generator_test {
namespace {

using namespace weir::literals;
using testing::elapsed;

generator<int> count_to(int last) {
  for (int i = 1; i <= last; ++i) co_yield i;
}
generator<int> slowly(int last) {
  for (int i = 1; i <= last; ++i) {
    co_await sleep(1_ms);
    co_yield i;
  }
}
struct mark {
  std::string* log;
  char name;
  mark(std::string* to, char c) : log(to), name(c) {}
  mark(const mark&) = delete;
  mark& operator=(const mark&) = delete;
  ~mark() { log->push_back(name); }
};
generator<int> marked(std::string* log) {
  const mark local(log, 'g');
  co_yield 1;
  co_await sleep(1_h);
  co_yield 2;
}

WEIR_TEST("a generator gives its values one by one and then nothing") {
  std::vector<int> got;
  auto numbers = count_to(3);
  while (auto item = co_await numbers.next()) got.push_back(*item);
  EXPECT_EQ(got, (std::vector<int>{1, 2, 3}));
  EXPECT_EQ(co_await numbers.next(), std::nullopt);
}

WEIR_TEST(
    "a generator that has ended spends the step's budget, so asking it again starves nobody") {
  auto none = count_to(0);
  bool has_run = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](bool* ran) -> task<> {
          *ran = true;
          co_return;
        },
        &has_run);
    for (int i = 0; i < 10'000 && !has_run; ++i) EXPECT_EQ(co_await none.next(), std::nullopt);
    EXPECT_TRUE(has_run);
  });
}

WEIR_TEST("a generator waits between its values, and only while it is asked (W2)") {
  auto numbers = slowly(3);
  EXPECT_EQ(co_await numbers.next(), 1);
  EXPECT_EQ(elapsed(), 1_ms);
  co_await sleep(10_ms);
  EXPECT_EQ(co_await numbers.next(), 2);
  EXPECT_EQ(elapsed(), 12_ms) << "nothing ran ahead";
}

WEIR_TEST("values that can't be copied are moved out") {
  const auto make = []() -> generator<std::unique_ptr<int>> {
    co_yield std::make_unique<int>(1);
    co_yield std::make_unique<int>(2);
  };
  auto all = make();
  int sum = 0;
  while (auto item = co_await all.next()) sum += **item;
  EXPECT_EQ(sum, 3);
}

WEIR_TEST("an error of the body is raised by next(), and after it the values are over") {
  const auto fails = []() -> generator<int> {
    co_yield 1;
    co_await sleep(1_ms);
    raise(error(errc::not_found));
  };
  auto numbers = fails();
  EXPECT_EQ(co_await numbers.next(), 1);
  co_await testing::expect_raises<errc::not_found>(numbers.next());
  EXPECT_EQ(co_await numbers.next(), std::nullopt);
}

WEIR_TEST("a generator that is dropped between two values runs its destructors") {
  std::string log;
  {
    auto numbers = marked(&log);
    EXPECT_EQ(co_await numbers.next(), 1);
    EXPECT_EQ(log, "");
  }
  EXPECT_EQ(log, "g");
}

WEIR_TEST("a time-out inside the body ends the generator, and it says so") {
  std::string log;
  auto numbers = marked(&log);
  EXPECT_EQ(co_await numbers.next(), 1);
  co_await testing::expect_raises<errc::timed_out>(with_timeout(1_ms, numbers.next()));
  EXPECT_EQ(log, "g");
  co_await testing::expect_raises<errc::cancelled>(numbers.next());
}

WEIR_TEST("cancelling the consumer ends both, the generator first") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](std::string* out) -> task<> {
          const mark local(out, 'c');
          auto numbers = marked(out);
          while (co_await numbers.next()) {
          }
          *out += '!';
        },
        &log);
    co_await sleep(1_ms);
    s.cancel();
  });
  EXPECT_EQ(log, "gc");
}

WEIR_TEST("generators can ask generators") {
  const auto doubled = [](generator<int> from) -> generator<int> {
    while (auto item = co_await from.next()) co_yield 2 * *item;
  };
  auto numbers = doubled(doubled(slowly(3)));
  int sum = 0;
  while (auto item = co_await numbers.next()) sum += *item;
  EXPECT_EQ(sum, 4 * 6);
}

WEIR_TEST("a long loop over a generator lets others run") {
  bool other_ran = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [](bool* flag) -> task<> {
          *flag = true;
          co_return;
        },
        &other_ran);
    auto numbers = count_to(100'000);
    int asked = 0;
    while (!other_ran && co_await numbers.next()) ++asked;
    EXPECT_LT(asked, 1000);
    EXPECT_EQ(*(co_await numbers.next()), asked + 1) << "a turn given away loses no value";
  });
}

TEST(Generator, loses_no_value_when_its_consumer_is_cancelled_between_two) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    auto numbers = count_to(5);
    int last = 0;
    co_await v.run([](generator<int>* from, int* seen) -> task<> {
      while (auto item = co_await from->next()) {
        EXPECT_EQ(*item, *seen + 1);
        *seen = *item;
        co_await yield();
      }
    }(&numbers, &last));
    // The body itself never waits, so it is whole: the rest is still there.
    while (auto item = co_await numbers.next()) {
      EXPECT_EQ(*item, last + 1);
      last = *item;
    }
    EXPECT_EQ(last, 5);
  });
}

}  // namespace
}  // namespace weir::generator_test
