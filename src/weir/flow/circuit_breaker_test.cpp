#include <weir/flow/circuit_breaker.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_calls_test.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <string>
#include <vector>

namespace weir::circuit_breaker_test {
namespace {

using namespace weir::literals;
using testing::elapsed;
using testing::scripted;

// What a call through the breaker came to: ok, the name of an error's code, or "not let in".
template <class Breaker>
task<std::string> through(Breaker& breaker, scripted& server) {
  bool was_called = false;
  try {
    co_await breaker.run([&]() -> task<int> {
      was_called = true;
      co_return co_await server.call();
    });
  } catch (const call_refused& e) {
    EXPECT_FALSE(was_called) << "it said that it let no call in";
    co_return "not let in";
  } catch (const exception& e) {
    co_return std::string(name(e.reason().code()));
  }
  co_return "ok";
}
template <class Breaker>
task<> all_through(Breaker& breaker, scripted& server, int count) {
  for (int i = 0; i < count; ++i) static_cast<void>(co_await through(breaker, server));
}

FLOW_CONTRACT("it opens when so many of the last calls failed, and not before there are enough") {
  typename Kit::circuit_breaker breaker(
      {.failure_percent = 50, .window_calls = 10, .calls_min = 6});
  scripted server({{0_ms}, {0_ms}, {0_ms}, {0_ms, errc::io}});
  co_await all_through(breaker, server, 5);
  EXPECT_EQ(breaker.state(), breaker_state::closed) << "2 of 5 failed, and 5 are too few";
  EXPECT_EQ(co_await through(breaker, server), "io");
  EXPECT_EQ(breaker.state(), breaker_state::open) << "3 of 6";
  EXPECT_EQ(co_await through(breaker, server), "not let in");
  EXPECT_EQ(breaker.stats().refused, 1u);
  EXPECT_EQ(breaker.stats().opened, 1u);
  EXPECT_EQ(breaker.stats().failed, 3u);
}

FLOW_CONTRACT("only the last calls count: old failures are forgotten") {
  typename Kit::circuit_breaker breaker({.failure_percent = 50, .window_calls = 4, .calls_min = 4});
  scripted server({{0_ms, errc::io}, {0_ms}, {0_ms}, {0_ms}, {0_ms}, {0_ms, errc::io}});
  co_await all_through(breaker, server, 6);
  EXPECT_EQ(breaker.state(), breaker_state::closed);
  EXPECT_EQ(breaker.stats().window_calls, 4u);
  EXPECT_EQ(breaker.stats().window_failed, 1u);
  EXPECT_EQ(co_await through(breaker, server), "io");
  EXPECT_EQ(breaker.state(), breaker_state::open);
}

FLOW_CONTRACT("a window of time forgets by age") {
  typename Kit::circuit_breaker breaker(
      {.failure_percent = 50, .window_time = 10_s, .calls_min = 4});
  scripted server({{0_ms, errc::io}});
  co_await all_through(breaker, server, 3);
  co_await sleep(11_s);
  co_await all_through(breaker, server, 3);
  EXPECT_EQ(breaker.state(), breaker_state::closed);
  EXPECT_EQ(breaker.stats().window_calls, 3u);
  co_await all_through(breaker, server, 1);
  EXPECT_EQ(breaker.state(), breaker_state::open);
}

FLOW_CONTRACT("slow calls open it, too, whether they fail or not") {
  typename Kit::circuit_breaker breaker(
      {.slow_percent = 50, .slow_call = 100_ms, .window_calls = 4, .calls_min = 4});
  scripted server({{100_ms}, {100_ms}, {101_ms}, {101_ms, errc::not_found}});
  co_await all_through(breaker, server, 3);
  EXPECT_EQ(breaker.stats().window_slow, 1u) << "as long as slow_call is not yet slow";
  EXPECT_EQ(co_await through(breaker, server), "not_found");
  EXPECT_EQ(breaker.state(), breaker_state::open);
  EXPECT_EQ(breaker.stats().failed, 0u);
}

FLOW_CONTRACT("a refusal says how long, and what the last failure was") {
  typename Kit::circuit_breaker breaker({.name = "pricing", .calls_min = 1, .open_for = 30_s});
  scripted server({{0_ms, errc::broken}});
  co_await all_through(breaker, server, 1);
  co_await sleep(10_s);
  try {
    co_await breaker.run([&]() -> task<int> { co_return co_await server.call(); });
    ADD_FAILURE() << "it was let in";
  } catch (const call_refused& e) {
    EXPECT_EQ(e.reason().code(), errc::refused);
    EXPECT_EQ(e.retry_after(), 20_s);
    EXPECT_STREQ(e.by(), "pricing");
    EXPECT_EQ(e.reason().message(), "pricing: the circuit breaker is open for another 20s");
    EXPECT_EQ(e.reason().cause()->code(), errc::broken);
  }
}

// An open breaker whose time has passed, with this script for what comes.
template <class Kit>
struct probed {
  typename Kit::circuit_breaker breaker;
  scripted server;
  probed(breaker_options options, std::vector<testing::scripted_answer> script)
      : breaker(with(options)), server(std::move(script)) {}
  task<> open_and_wait() {
    scripted down({{0_ms, errc::io}});
    co_await all_through(breaker, down, 1);
    EXPECT_EQ(breaker.state(), breaker_state::open);
    EXPECT_FALSE(breaker.is_ready());
    co_await sleep(60_s);
    EXPECT_EQ(breaker.state(), breaker_state::open) << "it is tried when a call comes";
    EXPECT_TRUE(breaker.is_ready());
  }
  static breaker_options with(breaker_options options) {
    options.calls_min = 1;
    return options;
  }
};

FLOW_CONTRACT("after its time some probes are let in, and when they do well it closes") {
  probed<Kit> all({.probes = 3}, {{10_ms}, {10_ms, errc::io}, {10_ms}});
  co_await all.open_and_wait();
  std::vector<std::string> outcomes;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 5; ++i) {
      s.spawn([&]() -> task<> { outcomes.push_back(co_await through(all.breaker, all.server)); });
    }
    co_await sleep(1_ms);
    EXPECT_EQ(all.breaker.state(), breaker_state::half_open);
    EXPECT_EQ(outcomes, (std::vector<std::string>{"not let in", "not let in"}));
    EXPECT_FALSE(all.breaker.is_ready());
    co_await s.join();
  });
  EXPECT_EQ(all.breaker.state(), breaker_state::closed) << "one of three failed";
  EXPECT_EQ(all.breaker.stats().window_calls, 0u) << "what was before is forgotten";
}

