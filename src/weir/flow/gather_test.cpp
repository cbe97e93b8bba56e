#include <weir/flow/gather.hpp>

#include <weir/core.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <variant>
#include <vector>

namespace weir::gather_test {
namespace {

using namespace weir::literals;

WEIR_TEST("all gives every value in the order of its futures, whatever order they came in") {
  promise<int> number;
  promise<std::unique_ptr<std::string>> text;
  promise<> nothing;
  auto together = all(number.get_future(), text.get_future(), nothing.get_future());
  nothing.resolve();
  text.resolve(std::make_unique<std::string>("two"));
  EXPECT_FALSE(together.is_ready());
  number.resolve(1);
  auto [first, second, third] = co_await together;
  EXPECT_EQ(first, 1);
  EXPECT_EQ(*second, "two");
  EXPECT_EQ(third, unit{});

  std::vector<promise<int>> several(3);
  std::vector<future<int>> futures;
  for (promise<int>& one : several) futures.push_back(one.get_future());
  auto listed = all(std::move(futures));
  for (int i : {2, 0, 1}) several[static_cast<std::size_t>(i)].resolve(10 * i);
  EXPECT_EQ(co_await listed, (std::vector<int>{0, 10, 20}));
  EXPECT_TRUE((co_await all(std::vector<future<int>>())).empty());
}

WEIR_TEST("all is rejected at the first error, and later ones are known to have been met") {
  promise<int> slow;
  promise<int> late;
  auto together = all(slow.get_future(), rejected_future<int>(errc::refused), late.get_future());
  EXPECT_TRUE(together.is_ready());
  late.reject(errc::io);
  co_await testing::expect_raises<errc::refused>(std::move(together));
  slow.resolve(1);
}

WEIR_TEST("all_settled waits for every end and gives values and errors") {
  promise<int> slow;
  auto ends = all_settled(slow.get_future(), rejected_future(errc::refused), resolved_future(3));
  EXPECT_FALSE(ends.is_ready());
  slow.reject(errc::io);
  auto [one, other, third] = co_await ends;
  EXPECT_TRUE(one.failure() && other.failure());
  EXPECT_EQ(*third, 3);
  std::vector<shared_future<std::string>> same(2, resolved_future(std::string("x")).share());
  auto texts = co_await all_settled(same);
  EXPECT_EQ(*texts[0] + *texts[1], "xx");
  EXPECT_EQ(co_await same[0], "x") << "copied";
}

WEIR_TEST("any gives the first value and counts errors only when there is nothing else") {
  promise<int> slow;
  auto first = any(rejected_future<int>(errc::refused), slow.get_future(), resolved_future(3));
  EXPECT_EQ(co_await first, 3);
  slow.resolve(1);
  auto mixed = any(rejected_future<int>(errc::refused), resolved_future(std::string("text")));
  EXPECT_EQ(std::get<1>(co_await mixed), "text");
  auto none = any(rejected_future<int>(errc::refused), rejected_future<int>(errc::io));
  try {
    co_await none;
    ADD_FAILURE() << "none has a value";
  } catch (const error_group& group) {
    EXPECT_EQ(group.size(), 2u);
    EXPECT_EQ(testing::texts_of(group.first()).at(0).find("refused"), 0u);
    EXPECT_EQ(std::string(group.what()).find("scope"), std::string::npos) << "there was none";
  }
  co_await testing::expect_raises<errc::invalid_argument>(any(std::vector<future<int>>()));
}

TEST(Gather, any_of_futures_that_fail_on_a_thread_without_a_loop_is_rejected_there) {
  promise<int> one;
  promise<int> other;
  auto none = any(one.get_future(), other.get_future());
  std::thread([&] {
    one.reject(errc::io);
    other.reject(errc::busy);
  }).join();
  try {
    none.get();
    FAIL() << "none has a value";
  } catch (const error_group& group) {
    EXPECT_EQ(group.size(), 2u);
  }
}

WEIR_TEST("race takes the first outcome, value or error") {
  promise<int> slow;
  EXPECT_EQ(co_await race(slow.get_future(), resolved_future(2)), 2);
  slow.reject(errc::io);
  promise<int> second;
  auto failed = race(second.get_future(), rejected_future<int>(errc::busy));
  co_await testing::expect_raises<errc::busy>(std::move(failed));
  auto mixed = race(promise<std::string>().get_future().catch_error(
                        [](const error&) { return std::string("late"); }),
                    resolved_future());
  EXPECT_EQ((co_await mixed).index(), 1u);
  std::vector<future<int>> several;
  several.push_back(resolved_future(7));
  EXPECT_EQ(co_await race(std::move(several)), 7);
  co_await testing::expect_raises<errc::invalid_argument>(race(std::vector<future<int>>()));
}

WEIR_TEST(
    "what has been decided keeps nothing of futures that are pending, and hears no error of them") {
  for (const bool is_first : {false, true}) {
    for (const bool is_ready : {false, true}) {
      promise<int> winner;
      promise<int> loser;
      promise<int> never;
      const shared_future<int> stopped = never.get_future().share();
      if (is_ready) winner.resolve(1);
      auto one = is_first ? race(winner.get_future(), loser.get_future())
                          : race(loser.get_future(), winner.get_future());
      promise<int> bad;
      promise<int> other;
      auto both = all(shared_future<int>(stopped), bad.get_future(), other.get_future());
      if (!is_ready) winner.resolve(1);
      bad.reject(error(errc::refused));
      EXPECT_EQ(co_await one, 1);
      EXPECT_FALSE(loser.is_wanted());
      co_await testing::expect_raises<errc::refused>(std::move(both));
      EXPECT_FALSE(other.is_wanted());
      loser.reject(error(errc::busy));
      other.reject(error(errc::busy));
    }
  }
}

WEIR_TEST("a future that stays pending holds nothing of the races that it has lost") {
  promise<std::shared_ptr<int>> stop;
  const shared_future<std::shared_ptr<int>> stopped = stop.get_future().share();
  std::weak_ptr<int> seen;
  {
    promise<std::shared_ptr<int>> made;
    shared_future<std::shared_ptr<int>> ready = made.get_future().share();
    made.resolve(std::make_shared<int>(1));
    seen = co_await race(shared_future<std::shared_ptr<int>>(stopped), std::move(ready));
  }
  EXPECT_TRUE(seen.expired());
}

WEIR_TEST("a value that can't be copied rejects what gathers it") {
  struct refuses_copies {
    refuses_copies() = default;
    refuses_copies(refuses_copies&&) noexcept = default;
    refuses_copies(const refuses_copies&) { raise(error(errc::too_large)); }
    refuses_copies& operator=(const refuses_copies&) = delete;
    ~refuses_copies() = default;
  };
  shared_future<refuses_copies> source = resolved_future(refuses_copies());
  co_await testing::expect_raises<errc::too_large>(
      [](future<std::tuple<refuses_copies>> from) -> task<> { co_await from; }(all(source)));
  co_await testing::expect_raises<errc::too_large>(
      [](future<refuses_copies> from) -> task<> { co_await from; }(race(source)));
}

TEST(CrossGather, futures_settled_by_several_threads_at_once_come_together) {
  for (int round = 0; round < 100; ++round) {
    std::vector<promise<int>> several(8);
    std::vector<shared_future<int>> shared;
    for (promise<int>& one : several) shared.push_back(one.get_future());
    auto everything = all(shared);
    auto first = race(shared);
    auto ends = all_settled(std::move(shared));
    std::vector<std::thread> threads;
    for (int t = 0; t < 2; ++t) {
      threads.emplace_back([&several, t] {
        for (std::size_t i = static_cast<std::size_t>(t); i < several.size(); i += 2)
          several[i].resolve(static_cast<int>(i));
      });
    }
    const std::vector<int> values = everything.get();
    const int winner = first.get();
    EXPECT_EQ(ends.get().size(), 8u);
    for (std::thread& one : threads) one.join();
    EXPECT_EQ(values, (std::vector<int>{0, 1, 2, 3, 4, 5, 6, 7}));
    EXPECT_TRUE(winner >= 0 && winner < 8);
  }
}

TEST(CrossGather, losers_are_let_go_while_other_threads_settle_them) {
  for (int round = 0; round < 100; ++round) {
    std::vector<promise<int>> several(4);
    std::thread other([&several] {
      for (promise<int>& one : several) one.resolve(1);
    });
    std::vector<future<int>> given;
    for (promise<int>& one : several) given.push_back(one.get_future());
    promise<int> never;
    given.push_back(never.get_future());
    auto first = race(std::move(given));
    EXPECT_EQ(first.get(), 1);
    other.join();
    EXPECT_FALSE(never.is_wanted());
  }
}

}  // namespace
}  // namespace weir::gather_test
