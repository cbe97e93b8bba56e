// Policies for calls that may fail, one function for each; docs/guide/resilience.md shows them. It
// runs to its end by itself.
#include <weir/flow/resilience.hpp>

#include <weir/flow/cron.hpp>
#include <weir/flow/latency_gradient.hpp>
#include <weir/flow/latency_histogram.hpp>
#include <weir/io.hpp>

#include <cstdio>
#include <string>

using namespace weir::literals;

namespace {

// What stands for a service somewhere else: it fails so many times, and then answers.
struct pricing {
  int failures_left = 0;
  int calls = 0;
  weir::duration takes = 1_ms;

  weir::task<int> quote(const char* item) {
    ++calls;
    co_await weir::sleep(takes);
    if (failures_left > 0) {
      --failures_left;
      weir::raise(weir::error(weir::errc::busy, "pricing has no free worker"));
    }
    co_return item[0];
  }
};

// [retry]
weir::task<int> patient_quote(pricing& server) {
  co_return co_await weir::retry(
      weir::exponential(2_ms, 1_s).jittered().recurs(5).up_to(30_s),
      [&]() -> weir::task<int> { co_return co_await server.quote("apples"); });
}
// [/retry]

// [sparing]
// One retry for ten calls; and two in ten seconds whatever the calls, for those who call rarely.
weir::task<> retry_sparingly(pricing& down) {
  weir::retry_budget budget({.ratio = 0.1, .retries_per_second_min = 0.2, .window = 10_s});
  for (int i = 0; i < 5; ++i) {
    static_cast<void>(co_await weir::as_result(
        weir::retry(weir::fixed(1_ms).recurs(3),
                    [&]() -> weir::task<int> { co_return co_await down.quote("melons"); },
                    {.budget = &budget})));
  }
  std::printf("sparing: 5 asked, %d calls\n", down.calls);
}
// [/sparing]

// [gave_up]
weir::task<> tell_why(pricing& server) {
  try {
    co_await weir::retry(weir::fixed(1_ms).recurs(1),
                         [&]() -> weir::task<int> { co_return co_await server.quote("pears"); },
                         {.name = "pricing"});
  } catch (const weir::attempts_failed& e) {
    for (const weir::error* why = e.reason().cause(); why; why = why->cause())
      std::printf("%s\n", std::string(why->message()).c_str());
  }
}
// [/gave_up]

// [breaker]
weir::task<> spare_a_broken_service(pricing& server) {
  weir::circuit_breaker breaker(
      {.name = "pricing", .failure_percent = 50, .window_calls = 20, .calls_min = 4});
  for (int i = 0; i < 6; ++i) {
    try {
      co_await breaker.run([&]() -> weir::task<int> { co_return co_await server.quote("plums"); });
    } catch (const weir::call_refused&) {
      std::printf("breaker: not asked\n");  // and e.retry_after() says when to come again
    } catch (const weir::exception&) {
      std::printf("breaker: failed\n");
    }
  }
}
// [/breaker]

// [limits]
weir::task<> guard_a_database() {
  weir::bulkhead pool({.name = "db", .calls_max = 2, .queue_max = 1});
  weir::load_shed front(pool);  // for those who would rather hear "no" than wait
  const auto query = []() -> weir::task<> { co_await weir::sleep(5_ms); };
  int refused = 0;
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    for (int i = 0; i < 5; ++i) {
      s.spawn([&]() -> weir::task<> {
        if (!co_await weir::as_result(front.run(query))) ++refused;
      });
    }
    co_await s.join();
  });
  std::printf("limits: %d of 5 refused\n", refused);
}
// [/limits]

// [adaptive]
weir::concurrency_limit learned() {
  return weir::concurrency_limit(
      {.name = "search", .queue_max = 1000},
      {.limit_initial = 20, .limit_min = 5, .limit_max = 400, .tolerance = 2});
}
// [/adaptive]

// [hedge]
weir::task<int> quick_quote(pricing& near, pricing& far) {
  int asked = 0;
  co_return co_await weir::hedge({.delay = 5_ms}, [&]() -> weir::task<int> {
    pricing& server = ++asked == 1 ? near : far;
    co_return co_await server.quote("cherries");
  });
}
// [/hedge]

// [fallback]
weir::task<int> some_quote(pricing& server) {
  co_return co_await weir::fallback(
      [&]() -> weir::task<int> { co_return co_await server.quote("figs"); },
      [](const weir::call_failure& why) {
        std::printf("fallback: %s\n", why.text().c_str());
        return 100;  // or a task that asks somebody else
      });
}
// [/fallback]

