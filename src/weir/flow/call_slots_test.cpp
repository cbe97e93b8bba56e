// Places for calls: bulkhead, concurrency limit (given and learned) and load shed.
#include <weir/core.hpp>
#include <weir/flow/bulkhead.hpp>
#include <weir/flow/concurrency_limit.hpp>
#include <weir/flow/flow_calls_test.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/flow/layers.hpp>
#include <weir/flow/load_shed.hpp>
#include <weir/testing/cancel_points.hpp>

#include <map>
#include <string>

namespace weir::call_slots_test {
namespace {

using namespace weir::literals;
using testing::elapsed;
using testing::scripted;

// Makes `count` calls at once and counts what they came to.
template <class Policy>
task<std::map<std::string, int>> at_once(Policy& by, scripted& server, int count) {
  std::map<std::string, int> ends;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < count; ++i) {
      s.spawn([&]() -> task<> {
        const auto end =
            co_await as_result(by.run([&]() -> task<int> { co_return co_await server.call(); }));
        ++ends[end ? "ok" : std::string(name(end.error().code()))];
      });
    }
    co_await s.join();
  });
  co_return ends;
}
using ends = std::map<std::string, int>;

FLOW_CONTRACT("a bulkhead runs so many calls and refuses the others at once") {
  typename Kit::bulkhead pool({.calls_max = 3});
  scripted server({{10_ms}});
  EXPECT_EQ(co_await at_once(pool, server, 5), (ends{{"ok", 3}, {"full", 2}}));
  EXPECT_EQ(server.inside_max, 3u);
  EXPECT_EQ(elapsed(), 10_ms);
  EXPECT_EQ(pool.stats().refused, 2u);
  EXPECT_EQ(pool.stats().running, 0u);
  EXPECT_TRUE(pool.is_ready());
}

FLOW_CONTRACT("with a line some wait, for so long") {
  typename Kit::bulkhead pool({.name = "db", .calls_max = 2, .queue_max = 3, .wait_max = 15_ms});
  scripted server({{10_ms}});
  EXPECT_EQ(co_await at_once(pool, server, 6), (ends{{"ok", 4}, {"full", 1}, {"timed_out", 1}}))
      << "two at once, two after 10 ms, one is still in line after 15 ms, one found it full";
  EXPECT_EQ(server.inside_max, 2u);
  scripted slow({{1_s}});
  try {
    co_await when_all(pool.run([&]() -> task<int> { co_return co_await slow.call(); }),
                      pool.run([&]() -> task<int> { co_return co_await slow.call(); }),
                      pool.run([&]() -> task<int> { co_return co_await slow.call(); }));
    ADD_FAILURE() << "the third one can't have found a place";
  } catch (const error_group& e) {
    const call_failure why(e.first());
    EXPECT_EQ(why.reason()->message(), "db: 2 calls are running and none ended within 15ms");
    EXPECT_TRUE(why.is_refusal());
  }
}

FLOW_CONTRACT("who waits is served in order") {
  typename Kit::bulkhead pool({.calls_max = 1, .queue_max = 10});
  std::vector<int> order;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 4; ++i) {
      s.spawn(
          [&](int number) -> task<> {
            co_await sleep(duration::milliseconds(number));
            co_await pool.run([&]() -> task<> {
              order.push_back(number);
              co_await sleep(10_ms);
            });
          },
          i);
    }
    co_await s.join();
  });
  EXPECT_EQ(order, (std::vector<int>{0, 1, 2, 3}));
}

FLOW_CONTRACT("a concurrency limit lets the others wait") {
  typename Kit::concurrency_limit limit({.calls_max = 4});
  scripted server({{10_ms}});
  EXPECT_EQ(co_await at_once(limit, server, 20), (ends{{"ok", 20}}));
  EXPECT_EQ(server.inside_max, 4u);
  EXPECT_EQ(elapsed(), 50_ms);
  EXPECT_EQ(limit.stats().limit, 4u) << "one that was given stays";
}

// Rounds of calls that take so long, at the limit unless `running` says otherwise.
void rounds(latency_gradient& learned, int count, duration took, std::uint32_t running = 0) {
  for (int i = 0; i < count; ++i) {
    for (std::uint32_t calls = std::max(10u, learned.limit()); calls > 0; --calls)
      learned.succeeded(took, running == 0 ? learned.limit() : running);
  }
}

