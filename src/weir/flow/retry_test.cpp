#include <weir/flow/retry.hpp>

#include <weir/core.hpp>
#include <weir/flow/flow_calls_test.hpp>
#include <weir/flow/flow_contract_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <stdexcept>
#include <string>
#include <vector>

namespace weir::retry_test {
namespace {

using namespace weir::literals;
using testing::elapsed;
using testing::scripted;

// What a task failed with.
template <class T>
task<std::optional<call_failure>> failure_of(task<T> body) {
  try {
    static_cast<void>(co_await std::move(body));
  } catch (...) {
    co_return call_failure(std::current_exception());
  }
  ADD_FAILURE() << "it did not fail";
  co_return std::nullopt;
}

WEIR_TEST("a call that fails in a way that may pass is made again after each delay") {
  scripted server({{10_ms, errc::timed_out}, {10_ms, errc::refused}, {10_ms}});
  const int value =
      co_await retry(exponential(100_ms), [&]() -> task<int> { co_return co_await server.call(); });
  EXPECT_EQ(value, 3);
  EXPECT_EQ(elapsed(), 10_ms + 100_ms + 10_ms + 200_ms + 10_ms);
}

WEIR_TEST("what can't pass is raised at once, and as it is") {
  scripted server({{1_ms, errc::not_found}});
  const auto failure = co_await failure_of(
      retry(fixed(1_s), [&]() -> task<int> { co_return co_await server.call(); }));
  EXPECT_EQ(failure->code(), errc::not_found);
  EXPECT_FALSE(failure->as<attempts_failed>());
  EXPECT_EQ(server.calls, 1u);
  const auto bug = co_await failure_of(retry(fixed(1_s), []() -> task<> {
    throw std::logic_error("a bug");
    co_return;
  }));
  EXPECT_TRUE(bug->as<std::logic_error>());
}

WEIR_TEST("who gives up tells why, and what each attempt failed with") {
  scripted server({{1_ms, errc::full}, {1_ms, errc::refused}, {1_ms, errc::timed_out}});
  const auto failure = co_await failure_of(
      retry(fixed(10_ms).recurs(2), [&]() -> task<int> { co_return co_await server.call(); },
            {.name = "pricing"}));
  const auto* all = failure->as<attempts_failed>();
  WEIR_REQUIRE(all);
  EXPECT_EQ(all->attempts().size(), 3u);
  EXPECT_EQ(call_failure(all->attempts().first()).code(), errc::full);
  const error& reason = all->reason();
  EXPECT_EQ(reason.code(), errc::timed_out);
  EXPECT_EQ(reason.message(), "pricing: gave up after 3 attempts in 23ms (the schedule is over)");
  std::vector<std::string> causes;
  for (const error* cause = reason.cause(); cause; cause = cause->cause())
    causes.push_back(std::string(name(cause->code())) + ", " + std::string(cause->message()));
  EXPECT_EQ(causes, (std::vector<std::string>{"timed_out, attempt 3 failed: call 3",
                                              "refused, attempt 2 failed: call 2",
                                              "full, attempt 1 failed: call 1"}));
}

WEIR_TEST("of very many attempts the first and the last are kept, and all are counted") {
  scripted server({{0_ms, errc::full}, {0_ms, errc::busy}});
  const auto failure = co_await failure_of(
      retry(recurs(99), [&]() -> task<int> { co_return co_await server.call(); }));
  const auto* all = failure->as<attempts_failed>();
  WEIR_REQUIRE(all);
  EXPECT_EQ(all->attempts().size(), attempts_failed::failures_kept_max);
  const error* last = nullptr;
  std::size_t count = 0;
  for (const error* cause = all->reason().cause(); cause; cause = cause->cause(), ++count)
    last = cause;
  EXPECT_EQ(count, 16u);
  EXPECT_EQ(last->message(), "attempt 1 failed: call 1");
  EXPECT_EQ(all->reason().cause()->message(), "attempt 100 failed: call 100");
}

WEIR_TEST("a failure that can't pass after others that can ends it, with all of them") {
  scripted server({{1_ms, errc::busy}, {1_ms, errc::permission_denied}});
  const auto failure = co_await failure_of(
      retry(fixed(1_ms), [&]() -> task<int> { co_return co_await server.call(); }));
  EXPECT_EQ(failure->code(), errc::permission_denied);
  EXPECT_NE(failure->reason()->message().find("none to be retried"), std::string_view::npos);
  EXPECT_TRUE(failure->as<attempts_failed>());
}

WEIR_TEST("it gives up at once when the deadline comes before the next attempt") {
  scripted server({{1_ms, errc::busy}});
  const auto failure = co_await failure_of(with_timeout(
      1_s, retry(fixed(400_ms), [&]() -> task<int> { co_return co_await server.call(); })));
  EXPECT_EQ(failure->code(), errc::busy) << "and not timed_out, which would explain nothing";
  EXPECT_NE(failure->reason()->message().find("the deadline comes before"), std::string_view::npos);
  EXPECT_EQ(server.calls, 3u);
  EXPECT_EQ(elapsed(), 803_ms);
}

WEIR_TEST("results without a value count as failures, and the last error is the result") {
  scripted server({{1_ms, errc::busy}, {1_ms, errc::busy}, {1_ms}});
  const auto call = [&]() -> task<result<int>> { co_return co_await server.try_call(); };
  const result<int> found = co_await retry(fixed(1_ms), call);
  EXPECT_EQ(found.value(), 3);
  scripted other({{1_ms, errc::busy}});
  const result<int> lost = co_await retry(
      recurs(1), [&]() -> task<result<int>> { co_return co_await other.try_call(); });
  EXPECT_EQ(lost.error().code(), errc::busy);
  EXPECT_EQ(lost.error().cause()->cause()->message(), "attempt 1 failed: call 1");
}

FLOW_CONTRACT("a budget that calls share keeps retries a fraction of them") {
  typename Kit::retry_budget budget({.ratio = 0.5, .retries_per_second_min = 0});
  scripted down({{0_ms, errc::refused}});
  for (int i = 0; i < 20; ++i) {
    const auto failure = co_await failure_of(retry(
        recurs(9), [&]() -> task<int> { co_return co_await down.call(); }, {.budget = &budget}));
    EXPECT_EQ(failure->code(), errc::refused);
  }
  EXPECT_EQ(down.calls, 30u) << "20 calls and half as many retries, where the schedule allows 200";
}

WEIR_TEST("a refusal's time is waited for when it is longer than the delay") {
  int calls = 0;
  const int value = co_await retry(fixed(1_ms), [&]() -> task<int> {
    if (++calls == 1) throw call_refused(error(errc::refused, "open"), "breaker", 3_s);
    co_return calls;
  });
  EXPECT_EQ(value, 2);
  EXPECT_EQ(elapsed(), 3_s);
}

WEIR_TEST("a retry that can't say what it is for is refused, and calls nothing") {
  int calls = 0;
  const auto call = [&]() -> task<> {
    ++calls;
    co_return;
  };
  co_await testing::expect_raises<errc::invalid_argument>(
      retry(fixed(1_ms), call, {.should_retry = nullptr}));
  EXPECT_EQ(calls, 0);
}

WEIR_TEST("a retry for many calls counts them") {
  scripted server({{0_ms, errc::busy}, {0_ms}, {0_ms}, {0_ms, errc::corrupt}});
  retry_policy again(fixed(1_ms));
  const auto call = [&]() -> task<int> { co_return co_await server.call(); };
  EXPECT_EQ(co_await again.run(call), 2);
  EXPECT_EQ(co_await again.run(call), 3);
  co_await testing::expect_raises<errc::corrupt>(again.run(call));
  EXPECT_EQ(again.stats().calls, 3u);
  EXPECT_EQ(again.stats().attempts, 4u);
  EXPECT_EQ(again.stats().saved, 1u);
  EXPECT_EQ(again.stats().gave_up, 1u);
}

WEIR_TEST("repeat goes on until the schedule is over, follow waits before the first time") {
  std::vector<std::int64_t> at_ms;
  const auto note = [&]() -> task<> {
    at_ms.push_back(elapsed().ns / 1'000'000);
    co_await sleep(5_ms);
  };
  co_await repeat(fixed(10_ms).recurs(2), note);
  EXPECT_EQ(at_ms, (std::vector<std::int64_t>{0, 15, 30}));
  at_ms.clear();
  co_await follow(fixed(10_ms).recurs(2), note);
  EXPECT_EQ(at_ms, (std::vector<std::int64_t>{45, 60}));
}

WEIR_TEST("cron times come at their minute") {
  std::vector<std::int64_t> wall_s;
  co_await follow(cron("*/5 * * * *").recurs(2), [&]() -> task<> {
    wall_s.push_back(loop::current()->io().wall_now().ns % 3'600'000'000'000 / 1'000'000'000);
    co_return;
  });
  EXPECT_EQ(wall_s, (std::vector<std::int64_t>{300, 600}));
}

TEST(Retry, a_cancelled_retry_makes_no_further_attempt_and_leaves_none_running) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    scripted server({{1_ms, errc::busy}, {1_ms, errc::busy}, {1_ms}});
    retry_policy again(fixed(1_ms));
    co_await v.run([](scripted* to, retry_policy* by) -> task<> {
      co_await by->run([&]() -> task<int> { co_return co_await to->call(); });
    }(&server, &again));
    const std::size_t calls = server.calls;
    EXPECT_EQ(server.inside_now, 0u);
    co_await sleep(1_s);
    EXPECT_EQ(server.calls, calls);
    EXPECT_TRUE(v.was_cancelled() || calls == 3);
  });
}

