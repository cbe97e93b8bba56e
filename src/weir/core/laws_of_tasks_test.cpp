// The laws of cats-effect about fibers and races (Spawn), in weir's words: a fiber is a task in a
// scope of its own, starting is spawning, and its end is seen where the scope ends. Each test has
// the name of its law in brackets; docs/reference/laws.md is their table.
#include <weir/core/law_finalisers_test.hpp>
#include <weir/core/law_programs_test.hpp>

#include <gtest/gtest.h>

#include <exception>
#include <string>
#include <tuple>
#include <utility>

namespace weir::laws::laws_of_tasks_test {
namespace {

using namespace weir::literals;

/// What a fiber came to.
struct outcome {
  end_kind how = end_kind::cancelled;
  int value = 0;
  std::exception_ptr failure = nullptr;

  /// Its end as one's own.
  task<int> embedded(fiber f) const {
    if (failure) std::rethrow_exception(failure);
    if (how == end_kind::cancelled) co_await cancelled(f);
    co_return value;
  }
};

/// Starts a program and joins it; before that it may be cancelled.
enum class then : std::uint8_t { joined, cancelled_and_joined };
task<outcome> started(side of, fiber f, const sample& s, then what = then::joined) {
  outcome seen;
  try {
    co_await with_scope([&](scope& own) -> task<> {
      auto child = own.spawn_at(
          std::source_location::current(),
          [](side call, fiber mine, const sample* of) -> task<int> {
            co_return co_await call(mine, *of);
          },
          of, fiber{.run = f.run, .around = &own}, &s);
      if (what == then::cancelled_and_joined) own.cancel("by its starter");
      co_await own.join();
      if (!own.is_cancelled()) seen = {.how = end_kind::value, .value = child.take_value()};
    });
  } catch (const error_group& group) {
    seen = {.how = end_kind::error, .failure = group.first()};
  }
  co_return seen;
}

// Joining.

const side just_a = [](fiber f, const sample& s) -> task<int> { co_return co_await s.a(f); };
constexpr ingredients harmless{
    .errors = false, .cancels = false, .endless = false, .cancelled_from_outside = false};

WEIR_TEST("joining what gives a value gives the value (fiberPureIsOutcomeCompletedPure)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        const outcome seen = co_await started(just_a, f, s);
        EXPECT_EQ(seen.how, end_kind::value);
        co_return seen.value;
      },
      just_a, harmless);
}

const side fails_after_a = [](fiber f, const sample& s) -> task<int> {
  co_return co_await both(s.a(f), failed(errc::busy));
};

WEIR_TEST("joining what fails gives the error (fiberErrorIsOutcomeErrored)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        const outcome seen = co_await started(fails_after_a, f, s);
        EXPECT_EQ(seen.how, end_kind::error);
        co_return co_await seen.embedded(f);
      },
      fails_after_a, harmless);
}

const side cancels_after_a = [](fiber f, const sample& s) -> task<int> {
  co_return co_await both(both(s.a(f), cancelled(f)), s.b(f));
};

WEIR_TEST("joining what cancels itself finds it cancelled (fiberCanceledIsOutcomeCanceled)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        const outcome seen = co_await started(cancels_after_a, f, s);
        EXPECT_EQ(seen.how, end_kind::cancelled);
        co_return co_await seen.embedded(f);
      },
      cancels_after_a, harmless);
}

const side waits_for_ever = [](fiber f, const sample& s) -> task<int> {
  co_return co_await on_cancel(both(endless(f), s.a(f)), s.last(f));
};

WEIR_TEST("cancel and then join is cancelled, for what waits (fiberCancelationIsOutcomeCanceled)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        const outcome seen = co_await started(waits_for_ever, f, s, then::cancelled_and_joined);
        EXPECT_EQ(seen.how, end_kind::cancelled);
        co_return 0;
      },
      [](fiber f, const sample& s) -> task<int> {
        co_await s.last(f);  // which the cancelled one has run
        co_return 0;
      },
      {.cancels = false, .cancelled_from_outside = false});
}

WEIR_TEST("joining what never ends never ends (fiberNeverIsNever)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return (co_await started(waits_for_ever, f, s)).value;
      },
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await on_cancel(endless(f), s.last(f));
      });
}

WEIR_TEST("starting what never ends does not wait for it (fiberStartOfNeverIsUnit)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_await with_scope([&](scope& own) -> task<> {
          own.spawn(&endless, fiber{.run = f.run, .around = &own});
          co_await s.last(f);
          own.cancel("it has started");
        });
        co_return 1;
      },
      [](fiber f, const sample& s) -> task<int> {
        co_await s.last(f);
        co_return 1;
      },
      {.cancelled_from_outside = false});
}

constexpr last_by_end note_end = [](end_kind how, fiber f, const sample& s) -> task<int> {
  f.run->note(how == end_kind::value ? 'V' : how == end_kind::error ? 'E' : 'C');
  co_return co_await s.last(f);
};