TEST(LatencyGradient, grows_while_calls_are_as_fast_as_usual_and_only_when_they_are_many) {
  latency_gradient learned({.limit_initial = 10, .limit_max = 50});
  rounds(learned, 100, 10_ms, 4);
  EXPECT_EQ(learned.limit(), 10u) << "half of the places were free";
  EXPECT_EQ(learned.usual(), 10_ms);
  rounds(learned, 5, 10_ms);
  EXPECT_GE(learned.limit(), 18u);
  rounds(learned, 44, 10_ms);
  EXPECT_EQ(learned.limit(), 50u);
}

TEST(LatencyGradient, shrinks_when_calls_take_longer_than_usual_but_not_within_tolerance) {
  latency_gradient learned({.limit_initial = 100, .limit_min = 5, .queue = 1});
  rounds(learned, 1, 10_ms, 10);
  rounds(learned, 1, 14_ms);
  EXPECT_EQ(learned.limit(), 105u) << "1.5 times as long is tolerated";
  rounds(learned, 1, 100_ms);
  EXPECT_NEAR(learned.limit(), 105 * 0.75 + 5, 1) << "half the limit is the aim, half is done";
  rounds(learned, 30, 100_ms);
  EXPECT_LE(learned.limit(), 8u);
  EXPECT_GE(learned.limit(), 5u);
}

TEST(LatencyGradient, measures_what_is_usual_with_a_few_calls) {
  latency_gradient learned({.limit_initial = 100, .probe_rounds = 5});
  rounds(learned, 5, 80_ms);
  EXPECT_EQ(learned.usual(), 80_ms) << "the first round was all that it had to go by";
  rounds(learned, 1, 80_ms);
  const std::uint32_t probing = learned.limit();
  EXPECT_EQ(probing, 3u) << "whatever it had grown to";
  for (int i = 0; i < 100; ++i) learned.succeeded(80_ms, probing + 30);
  EXPECT_EQ(learned.limit(), probing) << "calls of before, among many, say nothing about it";
  for (std::uint32_t i = 0; i < probing; ++i) learned.succeeded(80_ms, probing);
  EXPECT_EQ(learned.usual(), 80_ms) << "those of before that end among few don't, either";
  EXPECT_EQ(learned.limit(), probing);
  rounds(learned, 1, 20_ms);
  EXPECT_EQ(learned.usual(), 20_ms);
  const std::uint32_t before = learned.limit();
  EXPECT_GE(before, 100u);
  rounds(learned, 1, 80_ms);
  EXPECT_LT(learned.limit(), before) << "now 80 ms are too much";
}

TEST(LatencyGradient, an_overload_counts_once_in_the_time_of_a_call) {
  latency_gradient learned({.limit_initial = 100, .limit_min = 80});
  rounds(learned, 1, 10_ms, 1);
  const time_point now(1'000'000'000);
  for (int i = 0; i < 5; ++i) learned.overloaded(now + 1_ms);
  EXPECT_EQ(learned.limit(), 90u);
  learned.overloaded(now + 11_ms);
  EXPECT_EQ(learned.limit(), 81u);
  learned.overloaded(now + 1_s);
  EXPECT_EQ(learned.limit(), 80u);
  EXPECT_THROW(latency_gradient({.limit_initial = 5, .limit_min = 6}), exception);
  EXPECT_THROW(latency_gradient({.tolerance = 0.5}), exception);
}

TEST(LatencyGradient, an_overload_before_any_call_has_succeeded_counts_once_in_10_ms) {
  latency_gradient learned({.limit_initial = 100});
  const time_point now(1'000'000'000);
  for (int i = 0; i < 20; ++i) learned.overloaded(now);
  EXPECT_EQ(learned.limit(), 90u);
  learned.overloaded(now + 9_ms);
  EXPECT_EQ(learned.limit(), 90u);
  learned.overloaded(now + 10_ms);
  EXPECT_EQ(learned.limit(), 81u);
}

// What a limit learns from a server that serves so many calls at once: more of them share that, so
// each takes longer. 64 callers would use up to 64 places.
template <class Kit>
task<std::uint32_t> learned_from(std::uint32_t capacity, std::uint32_t first_guess = 4) {
  typename Kit::concurrency_limit limit(
      {.name = "learned"},
      {.limit_initial = first_guess, .limit_min = 2, .limit_max = 500, .queue = 2});
  std::uint32_t inside = 0;
  const auto serve = [&]() -> task<> {
    ++inside;
    co_await sleep(inside <= capacity ? 10_ms : 10_ms * inside / capacity);
    --inside;
  };
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 64; ++i) {
      s.spawn([&]() -> task<> {
        for (int round = 0; round < 50; ++round) co_await limit.run(serve);
      });
    }
    co_await s.join();
  });
  co_return limit.stats().limit;
}