// [cache]
weir::task<> ask_together(pricing& server) {
  weir::call_cache<std::string, int> quotes({.fresh_for = 1_min, .stale_for = 1_h});
  const auto load = [&](const std::string& item) -> weir::task<int> {
    co_return co_await server.quote(item.c_str());
  };
  co_await weir::with_scope([&](weir::scope& s) -> weir::task<> {
    for (int i = 0; i < 10; ++i)
      s.spawn([&]() -> weir::task<> { co_await quotes.get("dates", load); });
    co_await s.join();
  });
  std::printf("cache: 10 asked, %d call\n", server.calls);
}
// [/cache]

// [few]
weir::task<> keep_few(pricing& server) {
  weir::call_cache<char, int> quotes({.entries_max = 2});
  const auto load = [&](char item) -> weir::task<int> {
    const char text[] = {item, '\0'};
    co_return co_await server.quote(text);
  };
  for (const char item : {'a', 'b', 'a', 'c', 'b'}) co_await quotes.get(item, load);
  std::printf("few: %d calls, %d kept\n", server.calls, static_cast<int>(quotes.stats().entries));
}
// [/few]

// [cached]
weir::task<> ask_through_a_cache(pricing& server) {
  weir::call_cache<std::string, int> quotes({.fresh_for = 1_min});
  for (const char* item : {"figs", "figs", "nuts"}) {
    auto through = weir::layers(weir::cached(quotes, item), weir::retry_policy(weir::fixed(1_ms)));
    co_await through.run([&]() -> weir::task<int> { co_return co_await server.quote(item); });
  }
  std::printf("cached: 3 asked, %d hit\n", static_cast<int>(quotes.stats().hits));
}
// [/cached]

// [layers]
weir::task<> all_together(pricing& server) {
  weir::retry_budget budget;  // shared by all calls of the program: retries stay a fifth of them
  weir::circuit_breaker breaker({.name = "pricing"});
  weir::bulkhead pool({.calls_max = 10});
  auto guarded =
      weir::layers(weir::time_limit(30_s),  // outermost: of all attempts together
                   weir::retry_policy(weir::exponential(1_ms, 1_s).jittered(), {.budget = &budget}),
                   breaker, pool,
                   weir::time_limit(5_s));  // innermost: of each attempt
  const int price =
      co_await guarded.run([&]() -> weir::task<int> { co_return co_await server.quote("grapes"); });
  std::printf("layers: %d after %d calls\n", price, server.calls);
}
// [/layers]

// [repeat]
weir::task<> clean_up_at_night() {
  co_await weir::follow(weir::cron("0 3 * * mon-fri"), []() -> weir::task<> { co_return; });
}
// [/repeat]

weir::task<> report_twice() {
  int reports = 0;
  co_await weir::repeat(weir::fixed(1_ms).recurs(1), [&]() -> weir::task<> {
    ++reports;
    co_return;
  });
  std::printf("repeat: %d reports\n", reports);
}

// [delays]
// What a schedule will do, without a clock and without waiting for it.
void print_delays(const char* name, const weir::schedule& of) {
  weir::schedule_run run(of, {}, 1);  // luck with seed 1
  std::printf("%s:", name);
  for (int i = 0; i < 5; ++i) {
    if (const auto delay = run.next({}))
      std::printf(" %d ms", static_cast<int>(delay->ns / 1'000'000));
  }
  std::printf("\n");
}
void plan_ahead() {
  print_delays("fibonacci", weir::fibonacci(10_ms));
  print_delays("capped", weir::decorrelated(10_ms, 10_ms));
  const weir::cron_times nightly = *weir::cron_times::parse("0 3 * * *");
  const weir::time_point first = nightly.next_after(weir::time_point());  // after 1970 began
  std::printf("nightly: at %d o'clock\n", static_cast<int>(first.ns / (1_h).ns));
}
// [/delays]

// [judge]
// Which failures may pass is for the caller to know: a replica may not have heard of it yet.
bool may_come_later(const weir::call_failure& what) {
  return weir::is_transient(what) || what.code() == weir::errc::not_found;
}
weir::task<int> ask_a_replica(int& calls) {
  co_return co_await weir::retry(
      weir::fixed(1_ms).recurs(3),
      [&]() -> weir::task<int> {
        if (++calls < 3) weir::raise(weir::error(weir::errc::not_found, "not here yet"));
        co_return calls;
      },
      {.should_retry = may_come_later});
}
// A hedge asks the same: a "no" of that kind lets the next call begin at once.
weir::task<int> ask_any_replica(int& calls) {
  co_return co_await weir::hedge(
      {.delay = 1_s, .may_pass = may_come_later}, [&]() -> weir::task<int> {
        if (++calls < 2) weir::raise(weir::error(weir::errc::not_found, "not here yet"));
        co_return calls;
      });
}
// And what speaks against a service: of this one a "no" does, though of others it is an answer.
weir::breaker_verdict strict(const weir::call_failure& what) {
  return what.code() == weir::errc::permission_denied ? weir::breaker_verdict::failure
                                                      : weir::judge_failure(what);
}
// [/judge]