FLOW_CONTRACT("when too many probes fail it opens again, for the whole time") {
  probed<Kit> all({.probes = 2}, {{10_ms}, {10_ms, errc::io}});
  co_await all.open_and_wait();
  co_await all_through(all.breaker, all.server, 2);
  EXPECT_EQ(all.breaker.state(), breaker_state::open);
  EXPECT_EQ(all.breaker.stats().opened, 2u);
  co_await sleep(59_s);
  EXPECT_EQ(co_await through(all.breaker, all.server), "not let in");
  co_await sleep(1_s);
  EXPECT_EQ(co_await through(all.breaker, all.server), "io");
}

FLOW_CONTRACT("slow probes open it again") {
  probed<Kit> all({.slow_call = 1_s, .probes = 1}, {{2_s}});
  co_await all.open_and_wait();
  EXPECT_EQ(co_await through(all.breaker, all.server), "ok");
  EXPECT_EQ(all.breaker.state(), breaker_state::open);
}

FLOW_CONTRACT("a probe that is cancelled or ignored gives its place to another") {
  probed<Kit> all({.probes = 1}, {{1_h}, {0_ms}});
  co_await all.open_and_wait();
  co_await testing::expect_raises<errc::timed_out>(with_timeout(
      1_s, all.breaker.run([&]() -> task<int> { co_return co_await all.server.call(); })));
  EXPECT_EQ(all.breaker.state(), breaker_state::half_open);
  co_await testing::expect_raises<errc::full>(all.breaker.run([]() -> task<> {
    throw call_refused(error(errc::full), "a bulkhead inside");
    co_return;
  }));
  EXPECT_EQ(all.breaker.state(), breaker_state::half_open);
  EXPECT_EQ(co_await through(all.breaker, all.server), "ok");
  EXPECT_EQ(all.breaker.state(), breaker_state::closed);
}

