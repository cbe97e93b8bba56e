// Programs about calls that may fail: rates, breakers, caches, places, retries.
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/drill/internal/program_kit.hpp>
#include <weir/flow/bulkhead.hpp>
#include <weir/flow/call_cache.hpp>
#include <weir/flow/circuit_breaker.hpp>
#include <weir/flow/event.hpp>
#include <weir/flow/rate_limiter.hpp>
#include <weir/flow/retry.hpp>

#include <string>

namespace weir::drill {

namespace {

using namespace weir::literals;

task<> rate_is_kept() {
  constexpr std::int64_t tokens = 3;  // a second, which is no whole number of nanoseconds each
  rate_limiter rate({.tokens = tokens, .per = 1_s, .burst = 1});
  const time_point begun = now();
  std::int64_t passed = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 2; ++i) {
      s.spawn([&]() -> task<> {
        for (int calls = 0; calls < 4; ++calls) {
          co_await rate.acquire();
          ++passed;
          expect(passed <= 1 + (now() - begun).ns * tokens / (1_s).ns, "no more pass than may");
        }
      });
    }
    co_return;
  });
}

task<> line_goes_on_without_the_first() {
  rate_limiter rate({.tokens = 1, .per = 10_ms, .burst = 1});
  const time_point begun = now();
  co_await rate.acquire();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await as_result(with_timeout(5_ms, rate.acquire())); });
    s.spawn([&]() -> task<> { co_await rate.acquire(); });
    co_return;
  });
  expect(now() - begun == 10_ms, "the next token goes to who waits for it");
}

task<> fail_at_once() {
  raise(error(errc::busy, "the service is down"));
  co_return;
}

task<> one_probe_tries_it() {
  circuit_breaker breaker({.calls_min = 2, .open_for = 10_ms, .probes = 1});
  for (int i = 0; i < 2; ++i) co_await as_result(breaker.run(&fail_at_once));
  expect(breaker.state() == breaker_state::open, "a breaker opens when calls fail");
  co_await sleep(10_ms);
  int running = 0;
  const auto call = [&]() -> task<> {
    ++running;
    expect(breaker.state() != breaker_state::half_open || running == 1, "one probe at a time");
    co_await sleep(1_ms);
    --running;
  };
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) {
      s.spawn([&]() -> task<> { co_await as_result(breaker.run(call)); });
    }
    co_return;
  });
  expect(breaker.state() == breaker_state::closed, "a good probe closes it");
}

task<> late_failure_is_old_news() {
  circuit_breaker breaker({.calls_min = 2, .open_for = 10_ms, .probes = 1});
  const auto call = [](duration length, bool is_good) -> task<> {
    co_await sleep(length);
    if (!is_good) raise(error(errc::busy, "the service is down"));
  };
  const auto guarded = [&](duration after, duration length, bool is_good) -> task<> {
    co_await sleep(after);
    co_await as_result(breaker.run([&]() -> task<> { co_await call(length, is_good); }));
  };
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(guarded, duration(), 20_ms, false);  // begins before it opens, fails after that
    s.spawn(guarded, 1_ms, 1_ms, false);
    s.spawn(guarded, 2_ms, 1_ms, false);
    s.spawn(guarded, 15_ms, 10_ms, true);  // the probe
    co_return;
  });
  expect(breaker.stats().opened == 1, "a call from before says nothing about now");
  expect(breaker.state() == breaker_state::closed, "a good probe closes it");
}

task<> cancelled_probe_makes_room() {
  circuit_breaker breaker({.calls_min = 2, .open_for = 10_ms, .probes = 1});
  for (int i = 0; i < 2; ++i) co_await as_result(breaker.run(&fail_at_once));
  co_await sleep(10_ms);
  const auto slow = []() -> task<> { co_await sleep(1_h); };
  const auto probed = co_await as_result(with_timeout(1_ms, breaker.run(slow)));
  expect(!probed, "the probe takes too long for its caller");
  expect((co_await as_result(breaker.run([] { return sleep(1_ms); }))).has_value(),
         "another probe is let in instead of a cancelled one");
}

task<> next_reader_asks_again() {
  call_cache<int, std::string> users;
  int asked = 0;
  const auto load = [&]() -> task<std::string> {
    co_await yield();
    if (++asked == 1) raise(error(errc::busy, "the database restarts"));
    co_return "Ada";
  };
  co_await as_result(users.get(1, load));
  const auto again = co_await as_result(users.get(1, load));
  users.clear();
  expect(again && *again == "Ada", "a failure is not kept");
}

