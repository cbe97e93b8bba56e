// The laws of cats-effect about callbacks (Async), in weir's words: an operation that calls back is
// from_callback. Each test has the name of its law in brackets; docs/reference/laws.md is their
// table.
#include <weir/core.hpp>
#include <weir/core/law_finalisers_test.hpp>
#include <weir/core/law_programs_test.hpp>
#include <weir/flow/callback.hpp>

#include <gtest/gtest.h>

#include <optional>
#include <utility>

namespace weir::laws::laws_of_callbacks_test {
namespace {

/// By lot, the fiber is cancelled before its callback is asked for. A failure that its cancelled
/// reader does not hear any more is reported; so the laws of failures stand behind a shield.
void maybe_cancelled(fiber f, const sample& s) {
  if (s.parts[1].number % 3 == 0) f.around->cancel("before it begins");
}
int value_of(const sample& s) { return s.parts[2].number; }

task<int> called_at_once(fiber f, const sample& s) {
  maybe_cancelled(f, s);
  co_return co_await from_callback<int>([&](auto done) {
    done(value_of(s));
    f.run->note('s');
  });
}
task<int> failed_at_once(fiber f, const sample& s) {
  maybe_cancelled(f, s);
  co_return co_await from_callback<int>([&](auto done) {
    done.fail(errc::busy);
    f.run->note('s');
  });
}

/// The start keeps the callback; somebody else calls it, or fails it, in the next turn.
template <bool Fails>
task<int> called_later(fiber f, const sample& s) {
  maybe_cancelled(f, s);
  std::optional<callback<int>> kept;
  auto reply = from_callback<int>([&](auto done) {
    kept = done;
    f.run->note('s');
  });
  loop::current()->post([done = std::move(*kept), value = value_of(s)] {
    if (Fails) {
      done.fail(errc::busy);
    } else {
      done(value);
    }
  });
  co_return co_await std::move(reply);
}

WEIR_TEST("called back at once is the value at once (asyncCheckAttemptImmediateIsPure)") {
  co_await law(
      [](fiber, const sample& s) -> task<int> {
        auto reply = from_callback<int>([&](auto done) { done(value_of(s)); });
        EXPECT_TRUE(reply.is_ready());
        co_return co_await reply;
      },
      [](fiber, const sample& s) -> task<int> { co_return co_await pure(value_of(s)); });
}

WEIR_TEST("called now or later, the value is one (asyncCheckAttemptSuspendedRightIsAsyncRight)") {
  co_await law(&called_at_once, &called_later<false>);
}

WEIR_TEST("failed now or later, the error is one (asyncCheckAttemptSuspendedLeftIsAsyncLeft)") {
  co_await law(&failed_at_once, &called_later<true>, {}, root::shielded);
}

WEIR_TEST("what begins an operation is not cut short (asyncRightIsUncancelableSequencedPure)") {
  co_await law(&called_at_once, [](fiber f, const sample& s) -> task<int> {
    maybe_cancelled(f, s);
    co_await shield(effect(f, 's'));
    co_return co_await pure(value_of(s));
  });
}

WEIR_TEST("nor when it fails (asyncLeftIsUncancelableSequencedRaiseError)") {
  co_await law(
      &failed_at_once,
      [](fiber f, const sample& s) -> task<int> {
        maybe_cancelled(f, s);
        co_await shield(effect(f, 's'));
        co_return co_await failed(errc::busy);
      },
      {}, root::shielded);
}

WEIR_TEST("a second call of a callback changes nothing (asyncRepeatedCallbackIgnored)") {
  co_await law(
      [](fiber, const sample& s) -> task<int> {
        co_return co_await from_callback<int>([&](auto done) {
          done(value_of(s));
          done(value_of(s) + 1);
          done.fail(errc::broken);
        });
      },
      [](fiber, const sample& s) -> task<int> { co_return co_await pure(value_of(s)); });
}

WEIR_TEST("what was called back is not cancelled (asyncCancelTokenIsUnsequencedOnCompletion)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        maybe_cancelled(f, s);
        co_return co_await from_callback<int>([&](auto done) { done(value_of(s)); },
                                              [&] { f.run->note('!'); });
      },
      [](fiber f, const sample& s) -> task<int> {
        maybe_cancelled(f, s);
        co_return co_await pure(value_of(s));
      });
}

WEIR_TEST("what has failed is not cancelled (asyncCancelTokenIsUnsequencedOnError)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        maybe_cancelled(f, s);
        co_return co_await from_callback<int>([&](auto done) { done.fail(errc::busy); },
                                              [&] { f.run->note('!'); });
      },
      [](fiber f, const sample& s) -> task<int> {
        maybe_cancelled(f, s);
        co_return co_await failed(errc::busy);
      },
      {}, root::shielded);
}

WEIR_TEST("never is a callback that nobody calls (neverIsDerivedFromAsync)") {
  co_await law(
      [](fiber f, const sample&) -> task<int> {
        std::optional<callback<int>> kept;
        const auto uncalled = [](auto* keep, fiber of) -> task<int> {
          co_return co_await from_callback<int>([&](auto done) { keep->emplace(done); },
                                                [&] { of.run->note('x'); });
        };
        co_return co_await when_any(uncalled(&kept, f), endless(f));
      },
      [](fiber f, const sample&) -> task<int> {
        co_return co_await on_cancel(endless(f), effect(f, 'x'));
      });
}

}  // namespace
}  // namespace weir::laws::laws_of_callbacks_test