WEIR_TEST("a finaliser by a join's outcome is one by the end (fiberJoinIsGuaranteeCase)") {
  const side joined = [](fiber f, const sample& s) -> task<int> {
    const outcome seen = co_await started(just_a, f, s);
    co_return co_await guarantee(seen.embedded(f), note_end(seen.how, f, s));
  };
  const side awaited = [](fiber f, const sample& s) -> task<int> {
    const auto fiber_of_a = [](fiber mine, const sample* of) -> task<int> {
      const int value = co_await of->a(mine);
      co_await checkpoint();  // where it hears of what its shields kept out
      co_return value;
    };
    co_return co_await guarantee_case(fiber_of_a(f, &s), note_end, f, s);
  };
  co_await law(joined, awaited, {.errors = false, .cancelled_from_outside = false});
  co_await law(joined, awaited, {.cancels = false, .cancelled_from_outside = false});
}

// Never.

WEIR_TEST("nothing comes after never (neverDominatesOverFlatMap)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> { co_return co_await both(endless(f), s.a(f)); },
      [](fiber f, const sample&) -> task<int> { co_return co_await endless(f); });
}

WEIR_TEST("nothing comes after never, whatever is to follow (forceRNeverIsNever)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await force_right(endless(f), s.a(f));
      },
      [](fiber f, const sample&) -> task<int> { co_return co_await endless(f); });
}

// Races.

WEIR_TEST(
    "when_any is a race's only value, with never on the right (raceDerivesFromRacePairLeft)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await ungrouped(when_any(s.a(f), endless(f)));
      },
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await ungrouped([](fiber in, const sample* of) -> task<int> {
          auto [first, second] = co_await race(of->a(in), endless(in));
          EXPECT_FALSE(second);
          co_return *first;
        }(f, &s));
      });
}

WEIR_TEST(
    "when_any is a race's only value, with never on the left (raceDerivesFromRacePairRight)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await ungrouped(when_any(endless(f), s.a(f)));
      },
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await ungrouped([](fiber in, const sample* of) -> task<int> {
          auto [first, second] = co_await race(endless(in), of->a(in));
          EXPECT_FALSE(first);
          co_return *second;
        }(f, &s));
      });
}

WEIR_TEST("against never on the left the other one wins (raceNeverNoncanceledIdentityLeft)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await ungrouped(when_any(endless(f), s.a(f)));
      },
      just_a);
}

WEIR_TEST("against never on the right the other one wins (raceNeverNoncanceledIdentityRight)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await ungrouped(when_any(s.a(f), endless(f)));
      },
      just_a);
}

// Shields and fibers.

/// A branch in a scope of its own, which it cancels: raises `cancelled`.
task<int> branch_that_cancels_itself(run_state* run) {
  co_return co_await with_scope([&](scope& own) -> task<int> {
    co_return co_await cancelled(fiber{.run = run, .around = &own});
  });
}

WEIR_TEST("a branch of a shielded race can still be cancelled (uncancelableRaceNotInherited)") {
  co_await law(
      [](fiber f, const sample&) -> task<int> {
        co_return co_await shield(
            ungrouped(first_success(endless(f), branch_that_cancels_itself(f.run))));
      },
      [](fiber f, const sample&) -> task<int> { co_return co_await shield(endless(f)); });
}

WEIR_TEST("behind a shield one can cancel somebody else (uncancelableCancelCancels)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_await with_scope([&](scope& own) -> task<> {
          own.spawn(
              [](fiber mine, const sample* of) -> task<int> {
                co_return co_await waits_for_ever(mine, *of);
              },
              fiber{.run = f.run, .around = &own}, &s);
          co_await shield([](scope* other) -> task<> {
            other->cancel("from behind a shield");
            co_await yield();
          }(&own));
        });
        co_return 0;
      },
      [](fiber f, const sample& s) -> task<int> {
        co_await s.last(f);
        co_return 0;
      },
      {.cancels = false, .cancelled_from_outside = false});
}

task<int> start_cancel_join(fiber f, const sample* s) {
  const outcome seen = co_await started(waits_for_ever, f, *s, then::cancelled_and_joined);
  EXPECT_EQ(seen.how, end_kind::cancelled);
  co_return 0;
}

WEIR_TEST("what was started behind a shield can be cancelled (uncancelableStartIsCancelable)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await shield(start_cancel_join(f, &s));
      },
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await shield(both(s.last(f), pure(0)));
      },
      {.cancels = false});
}

// Beyond the list.

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

WEIR_TEST("both of one task is that task") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await ungrouped([](fiber in, const sample* of) -> task<int> {
          co_return std::get<0>(co_await when_all(of->a(in)));
        }(f, &s));
      },
      just_a);
}

}  // namespace
}  // namespace weir::laws::laws_of_tasks_test
