// The laws of cats-effect about time and effects (Temporal, Clock, Unique, Sync, and those of Async
// that need one loop), in weir's words. Each test has the name of its law in brackets;
// docs/reference/laws.md is their table.
#include <weir/core/law_finalisers_test.hpp>
#include <weir/core/law_programs_test.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>

namespace weir::laws::laws_of_time_test {
namespace {

using namespace weir::literals;

const side just_a = [](fiber f, const sample& s) -> task<int> { co_return co_await s.a(f); };

// Time.

task<> nap(duration length) { co_await sleep(length); }
duration any_length(random_source& lot) {
  return duration(static_cast<std::int64_t>(lot.below(1'000'000'000)));
}

WEIR_TEST("after a sleep it is later by its length (monotonicSleepSumIdentity)") {
  random_source lot(loop::current()->io().random());
  for (int i = 0; i < 20; ++i) {
    const duration length = any_length(lot);
    const time_point began = loop::current()->now();
    co_await sleep(length);
    EXPECT_EQ(loop::current()->now(), began + length);
  }
}

WEIR_TEST("a race of sleeps takes the shorter (sleepRaceMinimum)") {
  random_source lot(loop::current()->io().random());
  for (int i = 0; i < 20; ++i) {
    const duration a = any_length(lot);
    const duration b = any_length(lot);
    const time_point began = loop::current()->now();
    co_await when_any(nap(a), nap(b));
    EXPECT_EQ(loop::current()->now(), began + std::min(a, b));
  }
}

WEIR_TEST("a sleep beside a sleep takes the longer (startSleepMaximum)") {
  random_source lot(loop::current()->io().random());
  for (int i = 0; i < 20; ++i) {
    const duration a = any_length(lot);
    const duration b = any_length(lot);
    const time_point began = loop::current()->now();
    co_await with_scope([&](scope& s) -> task<> {
      auto started = s.spawn(&nap, a);
      co_await sleep(b);
      co_await started;
    });
    EXPECT_EQ(loop::current()->now(), began + std::max(a, b));
  }
}

WEIR_TEST("the clock never goes back, whatever is done between (monotonicity)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        const time_point before = loop::current()->now();
        const int value = co_await s.a(f);
        EXPECT_LE(before, loop::current()->now());
        co_return value;
      },
      just_a);
  // Tasks that wake one another's clock.
  time_point last = loop::current()->now();
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 20; ++i) {
      s.spawn(
          [](time_point* latest, int number) -> task<> {
            for (int step = 0; step < 5; ++step) {
              EXPECT_LE(*latest, loop::current()->now());
              *latest = loop::current()->now();
              co_await sleep(duration::microseconds(number * 7 % 13));
            }
          },
          &last, i);
    }
    co_return;
  });
}

WEIR_TEST("no two tasks have one id, though their memory is used again (uniqueness)") {
  std::set<std::uint64_t> ids;
  co_await with_scope([&](scope& s) -> task<> {
    for (int round = 0; round < 10; ++round) {
      for (int i = 0; i < 5; ++i) EXPECT_TRUE(ids.insert(s.spawn(&nap, 1_ms).id()).second);
      co_await s.join();
    }
  });
  EXPECT_EQ(ids.size(), 50u);
}

// Effects: what a function does is done when its task is awaited, each time.

WEIR_TEST("a function that gives a value is the value (suspendValueIsPure)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        const int number = s.parts[1].number;
        co_await s.a(f);
        co_return co_await [](int it) -> task<int> { co_return it; }(number);
      },
      [](fiber f, const sample& s) -> task<int> {
        co_await s.a(f);
        co_return s.parts[1].number;
      });
}

task<int> thrown_by_a_task(const char* text) {
  throw std::runtime_error(text);
  co_return 0;
}
WEIR_CORO_WRAPPER task<int> thrown_instead_of_a_task(const char* text) {
  throw std::runtime_error(text);
}

WEIR_TEST("what a function throws is its error, task or not (suspendThrowIsRaiseError)") {
  for (task<int> (*throws)(const char*) : {&thrown_by_a_task, &thrown_instead_of_a_task}) {
    std::string seen;
    try {
      co_await throws("as it is");
    } catch (const std::runtime_error& e) {
      seen = e.what();
    }
    EXPECT_EQ(seen, "as it is");
    const auto spawned_one = [](task<int> (*f)(const char*)) -> task<int> {
      co_return co_await with_scope([&](scope& s) -> task<int> {
        auto child = s.spawn(f, "as it is");
        co_return co_await child;
      });
    };
    EXPECT_EQ((co_await testing::errors_of(ungrouped(spawned_one(throws)))).front(), "as it is");
  }
}

WEIR_TEST("a task that nobody awaits does nothing (unsequencedSuspendIsNoop)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        static_cast<void>(s.b(f));
        const task<int> dropped_later = both(effect(f, '?'), s.c(f));
        co_return co_await s.a(f);
      },
      just_a);
}

WEIR_TEST("effects are not remembered: twice is twice (repeatedSuspendNotMemoized)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        int count = s.parts[1].number;
        const auto doubled = [](fiber in, const sample* of, int* n) -> task<int> {
          co_await of->a(in);
          co_return * n *= 2;
        };
        co_await doubled(f, &s, &count);
        co_return co_await doubled(f, &s, &count);
      },
      [](fiber f, const sample& s) -> task<int> {
        co_await s.a(f);
        co_await s.a(f);
        co_return s.parts[1].number * 4;
      });
}

// One loop.

WEIR_TEST("a task has one loop before and after any wait (executionContextCommutativity)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_await s.a(f);
        co_return scope::current() == f.around&& loop::current() == &f.around -> on();
      },
      [](fiber f, const sample& s) -> task<int> {
        const bool is_here = scope::current() == f.around && loop::current() == &f.around->on();
        co_await s.a(f);
        co_return is_here;
      });
}

// A step that may go on for one wait only, for two, ... for as long as it likes.
TEST(laws, a_program_comes_to_the_same_however_far_a_step_may_go_syncStepIdentity) {
  for (std::uint64_t seed = 0; seed < 40; ++seed) {
    std::string first;
    for (const std::uint32_t limit : {128u, 1u, 2u, 3u, 7u}) {
      std::string end;
      testing::run_virtual(
          [](std::uint64_t lot_of, std::string* into) -> task<> {
            random_source lot(lot_of);
            const sample s(lot, {});
            *into = co_await ending_of(just_a, s);
          }(seed, &end),
          {.loop = {.turn_steps_max = limit, .step_waits_max = limit}});
      if (first.empty()) first = end;
      EXPECT_EQ(end, first) << "with " << limit << " waits a step, seed " << seed;
    }
  }
}

}  // namespace
}  // namespace weir::laws::laws_of_time_test
