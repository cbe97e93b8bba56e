// Misuse of pools that must not compile. The compiler itself checks this file (clang's -verify):
// each refusal stands where the comment says so, and what has no comment is accepted.
#include <weir/core.hpp>
#include <weir/pool/pool.hpp>

#include <tuple>
#include <utility>

using namespace weir::literals;

namespace {

weir::job<int> compute() { co_return 1; }

weir::job<int> awaits_jobs() {
  weir::job<int> one = compute();
  co_return co_await std::move(one);
}
weir::job<int> awaits_a_job_twice() {
  weir::job<int> one = compute();
  co_return co_await one;
  // expected-error@-1 {{no member named 'await_ready'}}
  // expected-error@*:* {{a job is awaited once, so it is moved: co_await std::move(j)}}
}
// A thread that computes has nothing to wait with.
weir::job<int> sleeps() {
  co_await weir::sleep(1_ms);
  // expected-error@*:* {{a job runs on a pool, where nothing can wait}}
  // expected-error@*:* {{cannot bind to a value of unrelated type}}
  co_return 1;
}
weir::task<> pools(weir::pool& cpu) {
  co_await cpu.run([] { return 1; });
  co_await cpu.run(compute());
  co_await cpu.run([]() -> weir::task<> { co_await weir::sleep(1_ms); });
  // expected-error@-1 {{ignoring return value}}
  // expected-error@*:* {{a pool computes and can't wait; await the task on a loop}}
  // expected-error@*:* 1+ {{neither a coroutine nor a coroutine wrapper}}
}

struct alignas(32) thirty_two {
  double of[4];
};
weir::job<thirty_two> gives_thirty_two() { co_return {}; }
// expected-error@*:* {{a job's value is aligned to at most 16 bytes, as frames are}}

[[maybe_unused]] auto uses() {
  return std::make_tuple(&awaits_jobs, &awaits_a_job_twice, &sleeps, &pools, &gives_thirty_two);
}

}  // namespace