FLOW_CONTRACT("probes that take too long open it again, and their ends don't count any more") {
  probed<Kit> all({.probes = 1, .probes_time_max = 5_s}, {{70_s}, {0_ms}});
  co_await all.open_and_wait();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { EXPECT_EQ(co_await through(all.breaker, all.server), "ok"); });
    co_await sleep(5_s);
    EXPECT_EQ(co_await through(all.breaker, all.server), "not let in");
    EXPECT_EQ(all.breaker.state(), breaker_state::open);
    co_await sleep(64_s);
    EXPECT_EQ(all.server.inside_now, 1u);
    EXPECT_EQ(co_await through(all.breaker, all.server), "ok");
    EXPECT_EQ(all.breaker.state(), breaker_state::closed);
    co_await s.join();
  });
  EXPECT_EQ(all.breaker.stats().window_calls, 0u);
}

FLOW_CONTRACT("a call that began before it opened says nothing about how things are now") {
  typename Kit::circuit_breaker breaker(
      {.window_calls = 10, .calls_min = 1, .open_for = 1_s, .probes = 1});
  scripted slow_to_fail({{3_s, errc::io}});
  scripted down({{0_ms, errc::io}});
  scripted up({{0_ms}});
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { EXPECT_EQ(co_await through(breaker, slow_to_fail), "io"); });
    co_await sleep(1_ms);
    co_await all_through(breaker, down, 1);
    co_await sleep(1_s);
    co_await all_through(breaker, up, 1);
    EXPECT_EQ(breaker.state(), breaker_state::closed);
    co_await s.join();
  });
  EXPECT_EQ(breaker.state(), breaker_state::closed);
  EXPECT_EQ(breaker.stats().failed, 2u) << "it is counted all the same";
}

FLOW_CONTRACT("an answer, even a no, says that the callee works; results count like exceptions") {
  typename Kit::circuit_breaker breaker({.window_calls = 4, .calls_min = 1});
  scripted server({{0_ms, errc::not_found}, {0_ms, errc::invalid_argument}, {0_ms, errc::io}});
  const auto call = [&]() -> task<result<int>> { co_return co_await server.try_call(); };
  for (int i = 0; i < 2; ++i) static_cast<void>(co_await breaker.run(call));
  EXPECT_EQ(breaker.state(), breaker_state::closed);
  static_cast<void>(co_await breaker.run(call));
  EXPECT_EQ(breaker.state(), breaker_state::closed) << "one of three";
  static_cast<void>(co_await breaker.run(call));
  EXPECT_EQ(breaker.state(), breaker_state::open);
}

/// A value that can be handed on so many times.
struct fragile {
  int* moves_left;
  explicit fragile(int* left) noexcept : moves_left(left) {}
  fragile(const fragile& other) : moves_left(other.moves_left) {
    if ((*moves_left)-- == 0) raise(error(errc::broken, "not handed on"));
  }
  fragile& operator=(const fragile&) = delete;
  ~fragile() = default;
};

