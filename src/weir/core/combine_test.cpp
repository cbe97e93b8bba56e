#include <weir/core/combine.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/combine_kit_test.hpp>
#include <weir/core/sleep.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <variant>

namespace weir::combine_test {
namespace {

using namespace weir::combine_kit;
using namespace weir::literals;
using testing::elapsed;
using ::testing::ElementsAre;
using testing::errors_of;
using ::testing::HasSubstr;

/// Says when it is destroyed.
struct mark {
  std::string* log;
  char name;
  mark(std::string& to, char c) : log(&to), name(c) {}
  mark(const mark&) = delete;
  mark& operator=(const mark&) = delete;
  ~mark() { log->push_back(name); }
};

task<> marked_nap(std::string* log, char name, duration length) {
  const mark local(*log, name);
  co_await sleep(length);
  log->push_back('!');
}

WEIR_TEST("when_all gives all values in the order of the arguments, in the longest time") {
  auto [a, b, c] = co_await when_all(
      after(3_ms, 1), []() -> task<std::string> { co_return "two"; }(), nap(2_ms));
  EXPECT_EQ(a, 1);
  EXPECT_EQ(b, "two");
  EXPECT_EQ(c, unit());
  EXPECT_EQ(elapsed(), 3_ms);
}

WEIR_TEST("when_all moves values that can't be copied") {
  const auto make = [](int value) -> task<std::unique_ptr<int>> {
    co_return std::make_unique<int>(value);
  };
  auto [a, b] = co_await when_all(make(1), make(2));
  EXPECT_EQ(*a + *b, 3);
}

WEIR_TEST("when_all of nothing is done at once") {
  co_await when_all();
  EXPECT_EQ(elapsed(), 0_ms);
}

WEIR_TEST("the first error of when_all cancels the others and arrives alone") {
  std::string log;
  EXPECT_THAT(co_await errors_of(when_all(failing(1_ms, "first"), marked_nap(&log, 'c', 1_h))),
              ElementsAre(HasSubstr("first")));
  EXPECT_EQ(log, "c");
  EXPECT_EQ(elapsed(), 1_ms);
}

WEIR_TEST("errors of several branches of when_all arrive together") {
  const auto cleanup_fails = []() -> task<> {
    co_await as_result(nap(1_h));
    raise(error(errc::io, "second"));
  };
  EXPECT_THAT(co_await errors_of(when_all(failing(1_ms, "first"), cleanup_fails())),
              ElementsAre(HasSubstr("first"), HasSubstr("second")));
}

WEIR_TEST("when_any gives the value of the first, and the loser has ended by then") {
  std::string log;
  const auto loser = [](std::string* out) -> task<int> {
    const mark local(*out, 'l');
    co_await sleep(1_h);
    co_return 2;
  };
  EXPECT_EQ(co_await when_any(after(1_ms, 1), loser(&log)), 1);
  EXPECT_EQ(log, "l");
  EXPECT_EQ(elapsed(), 1_ms);
  EXPECT_EQ(loop::current()->stats().timers_live, 0u);
}

WEIR_TEST("when_any waits for a loser that takes its time to end") {
  const auto slow_end = []() -> task<int> {
    co_await shield(nap(7_ms));
    co_return 2;
  };
  EXPECT_EQ(co_await when_any(after(1_ms, 1), slow_end()), 1);
  EXPECT_EQ(elapsed(), 7_ms);
}

WEIR_TEST("when_any of several types gives a variant by position") {
  const std::variant<int, unit, std::string> winner =
      co_await when_any(after(5_ms, 1), nap(1_ms), []() -> task<std::string> {
        co_await sleep(3_ms);
        co_return "late";
      }());
  EXPECT_EQ(winner.index(), 1u);
}

WEIR_TEST("when_any without values says who won") {
  const auto winner = co_await when_any(nap(3_ms), nap(2_ms), nap(4_ms));
  EXPECT_EQ(winner.index(), 1u);
}

WEIR_TEST("when_any of two that are done in the same instant has one winner") {
  int sum = 0;
  for (int i = 0; i < 20; ++i) {
    const int winner = co_await when_any(after(1_ms, 1), after(1_ms, 2));
    EXPECT_TRUE(winner == 1 || winner == 2);
    sum += winner;
  }
  EXPECT_GE(sum, 20);
  EXPECT_EQ(elapsed(), 20_ms);
}

WEIR_TEST("the value of a loser that was already there is destroyed") {
  struct counted {
    int* balance;
    explicit counted(int* to) : balance(to) { ++*balance; }
    counted(counted&& other) noexcept : balance(other.balance) { ++*balance; }
    counted& operator=(counted&&) = delete;
    ~counted() { --*balance; }
  };
  int balance = 0;
  const auto make = [](int* to) -> task<counted> { co_return counted(to); };
  {
    const counted winner = co_await when_any(make(&balance), make(&balance), make(&balance));
    EXPECT_EQ(balance, 1);
  }
  EXPECT_EQ(balance, 0);
}

WEIR_TEST("if the first of when_any fails, its error arrives and the others are cancelled") {
  std::string log;
  EXPECT_THAT(co_await errors_of(when_any(failing(1_ms, "first"),
                                          [](std::string* out) -> task<int> {
                                            const mark local(*out, 'c');
                                            co_await sleep(1_h);
                                            co_return 1;
                                          }(&log))),
              ElementsAre(HasSubstr("first")));
  EXPECT_EQ(log, "c");
}

WEIR_TEST("cancelling around when_any and when_all ends all branches") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await when_any(marked_nap(&log, 'a', 1_h), marked_nap(&log, 'b', 1_h));
      log += '!';
    });
    s.spawn([&]() -> task<> {
      co_await when_all(marked_nap(&log, 'c', 1_h), marked_nap(&log, 'd', 1_h));
      log += '!';
    });
    co_await sleep(1_ms);
    s.cancel();
    co_return;
  });
  EXPECT_EQ(log.size(), 4u);
  EXPECT_EQ(log.find('!'), std::string::npos) << log;
}