weir::task<> judge_tour() {
  int calls = 0;
  std::printf("judge: answered by call %d\n", co_await ask_a_replica(calls));
  calls = 0;
  std::printf("hedge: answered by call %d\n", co_await ask_any_replica(calls));
  weir::circuit_breaker breaker({.calls_min = 1, .judge = strict});
  const auto refuse = []() -> weir::task<> {
    weir::raise(weir::error(weir::errc::permission_denied, "no"));
    co_return;
  };
  static_cast<void>(co_await weir::as_result(breaker.run(refuse)));
  std::printf("judge: %s\n",
              breaker.stats().state == weir::breaker_state::open ? "open" : "closed");
}

// [learned]
// What limits and hedges learn from; both take the time as an argument.
void learn_from_latencies() {
  weir::latency_histogram took;
  for (int i = 1; i <= 100; ++i) took.add(weir::duration::milliseconds(i), weir::time_point());
  const weir::duration median = took.percentile(50, weir::time_point());
  std::printf("median: %s\n", median >= 50_ms && median < 60_ms ? "some 50 ms" : "wrong");

  weir::latency_gradient limit({.limit_initial = 20});
  limit.overloaded(weir::time_point());  // the other side has said that it is too much
  std::printf("limit: %d\n", static_cast<int>(limit.limit()));
}
// [/learned]

// [client]
// Retries that nobody pays for: an end to them, at a turn of a switch.
class no_retries final : public weir::retry_fund {
 public:
  void deposit(weir::time_point) noexcept override {}
  bool try_withdraw(weir::time_point) noexcept override { return false; }
};

// A client keeps its policies as members, so that they learn and count over all of its calls.
struct pricing_client {
  explicit pricing_client(pricing& of) : server(of) {}

  weir::task<int> quote(const char* item) {
    co_return co_await calls.run([&]() -> weir::task<int> {
      co_return co_await hedged.run(
          [&]() -> weir::task<int> { co_return co_await server.quote(item); });
    });
  }
  static int usual_price(const weir::call_failure&) { return 100; }

  pricing& server;
  weir::hedge_policy hedged{{.delay = 50_ms}};
  weir::fallback_policy<int (*)(const weir::call_failure&)> usual{usual_price,
                                                                  {.when = weir::is_any_failure}};
  weir::bulkhead pool{{.calls_max = 10}};
  weir::layered<weir::fallback_policy<int (*)(const weir::call_failure&)>&, weir::bulkhead&> calls{
      usual, pool};
};
// [/client]

weir::task<> client_tour() {
  pricing shaky{.failures_left = 2};  // the first one and its hedge
  pricing_client client(shaky);
  std::printf("client: %d", co_await client.quote("apples"));
  std::printf(", then %d\n", co_await client.quote("apples"));
  no_retries nothing;
  pricing once{.failures_left = 1};
  static_cast<void>(co_await weir::as_result(weir::retry(
      weir::fixed(1_ms), [&]() -> weir::task<int> { co_return co_await once.quote("pears"); },
      {.budget = &nothing})));
  std::printf("no retries: %d call\n", once.calls);
}

weir::task<> tour() {
  pricing shaky{.failures_left = 2};
  std::printf("retry: %d after %d calls\n", co_await patient_quote(shaky), shaky.calls);
  pricing down{.failures_left = 1000};
  pricing gone{.failures_left = 1000};
  co_await retry_sparingly(gone);
  co_await tell_why(down);
  co_await spare_a_broken_service(down);
  co_await guard_a_database();
  const weir::concurrency_limit search = learned();
  std::printf("adaptive: begins with %d\n", static_cast<int>(search.stats().limit));
  pricing slow{.takes = 1_min};
  pricing fast;
  std::printf("hedge: %d\n", co_await quick_quote(slow, fast));
  std::printf("fallback: %d\n", co_await some_quote(down));
  pricing fine;
  co_await ask_together(fine);
  pricing small;
  co_await keep_few(small);
  pricing through;
  co_await ask_through_a_cache(through);
  pricing again{.failures_left = 2};
  co_await all_together(again);
  static_cast<void>(co_await weir::as_result(weir::with_timeout(1_ms, clean_up_at_night())));
  co_await report_twice();
  plan_ahead();
  co_await judge_tour();
  learn_from_latencies();
  co_await client_tour();
}

}  // namespace

int main() { return weir::run(tour()); }