task<> maker_may_leave() {
  call_cache<int, std::string> users;
  const auto load = []() -> task<std::string> {
    co_await sleep(10_ms);
    co_return "Ada";
  };
  std::string got;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await as_result(with_timeout(2_ms, users.get(1, load))); });
    s.spawn([&]() -> task<> { got = co_await users.get(1, load); });
    co_return;
  });
  expect(got == "Ada", "whoever waits gets the value");
}

task<> outdated_value_is_not_kept() {
  call_cache<int, int> versions;
  int version = 1;
  const auto load = [&]() -> task<int> {
    const int read = version;
    co_await sleep(2_ms);
    co_return read;
  };
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await versions.get(1, load); });
    s.spawn([&]() -> task<> {
      co_await sleep(1_ms);
      version = 2;
      versions.erase(1);
    });
    co_return;
  });
  expect(co_await versions.get(1, load) == 2, "what was erased is read anew");
}

task<> value_is_loaded_once() {
  call_cache<int, int> versions;
  int version = 1;
  int loads = 0;  // of the second version
  const auto load = [&]() -> task<int> {
    const int read = version;
    loads += read == 2 ? 1 : 0;
    co_await sleep(3_ms);
    co_return read;
  };
  const auto read_at = [&](duration when) -> task<> {
    co_await sleep(when);
    co_await versions.get(1, load);
  };
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(read_at, duration());
    s.spawn(read_at, 2_ms);
    s.spawn(read_at, 4_ms);
    co_await sleep(1_ms);
    version = 2;
    versions.erase(1);
  });
  expect(loads == 1, "a value is loaded once, however many ask");
}

task<> line_has_room_again() {
  bulkhead places({.calls_max = 1, .queue_max = 1, .wait_max = 1_ms});
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await places.run([] { return sleep(10_ms); }); });
    co_await sleep(1_ms);
    for (int i = 0; i < 3; ++i) {
      const auto ran = co_await as_result(places.run([]() -> task<> { co_return; }));
      expect(!ran && ran.error().code() == errc::timed_out, "the line has room for one");
    }
  });
  expect(places.stats().waiting == 0, "nobody waits any more");
}

task<> retry_waits_as_asked() {
  const time_point begun = now();
  int attempts = 0;
  co_await retry(fixed(5_ms), [&]() -> task<> {
    if (++attempts == 1)
      throw call_refused(error(errc::refused, "come back later"), "service", 50_ms);
    co_return;
  });
  expect(attempts == 2, "it is tried again");
  expect(now() - begun == 50_ms, "a retry comes when it was asked to");
}

task<> retry_knows_the_deadline() {
  const time_point begun = now();
  int attempts = 0;
  const auto ask = [&]() -> task<> {
    ++attempts;
    co_await fail_at_once();
  };
  const auto request = [&]() -> task<> {
    co_await with_scope({.timeout = 10_s}, [&](scope&) -> task<> {
      co_await as_result(retry(fixed(300_ms), ask));
      expect(now() - begun == 900_ms, "no retry waits for a moment that does not come");
    });
  };
  co_await with_timeout(1_s, request());
  expect(attempts == 4, "it is tried while there is time");
}

}  // namespace

namespace programs {

constinit const mutant_program rate_kept{"no more calls pass than the rate allows", &rate_is_kept};
constinit const mutant_program rate_goes_on{"who gives up waiting for a token holds nobody up",
                                            &line_goes_on_without_the_first};
constinit const mutant_program one_probe{"a half-open breaker lets its probes in and no other call",
                                         &one_probe_tries_it};
constinit const mutant_program late_failure{
    "a call that began before a breaker opened does not count", &late_failure_is_old_news};
constinit const mutant_program probe_leaves{"a probe that is cancelled makes room for another",
                                            &cancelled_probe_makes_room};
constinit const mutant_program asks_again{
    "a value that could not be made is made when next asked for", &next_reader_asks_again};
constinit const mutant_program maker_leaves{
    "when who makes a shared value is cancelled, another does", &maker_may_leave};
constinit const mutant_program outdated{"a value that was erased is not found again",
                                        &outdated_value_is_not_kept};
constinit const mutant_program loaded_once{"readers share one load, also after an erase",
                                           &value_is_loaded_once};
constinit const mutant_program line_room{"who gives up waiting makes room in the line",
                                         &line_has_room_again};
constinit const mutant_program waits_as_asked{"a retry waits as long as it was asked to",
                                              &retry_waits_as_asked};
constinit const mutant_program knows_deadline{"a retry gives up when the deadline comes before it",
                                              &retry_knows_the_deadline};

}  // namespace programs
}  // namespace weir::drill