FLOW_CONTRACT("a limit that learns finds about what a server can take") {
  const std::uint32_t small = co_await learned_from<Kit>(8);
  EXPECT_GE(small, 8u);
  EXPECT_LE(small, 32u);
  EXPECT_GE(co_await learned_from<Kit>(1000), 64u);
  const std::uint32_t from_above = co_await learned_from<Kit>(5, 60);
  EXPECT_GE(from_above, 5u);
  EXPECT_LE(from_above, 20u) << "though the queue was there from the start";
}

FLOW_CONTRACT("a limit that learns shrinks when calls are refused over there") {
  typename Kit::concurrency_limit limit({}, {.limit_initial = 100, .limit_min = 10});
  scripted down({{10_ms, errc::busy}});
  for (int i = 0; i < 5; ++i) static_cast<void>(co_await at_once(limit, down, 10));
  EXPECT_LT(limit.stats().limit, 65u);
  scripted bad({{1_ms, errc::not_found}});
  const std::uint32_t before = limit.stats().limit;
  static_cast<void>(co_await at_once(limit, bad, 10));
  EXPECT_EQ(limit.stats().limit, before) << "other failures say nothing about load";
}

FLOW_CONTRACT("load shed refuses what would have to wait") {
  typename Kit::concurrency_limit limit({.calls_max = 2});
  load_shed shed(limit, {.name = "front"});
  scripted server({{10_ms}});
  EXPECT_EQ(co_await at_once(shed, server, 5), (ends{{"ok", 2}, {"full", 3}}));
  EXPECT_EQ(shed.stats().refused_busy, 3u);
  EXPECT_EQ(limit.stats().refused, 0u) << "they were not asked for";
  EXPECT_EQ(shed.stats().usual, 10_ms);
}

FLOW_CONTRACT("load shed refuses what can't be done before the deadline, and keeps trying") {
  typename Kit::bulkhead pool({.calls_max = 10});
  load_shed shed(pool);
  scripted server({{100_ms}});
  static_cast<void>(co_await at_once(shed, server, 1));
  const auto call = [&]() -> task<int> { co_return co_await server.call(); };
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await shed.run(call); });
    co_await sleep(1_ms);
    const time_point before = loop::current()->now();
    co_await testing::expect_raises<errc::timed_out>(with_timeout(50_ms, shed.run(call)));
    EXPECT_EQ(loop::current()->now(), before) << "at once, and not after 50 ms";
    EXPECT_EQ(co_await with_timeout(150_ms, shed.run(call)), 3);
    co_await s.join();
  });
  EXPECT_EQ(shed.stats().refused_hopeless, 1u);
  co_await testing::expect_raises<errc::timed_out>(with_timeout(50_ms, shed.run(call)));
  EXPECT_EQ(server.calls, 4u) << "while none runs, one is let in";
}

TEST(CallLimits, what_cannot_be_meant_is_refused) {
  EXPECT_THROW(bulkhead({.calls_max = 0}), exception);
  EXPECT_THROW(bulkhead({.wait_max = -1_ms}), exception);
  EXPECT_THROW(concurrency_limit({.calls_max = 0}), exception);
  EXPECT_THROW(concurrency_limit({}, {.limit_min = 0}), exception);
}

template <class Kit>
void a_cancelled_call_keeps_no_place_and_leaves_the_line() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::bulkhead pool({.calls_max = 1, .queue_max = 5, .wait_max = 3_ms});
    scripted server({{2_ms}});
    const auto twice = [](typename Kit::bulkhead* by, scripted* to) -> task<> {
      for (int i = 0; i < 2; ++i) {
        static_cast<void>(
            co_await as_result(by->run([&]() -> task<int> { co_return co_await to->call(); })));
      }
    };
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(twice, &pool, &server);
      s.spawn(twice, &pool, &server);
      co_await v.run(twice(&pool, &server));
    });
    EXPECT_EQ(pool.stats().running, 0u);
    EXPECT_EQ(pool.stats().waiting, 0u);
    EXPECT_EQ(server.inside_max, 1u);
  });
}
TEST(CallLimits, a_cancelled_call_keeps_no_place_and_leaves_the_line) {
  a_cancelled_call_keeps_no_place_and_leaves_the_line<local_flow>();
  a_cancelled_call_keeps_no_place_and_leaves_the_line<cross_flow>();
}

}  // namespace
}  // namespace weir::call_slots_test
