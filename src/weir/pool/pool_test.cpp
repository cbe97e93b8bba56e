// The pool in the virtual world, where the loop plays its threads: which job runs when, and who
// steals from whom, is explored.
#include <weir/pool/pool.hpp>

#include <weir/base/probe.hpp>
#include <weir/core.hpp>
#include <weir/core/dump.hpp>
#include <weir/core/local.hpp>
#include <weir/core/string_sink.hpp>
#include <weir/pool/fork.hpp>
#include <weir/testing/cancel_points.hpp>

#include <gmock/gmock.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::pool_test {
namespace {

using namespace weir::literals;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

job<int> fib(int n) {
  if (n < 2) co_return n;
  auto [a, b] = co_await fork(fib(n - 1), fib(n - 2));
  co_return a + b;
}

WEIR_TEST("a function runs on the pool, and its value or error comes back (K4)") {
  pool cpu;
  EXPECT_EQ(co_await cpu.run([] { return 42; }), 42);
  auto owned = co_await cpu.run([] { return std::make_unique<int>(7); });
  EXPECT_EQ(*owned, 7);
  bool ran = false;
  co_await cpu.run([&] { ran = true; });
  EXPECT_TRUE(ran);
  std::string said;
  try {
    co_await cpu.run([] { throw std::runtime_error("no luck"); });
  } catch (const std::runtime_error& e) {
    said = e.what();
  }
  EXPECT_EQ(said, "no luck");
  EXPECT_EQ(cpu.stats().ended, 4u);
}

WEIR_TEST("a job forks others and joins them, whoever runs them (K9)") {
  pool cpu({.threads = 3});
  EXPECT_EQ(co_await cpu.run(fib(10)), 55);
  sometimes(cpu.stats().stolen != 0, "a job is stolen");
  EXPECT_EQ(cpu.stats().begun, 0u);
}

job<int> plus_one(int n) { co_return n + 1; }
job<std::string> text() { co_return "text"; }
job<> note(std::vector<int>* into, int what) {
  into->push_back(what);
  co_return;
}

job<int> awaits_in_a_row() {
  const int one = co_await plus_one(0);
  const int two = co_await plus_one(one);
  co_return co_await plus_one(two);
}
constinit const local<int> tenant{"tenant"};

job<int> its_tenant() { co_return tenant.get() ? *tenant.get() : 0; }
job<int> tenants_of_both() {
  auto [first, second] = co_await fork(its_tenant(), its_tenant());
  co_return first * 10 + second;
}

WEIR_TEST("jobs have the values of scopes of whoever waits for them, on whichever thread") {
  pool cpu;
  EXPECT_EQ(co_await cpu.run(tenants_of_both()), 0);
  auto [ada, bob] = co_await when_all(with_local(tenant, 1, cpu.run(tenants_of_both())),
                                      with_local(tenant, 2, cpu.run(tenants_of_both())));
  EXPECT_EQ(ada, 11);
  EXPECT_EQ(bob, 22);
  EXPECT_EQ(co_await cpu.run([] { return tenant.get(); }), nullptr);
}

WEIR_TEST("a job that awaits another goes on with its value, on whichever thread") {
  pool cpu;
  EXPECT_EQ(co_await cpu.run(awaits_in_a_row()), 3);
}

job<std::string> mixed(std::vector<int>* log) {
  auto [number, nothing, word] = co_await fork(plus_one(1), note(log, 5), text());
  EXPECT_EQ(nothing, unit{});
  co_return word + std::to_string(number);
}
WEIR_TEST("a fork gives values of several types, and unit for none") {
  pool cpu;
  std::vector<int> log;
  EXPECT_EQ(co_await cpu.run(mixed(&log)), "text2");
  EXPECT_THAT(log, ElementsAre(5));
}

job<std::vector<int>> list_of(int count) {
  fork_list<int> all;
  for (int i = 0; i < count; ++i) all.fork(plus_one(i));
  EXPECT_EQ(all.size(), count);
  co_await all.join();
  std::vector<int> values;
  all.each([&](int one) { values.push_back(one); });
  co_return values;
}
WEIR_TEST("a fork_list gives its values in the order in which the jobs were added") {
  pool cpu;
  EXPECT_THAT(co_await cpu.run(list_of(4)), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(co_await cpu.run(list_of(1)), ElementsAre(1));
  EXPECT_THAT(co_await cpu.run(list_of(0)), ElementsAre());
}

TEST(pool, runs_more_jobs_than_a_deque_holds) {
  testing::run_virtual([]() -> task<> {
    pool cpu;
    const std::vector<int> values = co_await cpu.run(list_of(5000));
    EXPECT_EQ(values.size(), 5000u);
    for (int i = 0; i < 5000; ++i) EXPECT_EQ(values[static_cast<std::size_t>(i)], i + 1);
  }());
}

// Errors.

job<int> fails(const char* text) {
  co_await fork(plus_one(0), plus_one(1));
  throw std::runtime_error(text);
}
job<int> two_fail(int* begun) {
  ++*begun;
  auto [a, b, c] = co_await fork(fails("one"), plus_one(1), fails("two"));
  ADD_FAILURE() << "went on after a fork that failed";
  co_return a + b + c;
}
WEIR_TEST("errors of forked jobs arrive as one group, the first one first") {
  pool cpu;
  int begun = 0;
  const auto errors = co_await testing::errors_of(cpu.run(two_fail(&begun)));
  WEIR_REQUIRE(!errors.empty());
  EXPECT_EQ(begun, 1);
  EXPECT_LE(errors.size(), 2u);
  EXPECT_THAT(errors[0], ::testing::AnyOf("one", "two"));
  sometimes(errors[0] == "two", "the second failed first");
}

struct live {
  int* count;
  explicit live(int* of) : count(of) { ++*count; }
  live(const live&) = delete;
  live& operator=(const live&) = delete;
  ~live() { --*count; }
};
job<int> deep(int depth, int* living, int* leaves) {
  const live here(living);
  if (depth == 0) {
    ++*leaves;
    co_return 1;
  }
  auto [a, b] = co_await fork(deep(depth - 1, living, leaves), deep(depth - 1, living, leaves));
  co_return a + b;
}
job<int> fails_beside(int* living, int* leaves) {
  auto [a, b] = co_await fork(fails("early"), deep(4, living, leaves));
  co_return a + b;
}
struct throws_at_the_end {
  ~throws_at_the_end() noexcept(false) { throw std::runtime_error("late"); }
};
job<std::shared_ptr<int>> fails_after_its_value(std::shared_ptr<int> value) {
  const throws_at_the_end last;
  co_return value;
}
job<> forks_one_that_fails_late(std::shared_ptr<int> value) {
  co_await fork(fails_after_its_value(value), fails_after_its_value(value)).flat();
}

WEIR_TEST("an error after the value takes the value's place") {
  pool cpu;
  const auto value = std::make_shared<int>(1);
  const auto called = co_await testing::errors_of(cpu.run(fails_after_its_value(value)));
  EXPECT_THAT(called, ElementsAre("late"));
  const auto forked = co_await testing::errors_of(cpu.run(forks_one_that_fails_late(value)));
  WEIR_REQUIRE(!forked.empty());
  EXPECT_EQ(forked[0], "late");
  EXPECT_EQ(value.use_count(), 1) << "the values were dropped";
}

WEIR_TEST(
    "the first error ends the jobs beside it at their next awaits, or before they begin (K7)") {
  pool cpu;
  int living = 0;
  int leaves = 0;
  const auto errors = co_await testing::errors_of(cpu.run(fails_beside(&living, &leaves)));
  EXPECT_THAT(errors, ElementsAre("early"));
  EXPECT_EQ(living, 0) << "all of them have ended before the error is told";
  sometimes(leaves == 0, "nothing beside the error has begun");
  sometimes(leaves > 0 && leaves < 16, "a part was");
}

job<int> catches() {
  try {
    co_await fork(fails("caught"), plus_one(1));
  } catch (const error_group& group) {
    EXPECT_EQ(group.size(), 1u);
  }
  auto [a, b] = co_await fork(plus_one(1), plus_one(2));
  co_return a + b;
}
WEIR_TEST("a job that catches the errors of a fork goes on and may fork again") {
  pool cpu;
  EXPECT_EQ(co_await cpu.run(catches()), 5);
}

job<int> flat_within(int* begun) {
  auto [a, b] = co_await fork(two_fail(begun), plus_one(1)).flat();
  co_return a + b;
}
WEIR_TEST("a flat fork takes the errors of a group as its own") {
  pool cpu;
  int begun = 0;
  const auto errors = co_await testing::errors_of(cpu.run(flat_within(&begun)));
  WEIR_REQUIRE(!errors.empty());
  EXPECT_THAT(errors[0], ::testing::AnyOf("one", "two"));
}

// Cancellation.

WEIR_TEST("a call that was cancelled before a thread had it never begins") {
  pool cpu({.threads = 1});
  bool has_begun = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await cpu.run([&] { has_begun = true; }); });
    s.cancel("at once");
    co_return;
  });
  EXPECT_FALSE(has_begun);
  EXPECT_EQ(cpu.stats().waiting, 0u);
}

