// What two cores share when they call the same service: its places, what is known of its health,
// and what may be asked of it. The twins in weir::cross of what resilience_tour.cpp shows on one
// loop, one function for each. It runs to its end by itself.
#include <weir/core/core_group.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/latch.hpp>
#include <weir/flow/resilience.hpp>
#include <weir/io.hpp>

#include <atomic>
#include <cstdio>
#include <cstdlib>

using namespace weir::literals;

namespace {

/// Runs `body(core)` on two cores. What both use outlives them: it stands around this.
template <class F>
void on_two_cores(F body) {
  const int code = weir::run_on_all_cores(
      {.cores = 2}, [&]() -> weir::task<> { co_await body(static_cast<int>(weir::this_core())); });
  if (code != 0) std::exit(code);
}

// [bulkhead]
void few_places() {
  weir::cross::bulkhead pool({.name = "db", .calls_max = 2, .queue_max = 1});
  weir::cross::latch taken(1);
  weir::cross::event answer;
  std::atomic<int> served = 0;
  std::atomic<int> refused = 0;
  const auto query = [&]() -> weir::task<> { co_await answer.wait(); };
  const auto call = [&]() -> weir::task<> {
    ++(co_await weir::as_result(pool.run(query)) ? served : refused);
  };
  on_two_cores([&](int core) -> weir::task<> {
    co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
      if (core == 1) co_await taken.wait();
      for (int i = 0; i < 2; ++i) s.spawn(call);
      co_await weir::yield();
      if (core == 0) {
        taken.count_down();  // both places
      } else {
        std::printf("bulkhead: %d refused\n", refused.load());  // the other one stands in line
        answer.set();
      }
    });
  });
  std::printf("bulkhead: %d served\n", served.load());
}
// [/bulkhead]

// [limit]
void at_most_three_at_once() {
  weir::cross::concurrency_limit limit({.name = "search", .calls_max = 3});
  std::atomic<int> running = 0;
  std::atomic<int> too_many = 0;
  std::atomic<int> ended = 0;
  const auto search = [&]() -> weir::task<> {
    too_many += ++running > 3;
    co_await weir::sleep(1_ms);
    --running;
    ++ended;
  };
  on_two_cores([&](int) -> weir::task<> {
    co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
      for (int i = 0; i < 5; ++i)
        s.spawn([&]() -> weir::task<> { co_await limit.run(search); });  // waits for a place
      co_return;
    });
  });
  std::printf("limit: %d calls, %d too many at once\n", ended.load(), too_many.load());
}
// [/limit]

// [breaker]
void spare_the_other_core() {
  weir::cross::circuit_breaker breaker({.name = "pricing", .window_calls = 20, .calls_min = 4});
  weir::cross::latch found_out(1);
  std::atomic<int> asked = 0;
  const auto quote = [&]() -> weir::task<int> {
    ++asked;
    weir::raise(weir::error(weir::errc::busy, "pricing has no free worker"));
    co_return 0;
  };
  on_two_cores([&](int core) -> weir::task<> {
    if (core == 0) {
      for (int i = 0; i < 4; ++i) static_cast<void>(co_await weir::as_result(breaker.run(quote)));
      found_out.count_down();
      co_return;
    }
    co_await found_out.wait();
    const auto price = co_await weir::as_result(breaker.run(quote));
    std::printf("breaker: asked %d times, then %s\n", asked.load(),
                price.error().code() == weir::errc::refused ? "refused" : "asked again");
  });
}
// [/breaker]

// [rate_limit]
void one_rate_for_both() {
  weir::cross::rate_limiter bucket({.tokens = 1, .per = 1_h, .burst = 3});
  const weir::cross::rate_limit mails(bucket, 1_s);  // who would wait longer hears "no" at once
  std::atomic<int> sent = 0;
  const auto send = [&]() -> weir::task<> {
    ++sent;
    co_return;
  };
  std::atomic<int> refused = 0;
  on_two_cores([&](int) -> weir::task<> {
    for (int i = 0; i < 4; ++i) refused += !co_await weir::as_result(mails.run(send));
  });
  std::printf("rate: %d sent, %d refused\n", sent.load(), refused.load());
}
// [/rate_limit]

// [budget]
void few_retries() {
  // One retry for five calls of the program, whichever core makes them.
  weir::cross::retry_budget budget({.ratio = 0.2, .retries_per_second_min = 0, .window = 1_h});
  std::atomic<int> calls = 0;
  const auto fail = [&]() -> weir::task<> {
    ++calls;
    weir::raise(weir::error(weir::errc::busy, "down"));
    co_return;
  };
  on_two_cores([&](int) -> weir::task<> {
    for (int i = 0; i < 5; ++i) {
      static_cast<void>(co_await weir::as_result(
          weir::retry(weir::fixed(1_ms).recurs(3), fail, {.budget = &budget})));
    }
  });
  std::printf("budget: 10 asked, %d calls\n", calls.load());
}
// [/budget]

}  // namespace

int main() {
  few_places();
  at_most_three_at_once();
  spare_the_other_core();
  one_rate_for_both();
  few_retries();
}
