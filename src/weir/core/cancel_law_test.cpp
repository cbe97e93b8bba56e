// Laws of tasks as algebras state them (the MonadCancel, Spawn and Temporal laws of cats-effect,
// as far as they have a counterpart here), checked for every outcome that a task can have and
// under every schedule.
#include <weir/base/random.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/combine.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/testing/test.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <exception>
#include <string>
#include <tuple>
#include <utility>

namespace weir {
namespace {

using namespace weir::literals;

using make_task = task<int> (*)();

task<int> value_at_once() { co_return 1; }
task<int> value_later() {
  co_await sleep(1_ms);
  co_return 2;
}
task<int> error_at_once() {
  raise(error(errc::not_found));
  co_return 0;
}
task<int> error_later() {
  co_await sleep(1_ms);
  raise(error(errc::broken));
}
task<int> never() {
  co_await sleep_until(time_point::never());
  co_return 0;
}
/// Cancels the scope around itself and waits.
task<int> cancels_itself() {
  scope::current()->cancel();
  co_await checkpoint();
  co_return 0;
}

constexpr std::array<make_task, 5> all_that_end{&value_at_once, &value_later, &error_at_once,
                                                &error_later, &cancels_itself};
constexpr std::array<make_task, 4> not_cancelled{&value_at_once, &value_later, &error_at_once,
                                                 &error_later};

std::string text_of(const result<int>& outcome) {
  return outcome ? "value " + std::to_string(*outcome)
                 : "error " + std::string(name(outcome.error().code()));
}

/// What became of a task that has a scope of its own: "value 1", "error broken", "cancelled".
task<std::string> outcome_of(task<int> body) {
  std::string seen = "cancelled";
  co_await with_scope([&](scope&) -> task<> {
    auto outcome = co_await as_result(std::move(body));
    if (!outcome && outcome.error() == errc::cancelled) {
      co_await checkpoint();  // a level: it comes back here when it was real
      seen = "error cancelled";
      co_return;
    }
    seen = text_of(outcome);
  });
  co_return seen;
}
/// The only error of a group, as itself.
task<int> ungrouped(task<int> body) {
  std::exception_ptr only;
  try {
    co_return co_await std::move(body);
  } catch (const error_group& group) {
    if (group.size() != 1) throw;
    only = group.first();
  }
  std::rethrow_exception(only);
}

WEIR_TEST("awaiting is associative: a task around a task has its outcome") {
  for (const make_task fa : all_that_end) {
    const auto around = [](make_task f) -> task<int> { co_return co_await f(); };
    EXPECT_EQ(co_await outcome_of(around(fa)), co_await outcome_of(fa()));
  }
}

WEIR_TEST("a shield in a shield is a shield") {
  for (const make_task fa : not_cancelled) {
    EXPECT_EQ(co_await outcome_of(shield(shield(fa()))), co_await outcome_of(shield(fa())));
  }
}

WEIR_TEST("without a cancellation a shield changes nothing") {
  for (const make_task fa : not_cancelled) {
    EXPECT_EQ(co_await outcome_of(shield(fa())), co_await outcome_of(fa()));
  }
}

WEIR_TEST("cancelling oneself inside a shield is deferred to the shield's end") {
  std::string log;
  co_await with_scope([&](scope& s) -> task<> {
    co_await shield([](scope* around, std::string* out) -> task<> {
      around->cancel();
      co_await sleep(1_ms);
      *out += 'i';
    }(&s, &log));
    log += 'a';
    co_await checkpoint();
    log += '!';
  });
  EXPECT_EQ(log, "ia");
}

WEIR_TEST("a finaliser runs once, whatever the outcome, and before the outcome is seen") {
  struct finaliser {
    int* runs;
    ~finaliser() { ++*runs; }
  };
  for (const make_task fa : all_that_end) {
    int runs = 0;
    const auto guarded = [](make_task f, int* count) -> task<int> {
      const finaliser last{count};
      co_return co_await f();
    };
    EXPECT_EQ(co_await outcome_of(guarded(fa, &runs)), co_await outcome_of(fa()));
    EXPECT_EQ(runs, 1);
  }
}

WEIR_TEST("the second of two runs even if the first fails, but not if it is cancelled") {
  const auto force_right = [](make_task first, make_task second) -> task<int> {
    static_cast<void>(co_await as_result(first()));
    co_await checkpoint();
    co_return co_await second();
  };
  for (const make_task second : not_cancelled) {
    for (const make_task first : not_cancelled) {
      EXPECT_EQ(co_await outcome_of(force_right(first, second)), co_await outcome_of(second()));
    }
    EXPECT_EQ(co_await outcome_of(force_right(&cancels_itself, second)), "cancelled");
  }
}

WEIR_TEST("a race against never is the other side, left and right") {
  for (const make_task fa : not_cancelled) {
    const std::string alone = co_await outcome_of(fa());
    EXPECT_EQ(co_await outcome_of(ungrouped(when_any(fa(), never()))), alone);
    EXPECT_EQ(co_await outcome_of(ungrouped(when_any(never(), fa()))), alone);
  }
}

WEIR_TEST("both of one task is that task") {
  for (const make_task fa : not_cancelled) {
    const auto both = [](make_task f) -> task<int> {
      co_return std::get<0>(co_await when_all(f()));
    };
    EXPECT_EQ(co_await outcome_of(ungrouped(both(fa))), co_await outcome_of(fa()));
  }
}

WEIR_TEST("joining a task gives its outcome") {
  for (const make_task fa : not_cancelled) {
    // A reporting scope would tell the handler: the error is looked at through the group instead.
    const auto spawn_and_join = [](make_task f) -> task<int> {
      co_return co_await with_scope([&](scope& s) -> task<int> {
        auto child = s.spawn(f);
        co_return co_await child;
      });
    };
    EXPECT_EQ(co_await outcome_of(ungrouped(spawn_and_join(fa))), co_await outcome_of(fa()));
  }
}

WEIR_TEST("cancel and then join is cancelled, for a task that waits") {
  co_await with_scope([](scope& outer) -> task<> {
    co_await with_scope([&](scope& inner) -> task<> {
      auto child = inner.spawn(&never);
      outer.spawn(
          [](spawned<int> of) -> task<> {
            co_await testing::expect_raises<errc::cancelled>(
                [](spawned<int>* handle) -> task<int> { co_return co_await *handle; }(&of));
          },
          std::move(child));
      co_await sleep(1_ms);
      inner.cancel();
    });
  });
}

WEIR_TEST("spawning never returns at once, and joining it does not") {
  co_await with_scope([](scope& s) -> task<> {
    auto child = s.spawn(&never);
    EXPECT_EQ(testing::elapsed(), 0_ms);
    co_await testing::expect_raises<errc::timed_out>(
        with_timeout(1_h, [](spawned<int>* of) -> task<int> { co_return co_await *of; }(&child)));
    EXPECT_FALSE(child.is_done());
    s.cancel();
  });
}

WEIR_TEST("a task spawned outside from within a shield can be cancelled") {
  bool has_gone_on = false;
  co_await with_scope([&](scope& s) -> task<> {
    co_await shield([](scope* outside, bool* out) -> task<> {
      outside->spawn(
          [](bool* flag) -> task<> {
            co_await sleep(1_h);
            *flag = true;
          },
          out);
      co_await sleep(1_ms);
    }(&s, &has_gone_on));
    s.cancel();
  });
  EXPECT_FALSE(has_gone_on);
  EXPECT_EQ(testing::elapsed(), 1_ms);
}

WEIR_TEST("a race of sleeps takes the shorter, both the longer, one after the other the sum") {
  random_source random(loop::current()->io().random());
  for (int i = 0; i < 20; ++i) {
    const auto a = duration(static_cast<std::int64_t>(random.below(1'000'000'000)));
    const auto b = duration(static_cast<std::int64_t>(random.below(1'000'000'000)));
    const auto nap = [](duration length) -> task<> { co_await sleep(length); };
    time_point began = loop::current()->now();
    co_await when_any(nap(a), nap(b));
    EXPECT_EQ(loop::current()->now() - began, std::min(a, b));
    began = loop::current()->now();
    co_await when_all(nap(a), nap(b));
    EXPECT_EQ(loop::current()->now() - began, std::max(a, b));
    began = loop::current()->now();
    co_await nap(a);
    co_await nap(b);
    EXPECT_EQ(loop::current()->now() - began, a + b);
  }
}

WEIR_TEST("effects are not remembered: a function's second task runs again") {
  int runs = 0;
  const auto effect = [](int* count) -> task<> {
    ++*count;
    co_return;
  };
  co_await effect(&runs);
  co_await effect(&runs);
  EXPECT_EQ(runs, 2);
}

WEIR_TEST("the clock never goes back over any wait") {
  time_point last = loop::current()->now();
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 50; ++i) {
      s.spawn(
          [](time_point* latest, int number) -> task<> {
            for (int step = 0; step < 5; ++step) {
              EXPECT_GE(loop::current()->now(), *latest);
              *latest = loop::current()->now();
              co_await sleep(duration::microseconds(number * 7 % 13));
            }
          },
          &last, i);
    }
    co_return;
  });
}

}  // namespace
}  // namespace weir