TEST(pool, cancelled_at_any_point_leaves_nothing_behind) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    pool cpu({.threads = 2});
    int living = 0;
    int leaves = 0;
    int value = 0;
    co_await v.run([](pool* on, int* alive, int* done, int* into) -> task<> {
      *into = co_await on->run(deep(3, alive, done));
    }(&cpu, &living, &leaves, &value));
    EXPECT_EQ(living, 0);
    EXPECT_EQ(cpu.stats().waiting + cpu.stats().begun, 0u);
    EXPECT_TRUE(value == 0 || value == 8) << value;
    if (!v.was_cancelled()) EXPECT_EQ(value, 8);
    EXPECT_EQ(co_await cpu.run(fib(5)), 5) << "the pool serves on";
  });
}

TEST(pool, cancelled_at_any_point_of_a_join_has_ended_the_jobs_of_its_list) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    pool cpu({.threads = 2});
    std::vector<int> values;
    co_await v.run([](pool* on, std::vector<int>* into) -> task<> {
      *into = co_await on->run(list_of(4));
    }(&cpu, &values));
    EXPECT_EQ(cpu.stats().waiting + cpu.stats().begun, 0u);
    EXPECT_TRUE(values.empty() || values.size() == 4);
    if (!v.was_cancelled()) EXPECT_THAT(values, ElementsAre(1, 2, 3, 4));
  });
}

