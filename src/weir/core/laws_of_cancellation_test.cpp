// The laws of cats-effect about cancellation (MonadCancel), in weir's words. Each test has the name
// of its law in brackets; docs/reference/laws.md is their table.
#include <weir/core/as_result.hpp>
#include <weir/core/law_finalisers_test.hpp>
#include <weir/core/law_programs_test.hpp>

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <utility>

namespace weir::laws::laws_of_cancellation_test {
namespace {

// What the laws below stand on: a lot that is not too tame, and ends that tell programs apart.

WEIR_TEST("programs made by lot end in every way, and a shield makes a difference to some") {
  random_source lot(7);
  std::map<std::string, int> ends;
  int differences = 0;
  for (int i = 0; i < 80; ++i) {
    const sample s(lot, {});
    const auto plain = [](fiber f, const sample& of) -> task<int> { co_return co_await of.a(f); };
    const std::string end = co_await ending_of(plain, s);
    ++ends[end.substr(0, end.find_first_of(" ,"))];
    const std::string shielded = co_await ending_of(
        [](fiber f, const sample& of) -> task<int> { co_return co_await shield(of.a(f)); }, s);
    differences += end != shielded;
  }
  for (const char* how : {"value", "error", "cancelled", "endless"}) EXPECT_GT(ends[how], 2) << how;
  EXPECT_GT(differences, 2);
}

// Finalisers.

WEIR_TEST("a finaliser that is the same for every end is a plain one (guaranteeIsGuaranteeCase)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await guarantee(s.a(f), s.last(f));
      },
      [](fiber f, const sample& s) -> task<int> {
        const auto always = [](end_kind, fiber in, const sample& of) -> task<int> {
          co_return co_await of.last(in);
        };
        co_return co_await guarantee_case(s.a(f), always, f, s);
      });
}

WEIR_TEST("behind a shield no finaliser for a cancellation runs (uncancelableEliminatesOnCancel)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await shield(on_cancel(s.a(f), s.last(f)));
      },
      [](fiber f, const sample& s) -> task<int> { co_return co_await shield(s.a(f)); });
}

WEIR_TEST("nor does one around the shield (onCancelAssociatesOverUncancelableBoundary)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await shield(on_cancel(s.a(f), s.last(f)));
      },
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await on_cancel(shield(s.a(f)), s.last(f));
      });
}

WEIR_TEST("a finaliser is shielded already, also inside another (onCancelImpliesUncancelable)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await on_cancel(on_cancel(s.a(f), shield(s.last(f))), s.very_last(f));
      },
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await on_cancel(on_cancel(s.a(f), s.last(f)), s.very_last(f));
      });
}

WEIR_TEST("a shield in a finaliser adds nothing (uncancelableFinalizers)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await on_cancel(cancelled(f), shield(s.last(f)));
      },
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await on_cancel(cancelled(f), s.last(f));
      });
}

WEIR_TEST(
    "finalisers run one after the other, the inner first (canceledSequencesOnCancelInOrder)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await on_cancel(on_cancel(cancelled(f), s.last(f)), s.very_last(f));
      },
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await force_right(shield(both(s.last(f), s.very_last(f))), cancelled(f));
      });
}

// Shields. A poll is to lower the shield around the call.

task<int> polled(task<int> body) {
  co_return co_await with_scope({.shield = true}, [&](scope& kept) -> task<int> {
    kept.set_shield(false);
    co_return co_await std::move(body);
  });
}

WEIR_TEST("a shield that is lowered again is none (uncancelablePollIsIdentity)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> { co_return co_await ungrouped(polled(s.a(f))); },
      [](fiber f, const sample& s) -> task<int> { co_return co_await s.a(f); });
}

WEIR_TEST("a shield in a shield is a shield (uncancelableIgnoredPollEliminatesNesting)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> { co_return co_await shield(shield(s.a(f))); },
      [](fiber f, const sample& s) -> task<int> { co_return co_await shield(s.a(f)); });
}