// Cancelled, a call that comes again and again makes no further call and leaves none running.
template <class Begin>
task<> expect_no_call_after(testing::victim& v, Begin begin) {
  scripted server({{1_ms}});
  co_await v.run(begin(&server));
  const std::size_t calls = server.calls;
  EXPECT_EQ(server.inside_now, 0u);
  co_await sleep(1_s);
  EXPECT_EQ(server.calls, calls);
  EXPECT_TRUE(v.was_cancelled() || calls == 3);
}

TEST(Retry, a_cancelled_repeat_or_follow_makes_no_further_call_and_leaves_none_running) {
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    co_await expect_no_call_after(v, [](scripted* to) -> task<> {
      co_await repeat(fixed(1_ms) & recurs(2),
                      [&]() -> task<> { static_cast<void>(co_await to->call()); });
    });
  });
  testing::cancel_at_every_point([](testing::victim& v) -> task<> {
    co_await expect_no_call_after(v, [](scripted* to) -> task<> {
      co_await follow(fixed(1_ms) & recurs(3),
                      [&]() -> task<> { static_cast<void>(co_await to->call()); });
    });
  });
}

WEIR_TEST("a refusal that asks for more time than up_to() leaves ends the retries") {
  int calls = 0;
  const time_point begun = loop::current()->now();
  const auto refused = [&]() -> task<int> {
    ++calls;
    throw call_refused(error(errc::refused, "not now"), "server", 200_ms);
    co_return 0;
  };
  co_await testing::expect_raises<errc::refused>(retry(fixed(1_ms).up_to(50_ms), refused));
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(loop::current()->now(), begun);
  co_await testing::expect_raises<errc::refused>(
      with_timeout(1_h, retry(fixed(1_ms).up_to(250_ms).recurs(1), refused)));
}

}  // namespace
}  // namespace weir::retry_test