WEIR_TEST("a cancelled call ends innermost first, and what it had done counts (K7)") {
  pool cpu({.threads = 2});
  int living = 0;
  int leaves = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      const int got = co_await cpu.run(deep(5, &living, &leaves));
      EXPECT_EQ(got, 32) << "a value that was there is delivered";
    });
    while (leaves < 4 && cpu.stats().ended == 0) co_await yield();
    s.cancel("enough");
  });
  EXPECT_EQ(living, 0);
  sometimes(leaves > 0 && leaves < 32, "cancelled midway");
}

job<> without_end(int* living) {
  const live here(living);
  for (;;) co_await fork(plus_one(0), plus_one(1));
}
WEIR_TEST("a time-out around a call ends it, though it would never end by itself (K8)") {
  pool cpu({.threads = 2});
  int living = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await cpu.run(without_end(&living)); });
    while (living == 0) co_await yield();
    s.set_deadline(loop::current()->now());
    co_await testing::expect_raises<errc::timed_out>(
        with_timeout(duration(0), cpu.run(without_end(&living))));
  });
  EXPECT_EQ(living, 0);
}

WEIR_TEST("plain functions can ask whether they were cancelled") {
  EXPECT_FALSE(is_work_cancelled());
  pool cpu;
  EXPECT_FALSE(co_await cpu.run([] { return is_work_cancelled(); }));
}

// Bounds and order.

WEIR_TEST("calls of one priority begin in the order in which they came") {
  pool cpu({.threads = 1});
  std::vector<int> came;
  std::vector<int> began;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 4; ++i) {
      s.spawn(
          [&](int me) -> task<> {
            came.push_back(me);
            co_await cpu.run([&began, me] { began.push_back(me); });
          },
          i);
    }
    co_await s.join();
  });
  EXPECT_EQ(came.size(), 4u);
  EXPECT_EQ(began, came);
}

TEST(pool, of_more_threads_than_threads_max_or_without_room_for_a_call_is_refused) {
  EXPECT_THROW(pool({.threads = pool::threads_max + 1}), exception);
  EXPECT_THROW(pool({.calls_max = 0}), exception);
  EXPECT_NO_THROW(pool({.threads = pool::threads_max})) << "none starts before the first call";
}