/// Two shields, one of which is lowered: from inside of both.
template <bool IsInner>
task<int> lowered_one_of_two(task<int> body) {
  co_return co_await with_scope({.shield = true}, [&](scope& outer) -> task<int> {
    co_return co_await ungrouped([](scope* around, task<int> rest) -> task<int> {
      co_return co_await with_scope({.shield = true}, [&](scope& inner) -> task<int> {
        (IsInner ? inner : *around).set_shield(false);
        co_return co_await std::move(rest);
      });
    }(&outer, std::move(body)));
  });
}

WEIR_TEST(
    "lowering one of two shields keeps the other (uncancelablePollInverseNestIsUncancelable)") {
  const side shielded = [](fiber f, const sample& s) -> task<int> {
    co_return co_await shield(s.a(f));
  };
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await ungrouped(lowered_one_of_two<true>(s.a(f)));
      },
      shielded);
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await ungrouped(lowered_one_of_two<false>(s.a(f)));
      },
      shielded);
}

WEIR_TEST("behind a shield another one changes nothing (uncancelableIdentity)") {
  co_await law([](fiber f, const sample& s) -> task<int> { co_return co_await shield(s.a(f)); },
               [](fiber f, const sample& s) -> task<int> { co_return co_await s.a(f); }, {},
               root::shielded);
}

WEIR_TEST("behind a shield to cancel oneself is to do nothing (canceledUnitIdentity)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> { co_return co_await both(cancelled(f), s.a(f)); },
      [](fiber f, const sample& s) -> task<int> { co_return co_await both(pure(0), s.a(f)); }, {},
      root::shielded);
}

// Cancelling oneself.

WEIR_TEST("nothing after one's own cancellation is done (canceledAssociatesLeftOverFlatMap)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> { co_return co_await both(cancelled(f), s.a(f)); },
      [](fiber f, const sample&) -> task<int> { co_return co_await cancelled(f); });
}

task<int> attempted(task<int> body) {
  try {
    co_return co_await std::move(body);
  } catch (const std::exception&) {
    co_return 0;
  }
}

WEIR_TEST("a shield puts one's end off (uncancelableCanceledAssociatesRightOverFlatMapAttempt)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await both(attempted(shield(both(cancelled(f), s.a(f)))), pure(0));
      },
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await force_right(shield(s.a(f)), cancelled(f));
      });
}

// One after the other, whatever the first comes to.

WEIR_TEST("what follows a value whatever it is, is all that counts (forceRDiscardsPure)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await force_right(pure(1), s.a(f));
      },
      [](fiber f, const sample& s) -> task<int> { co_return co_await s.a(f); });
}

WEIR_TEST("what follows an error whatever it is, is all that counts (forceRDiscardsError)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await force_right(failed(errc::busy), s.a(f));
      },
      [](fiber f, const sample& s) -> task<int> { co_return co_await s.a(f); });
}

WEIR_TEST("nothing follows a cancellation, whatever is to follow (forceRCanceledShortCircuits)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await force_right(cancelled(f), s.a(f));
      },
      [](fiber f, const sample& s) -> task<int> { co_return co_await both(cancelled(f), s.a(f)); });
}

WEIR_TEST("of three in a row it does not matter which two are one (forceRAssociativity)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await force_right(s.a(f), force_right(s.b(f), s.c(f)));
      },
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await force_right(force_right(s.a(f), s.b(f)), s.c(f));
      });
}

// Beyond the list.

WEIR_TEST("awaiting is associative: a task around a task has its outcome") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> { co_return co_await both(pure(0), s.a(f)); },
      [](fiber f, const sample& s) -> task<int> { co_return co_await s.a(f); });
}

WEIR_TEST("without a cancellation a shield changes nothing") {
  co_await law([](fiber f, const sample& s) -> task<int> { co_return co_await shield(s.a(f)); },
               [](fiber f, const sample& s) -> task<int> { co_return co_await s.a(f); },
               {.cancels = false, .cancelled_from_outside = false});
}

WEIR_TEST("a destructor is a finaliser: it runs once, whatever the end, and before it is seen") {
  struct finaliser {
    run_state* run;
    ~finaliser() { run->note('.'); }
  };
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        const finaliser last{f.run};
        co_return co_await s.a(f);
      },
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await guarantee(s.a(f), effect(f, '.'));
      });
}

}  // namespace
}  // namespace weir::laws::laws_of_cancellation_test