WEIR_TEST("when_any inside when_all inside a time-out ends in time") {
  co_await testing::expect_raises<errc::timed_out>(with_timeout(5_ms, []() -> task<> {
    co_await when_all(nap(1_ms), []() -> task<> { co_await when_any(nap(1_h), nap(2_h)); }());
  }()));
  EXPECT_EQ(elapsed(), 5_ms);
}

WEIR_TEST("race returns the value of a loser that was there before its cancellation reached it") {
  const auto finishes_anyway = []() -> task<int> {
    co_await shield(nap(7_ms));
    co_return 2;
  };
  auto [first, second] = co_await race(after(1_ms, 1), finishes_anyway());
  EXPECT_EQ(*first, 1);
  EXPECT_EQ(*second, 2);
  auto [quick, slow] = co_await race(after(1_ms, 3), after(1_h, 4));
  EXPECT_EQ(*quick, 3);
  EXPECT_FALSE(slow);
}

WEIR_TEST("an error of a branch ends a race, and arrives in a group") {
  std::string log;
  EXPECT_THAT(co_await errors_of(race(failing(1_ms, "first"), marked_nap(&log, 'c', 1_h))),
              ElementsAre(HasSubstr("first")));
  EXPECT_EQ(log, "c");
}

WEIR_TEST("first_success passes over errors and cancels the rest") {
  std::string log;
  const auto loser = [](std::string* out) -> task<int> {
    const mark local(*out, 'l');
    co_await sleep(1_h);
    co_return 3;
  };
  EXPECT_EQ(co_await first_success(failing(1_ms, "down"), after(2_ms, 2), loser(&log)), 2);
  EXPECT_EQ(log, "l");
  EXPECT_EQ(elapsed(), 2_ms);
}