FLOW_CONTRACT("a call that has succeeded stays a success when its value can't be handed on") {
  typename Kit::circuit_breaker breaker({});
  std::uint64_t calls = 0;
  for (bool has_passed = false; !has_passed; ++calls) {
    int moves_left = static_cast<int>(calls);
    try {
      static_cast<void>(
          co_await breaker.run([&]() -> task<fragile> { co_return fragile(&moves_left); }));
      has_passed = true;
    } catch (const exception& e) {
      EXPECT_EQ(e.reason().code(), errc::broken);
    }
  }
  EXPECT_GE(breaker.stats().succeeded, 2u) << "the last one, and one that was lost after its end";
  EXPECT_EQ(breaker.stats().succeeded + breaker.stats().failed, calls);
}

FLOW_CONTRACT("by hand it is opened, let through, and put back") {
  typename Kit::circuit_breaker breaker({.calls_min = 1});
  scripted down({{0_ms, errc::io}});
  breaker.force_open();
  co_await sleep(1_h);
  EXPECT_EQ(co_await through(breaker, down), "not let in");
  breaker.disable();
  co_await all_through(breaker, down, 5);
  EXPECT_EQ(breaker.state(), breaker_state::disabled);
  EXPECT_EQ(down.calls, 5u);
  breaker.reset();
  EXPECT_EQ(breaker.state(), breaker_state::closed);
  co_await all_through(breaker, down, 1);
  EXPECT_EQ(breaker.state(), breaker_state::open);
}

FLOW_CONTRACT("a call that says that it was cancelled counts nowhere") {
  typename Kit::circuit_breaker breaker({.window_calls = 2, .calls_min = 2});
  scripted stopped({{1_ms, errc::cancelled}});
  for (int i = 0; i < 5; ++i) {
    std::ignore =
        co_await as_result(breaker.run([&]() -> task<int> { co_return co_await stopped.call(); }));
  }
  EXPECT_EQ(breaker.state(), breaker_state::closed);
  EXPECT_EQ(breaker.stats().window_calls, 0u);
}

TEST(CircuitBreaker, what_cannot_be_meant_is_refused) {
  EXPECT_THROW(circuit_breaker({.slow_call = 0_s}), exception);
  EXPECT_THROW(circuit_breaker({.failure_percent = 0}), exception);
  EXPECT_THROW(circuit_breaker({.slow_percent = 101}), exception);
  EXPECT_THROW(circuit_breaker({.window_calls = 0}), exception);
  EXPECT_THROW(circuit_breaker({.window_time = 1_ns}), exception);
  EXPECT_THROW(circuit_breaker({.calls_min = 0}), exception);
  EXPECT_THROW(circuit_breaker({.open_for = 0_s}), exception);
  EXPECT_THROW(circuit_breaker({.probes = 0}), exception);
}

template <class Kit>
void a_cancelled_call_is_no_failure_and_keeps_no_probe() {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    typename Kit::circuit_breaker breaker({.calls_min = 1, .open_for = 1_s, .probes = 1});
    scripted down({{0_ms, errc::io}});
    scripted up({{1_ms}});
    co_await all_through(breaker, down, 1);
    co_await sleep(1_s);
    co_await v.run([](typename Kit::circuit_breaker* by, scripted* server) -> task<> {
      co_await by->run([&]() -> task<int> { co_return co_await server->call(); });
    }(&breaker, &up));
    EXPECT_EQ(breaker.stats().failed, 1u);
    if (breaker.state() != breaker_state::closed) {
      EXPECT_TRUE(breaker.is_ready()) << "the place of the cancelled probe is lost";
    }
    EXPECT_EQ(co_await through(breaker, up), "ok");
    EXPECT_EQ(breaker.state(), breaker_state::closed);
  });
}
TEST(CircuitBreaker, a_cancelled_call_is_no_failure_and_keeps_no_probe) {
  a_cancelled_call_is_no_failure_and_keeps_no_probe<local_flow>();
  a_cancelled_call_is_no_failure_and_keeps_no_probe<cross_flow>();
}

}  // namespace
}  // namespace weir::circuit_breaker_test
