// The laws of cats-effect about running elsewhere (evalOn of Async), in weir's words: elsewhere is
// a pool, and the task comes back to its loop. Each test has the name of its law in brackets;
// docs/reference/laws.md is their table.
#include <weir/core.hpp>
#include <weir/core/law_finalisers_test.hpp>
#include <weir/core/law_programs_test.hpp>
#include <weir/pool/fork.hpp>
#include <weir/pool/pool.hpp>

#include <gtest/gtest.h>

namespace weir::laws::laws_of_pools_test {
namespace {

job<int> value_job(int value) { co_return value; }
job<int> failing_job() {
  co_await value_job(0);
  raise(error(errc::busy));
}
/// Ends only when its call is cancelled: each fork is an await.
job<int> endless_job() {
  for (;;) co_await fork(value_job(0), value_job(1));
}

WEIR_TEST("a value from a pool is the value (evalOnPureIdentity)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        pool cpu({.threads = 2});
        co_await s.a(f);
        co_return co_await cpu.run(value_job(s.parts[1].number));
      },
      [](fiber f, const sample& s) -> task<int> {
        co_await s.a(f);
        co_return co_await pure(s.parts[1].number);
      });
}

WEIR_TEST("an error from a pool is the error (evalOnRaiseErrorIdentity)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        pool cpu({.threads = 2});
        co_await s.a(f);
        co_return co_await cpu.run(failing_job());
      },
      [](fiber f, const sample& s) -> task<int> {
        co_await s.a(f);
        co_return co_await failed(errc::busy);
      });
}

WEIR_TEST("in a cancelled scope a call of a pool is cancelled, too (evalOnCanceledIdentity)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        pool cpu({.threads = 2});
        f.around->cancel("before the call");
        co_return co_await on_cancel(cpu.run([&] { return s.parts[0].number; }), s.last(f));
      },
      [](fiber f, const sample& s) -> task<int> {
        co_return co_await on_cancel(cancelled(f), s.last(f));
      });
}

/// Cancels a fiber as soon as its call runs on a thread.
task<> cancel_once_begun(scope* around, pool* cpu) {
  while (cpu->stats().begun == 0) co_await yield();
  around->cancel("while it runs");
}

WEIR_TEST("what never ends by itself ends on a pool when it is cancelled (evalOnNeverIdentity)") {
  co_await law(
      [](fiber f, const sample& s) -> task<int> {
        pool cpu({.threads = 2});
        f.around->spawn(&cancel_once_begun, f.around, &cpu);
        co_return co_await on_cancel(cpu.run(endless_job()), s.last(f));
      },
      [](fiber f, const sample& s) -> task<int> {
        f.around->spawn(
            [](scope* around) -> task<> {
              co_await yield();
              around->cancel("while it waits");
            },
            f.around);
        co_return co_await on_cancel(endless(f), s.last(f));
      },
      {.cancelled_from_outside = false});
}

}  // namespace
}  // namespace weir::laws::laws_of_pools_test