WEIR_TEST("first_success gives the value that was first, whatever the order of the arguments") {
  const auto finishes_anyway = []() -> task<int> {
    co_await shield(nap(7_ms));
    co_return 2;
  };
  EXPECT_EQ(co_await first_success(finishes_anyway(), after(1_ms, 1)), 1);
  EXPECT_EQ(elapsed(), 7_ms);
}

WEIR_TEST("first_success raises all errors in the order of the arguments when none succeeds") {
  EXPECT_THAT(co_await errors_of(first_success(failing(2_ms, "one"), failing(1_ms, "two"))),
              ElementsAre(HasSubstr("one"), HasSubstr("two")));
}

WEIR_TEST("first_success of several types gives a variant by position") {
  const std::variant<int, unit> winner = co_await first_success(failing(1_ms, "x"), nap(2_ms));
  EXPECT_EQ(winner.index(), 1u);
}

WEIR_TEST("all_settled gives every outcome and lets no error cancel a branch") {
  auto [value, failed, nothing] =
      co_await all_settled(after(5_ms, 1), failing(1_ms, "down"), nap(2_ms));
  EXPECT_EQ(*value, 1);
  EXPECT_TRUE(failed.failure());
  EXPECT_THAT(testing::texts_of(failed.failure()), ElementsAre(HasSubstr("down")));
  EXPECT_TRUE(nothing);
  EXPECT_EQ(elapsed(), 5_ms);
}

WEIR_TEST("cancelling around first_success, race and all_settled ends all branches") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await first_success(marked_nap(&log, 'a', 1_h), marked_nap(&log, 'b', 1_h));
      log += '!';
    });
    s.spawn([&]() -> task<> {
      co_await race(marked_nap(&log, 'c', 1_h), marked_nap(&log, 'd', 1_h));
      log += '!';
    });
    s.spawn([&]() -> task<> {
      co_await all_settled(marked_nap(&log, 'e', 1_h), marked_nap(&log, 'f', 1_h));
      log += '!';
    });
    co_await sleep(1_ms);
    s.cancel();
  });
  EXPECT_EQ(log.size(), 6u);
  EXPECT_EQ(log.find('!'), std::string::npos) << log;
}

task<int> giving_up(duration after) {
  co_await sleep(after);
  scope::current()->cancel("not needed any more");
  co_await sleep(1_h);
  co_return 1;
}

WEIR_TEST("a branch that cancels the scope around it ends the whole as cancelled") {
  co_await testing::expect_raises<errc::cancelled>(when_any(giving_up(1_ms), after(1_h, 2)));
  co_await testing::expect_raises<errc::cancelled>(when_any(giving_up(1_ms), nap(1_h)));
  co_await testing::expect_raises<errc::cancelled>(race(giving_up(1_ms), nap(1_h)));
  co_await testing::expect_raises<errc::cancelled>(first_success(giving_up(1_ms), after(1_h, 2)));
  co_await testing::expect_raises<errc::cancelled>(when_all(giving_up(1_ms), nap(1_h)));
  EXPECT_EQ(elapsed(), 5_ms);
}

WEIR_TEST("failures that were there before a branch cancelled first_success are what it raises") {
  EXPECT_THAT(co_await errors_of(first_success(failing(1_ms, "before"), giving_up(2_ms))),
              ElementsAre(HasSubstr("before")));
}

WEIR_TEST("a loser that fails while it is cancelled is heard, and the winner's value is lost") {
  const auto fails_late = []() -> task<int> {
    EXPECT_FALSE(co_await as_result(sleep(1_h)));
    raise(error(errc::broken, "its cleanup"));
  };
  EXPECT_THAT(co_await errors_of(when_any(after(1_ms, 1), fails_late())),
              ElementsAre(HasSubstr("its cleanup")));
}

}  // namespace
}  // namespace weir::combine_test