WEIR_TEST("over calls_max run raises full, and later it is taken again (K4)") {
  pool cpu({.threads = 1, .calls_max = 1});
  int ran = 0;
  int refused = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn([&]() -> task<> {
        const auto outcome = co_await as_result(cpu.run([&] { ++ran; }));
        if (!outcome) refused += outcome.error().code() == errc::full;
      });
    }
    co_await s.join();
  });
  EXPECT_EQ(ran + refused, 3);
  EXPECT_GE(ran, 1);
  co_await cpu.run([&] { ++ran; });
  EXPECT_GE(ran, 2);
}

WEIR_TEST("a closed pool refuses new calls and finishes those that it has") {
  pool cpu({.threads = 1});
  int value = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { value = co_await cpu.run(fib(5)); });
    while (cpu.stats().waiting + cpu.stats().begun + cpu.stats().ended == 0) co_await yield();
    cpu.close();
    cpu.close();
    co_await testing::expect_raises<errc::closed>(cpu.run([] {}));
    co_await s.join();
  });
  EXPECT_EQ(value, 5);
}

job<> marks(std::vector<char>* log, char what, int depth) {
  log->push_back(what);
  if (depth != 0) co_await fork(marks(log, what, depth - 1), marks(log, what, depth - 1));
}
WEIR_TEST("work in the background gives way at its next fork to what is normal") {
  pool cpu({.threads = 1});
  std::vector<char> log;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await cpu.run(marks(&log, 'b', 4), priority::background); });
    while (log.empty()) co_await yield();
    const std::size_t before = log.size();
    co_await cpu.run(marks(&log, 'n', 0));
    std::size_t passed = 0;
    while (log[before + passed] != 'n') ++passed;
    // At most the jobs without a fork of their own that the strand at work still takes back.
    EXPECT_LE(passed, 6u) << std::string(log.begin(), log.end());
    co_await s.join();
  });
  EXPECT_EQ(log.size(), 32u);
}

// Seen.

WEIR_TEST("the task tree shows what waits for a thread, and the console its counts") {
  pool cpu({.name = "cpu", .threads = 1});
  EXPECT_STREQ(cpu.name(), "cpu");
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await cpu.run(fib(3)); });
    while (cpu.stats().waiting == 0) co_await yield();
    detail::string_sink out;
    detail::print_task_tree(*loop::current(), out);
    EXPECT_THAT(out.text, HasSubstr("waiting for pool \"cpu\": "));
    EXPECT_THAT(out.text, HasSubstr("fib(int)"));
    EXPECT_THAT(out.text, HasSubstr(", for a thread"));
    co_await s.join();
  });
}

job<> await_again() {
  job<int> one = fib(1);
  co_await std::move(one);
  co_await std::move(one);  // NOLINT(bugprone-use-after-move)
}
job<> fork_again() {
  job<int> one = fib(1);
  co_await std::move(one);
  std::ignore = co_await fork(std::move(one));  // NOLINT(bugprone-use-after-move)
}
job<> fork_what_was_moved_from() {
  job<int> one = fib(1);
  const job<int> other = std::move(one);
  std::ignore = co_await fork(std::move(one));  // NOLINT(bugprone-use-after-move)
}
job<> join_again() {
  fork_list<int> all;
  all.fork(fib(1));
  co_await all.join();
  co_await all.join();
}
job<> fork_after_the_join() {
  fork_list<int> all;
  all.fork(fib(1));
  co_await all.join();
  all.fork(fib(1));
}

job<> read_before_the_join() {
  fork_list<int> all;
  all.fork(fib(1));
  all.each([](int) {});
  co_return;
}

struct pool_misuse {
  const char* said;
  job<> (*body)();
};
constexpr pool_misuse pool_misuses[] = {
    {"a job is awaited, forked or run once", &await_again},
    {"a job is awaited, forked or run once", &fork_again},
    {"a job is run once, and not after it was moved from", &fork_what_was_moved_from},
    {"a fork_list is joined once", &join_again},
    {"a fork_list is joined once", &fork_after_the_join},
    {"a fork_list has values once its join\\(\\) has given them", &read_before_the_join},
};

TEST(PoolDeathTest, what_is_awaited_again_stops_the_process_with_a_named_assertion) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  for (const pool_misuse& one : pool_misuses) {
    EXPECT_DEATH(testing::run_virtual([](job<> (*body)()) -> task<> {
                   pool cpu;
                   co_await cpu.run(body());
                 }(one.body)),
                 one.said);
  }
}

}  // namespace
}  // namespace weir::pool_test
