// Needs the kernel: signals and dying processes.
#include <weir/io/crash_dump.hpp>

#include <weir/base/assert.hpp>
#include <weir/core.hpp>
#include <weir/io/child_process_test.hpp>
#include <weir/io/run_program.hpp>
#include <weir/io/signals.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <atomic>
#include <string>

namespace weir::crash_dump_test {
namespace {

using namespace weir::literals;
using ::testing::AllOf;
using ::testing::HasSubstr;

task<> waits_for_ever() { co_await sleep(3600_s); }
// When all others wait already.
task<> soon_says_ready() {
  co_await sleep(1_ms);
  say_ready();
}

TEST(crash_dump, sigquit_prints_what_every_task_waits_for_and_the_program_goes_on) {
  const child_outcome outcome = in_child(
      [] {
        return run([]() -> task<> {
          co_await with_scope([](scope& around) -> task<> {
            around.spawn(soon_says_ready);
            co_await with_scope({.name = "workers"}, [](scope& s) -> task<> {
              s.spawn(waits_for_ever);
              co_await wait_signal(SIGUSR1);
              s.cancel("done");
            });
          });
          std::fprintf(stderr, "went on\n");
        }());
      },
      [](pid_t child) {
        ::kill(child, SIGQUIT);
        ::kill(child, SIGUSR1);  // which is delivered after it
      });
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.text,
              AllOf(HasSubstr("scope \"workers\" with 1 task"), HasSubstr("waiting for sleep"),
                    HasSubstr("waits_for_ever"), HasSubstr("went on")));
}

TEST(crash_dump, sigquit_shows_every_loop_also_one_that_hangs_in_a_computation) {
  const child_outcome outcome = in_child(
      [] {
        static std::atomic<int> started = 0;
        return run_on_all_cores({.cores = 3}, []() -> task<> {
          co_await sleep(1_ms);
          if (++started == 2) {
            while (started < 3) sched_yield();
            say_ready();
            for (;;) started.fetch_or(0);
          }
          co_await waits_for_ever();
        });
      },
      [](pid_t child) { ::kill(child, SIGQUIT); },
      [](const std::string& text) {
        // Hangs for ever, so it is killed when the last word is there; the test's time limit is the
        // other way out.
        for (const char* word : {"core 0\"", "core 1\"", "core 2\"", " running, ", "in \"core\""})
          if (text.find(word) == text.npos) return false;
        return true;
      });
  EXPECT_EQ(outcome.signal, SIGKILL);
  EXPECT_THAT(outcome.text, AllOf(HasSubstr("loop \"core 0\""), HasSubstr("loop \"core 1\""),
                                  HasSubstr("loop \"core 2\""), HasSubstr(" running, "),
                                  HasSubstr("waits_for_ever")));
}

TEST(crash_dump, a_crash_prints_the_tree_and_dies_of_its_signal) {
  for (const int number : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT}) {
    static int raised = 0;
    raised = number;
    const child_outcome outcome = in_child([] {
      const rlimit no_core{0, 0};
      ::setrlimit(RLIMIT_CORE, &no_core);
      return run([]() -> task<> {
        co_await with_scope({.name = "workers"}, [](scope& s) -> task<> {
          s.spawn(waits_for_ever);
          co_await sleep(1_ms);
          ::raise(raised);
        });
      }());
    });
    EXPECT_EQ(outcome.signal, number);
    EXPECT_THAT(outcome.text, AllOf(HasSubstr("died of signal " + std::to_string(number)),
                                    HasSubstr("scope \"workers\""), HasSubstr("waits_for_ever")));
  }
}

// What the task that dies shows: itself, and whoever awaits it.
const auto shows_its_frames = ::testing::ContainsRegex(
    "running, spawned at [^\n]*\n *in task<> [^\n]*innermost[^\n]*, last wait at [^\n]*\n"
    " *in task<> [^\n]*middle[^\n]* at [^\n]*\n *in [^\n]*\n *in \"nested\"\n"
    " *in task<> [^\n]*outermost");

task<> innermost(void (*die)()) {
  co_await yield();
  die();
}
task<> middle(void (*die)()) { co_await innermost(die); }
task<> outermost(void (*die)()) {
  co_await with_scope({.name = "nested"}, [&](scope&) -> task<> { co_await middle(die); });
}

void run_and_die(void (*die)()) {
  const rlimit no_core{0, 0};
  ::setrlimit(RLIMIT_CORE, &no_core);
  run(outermost(die));
}

TEST(crash_dump, the_task_that_crashed_shows_every_function_that_awaits_and_its_thread_s_stack) {
  const child_outcome outcome = in_child([] {
    run_and_die([] { ::raise(SIGSEGV); });
    return 0;
  });
  EXPECT_EQ(outcome.signal, SIGSEGV);
  EXPECT_THAT(outcome.text, shows_its_frames);
  EXPECT_THAT(outcome.text, ::testing::ContainsRegex("the thread's stack [^\n]*\n[^\n]*\\+0x"));
}

TEST(crash_dump, the_task_of_a_failed_assertion_shows_every_function_that_awaits) {
  const child_outcome outcome = in_child([] {
    run_and_die([] { WEIR_ASSERT(false && "on purpose"); });
    return 0;
  });
  EXPECT_EQ(outcome.signal, SIGABRT);
  EXPECT_THAT(outcome.text, shows_its_frames);
}

task<> nest(int depth) {
  if (depth != 0) {
    co_await with_scope([&](scope&) -> task<> { co_await nest(depth - 1); });
    co_return;
  }
  ::raise(SIGQUIT);
  std::fprintf(stderr, "went on\n");
}

TEST(crash_dump, sigquit_harms_no_program_with_a_thousand_nested_scopes) {
  const child_outcome outcome = in_child([] { return run(nest(1'000)); });
  EXPECT_EQ(outcome.code, 0);
  EXPECT_THAT(outcome.text, AllOf(HasSubstr("deeper scopes are not shown"), HasSubstr("went on")));
}

#if !defined(__SANITIZE_ADDRESS__) && !__has_feature(address_sanitizer) && \
    !__has_feature(thread_sanitizer)
int overflow(int depth) {
  if (depth < 0) return 0;  // after 8 TiB
  volatile char page[4096];
  page[0] = static_cast<char>(depth);
  return overflow(depth + 1) + page[0];
}

TEST(crash_dump, an_overflow_of_the_stack_is_told_too) {
  const child_outcome outcome = in_child([] {
    return run([]() -> task<> {
      co_await with_scope({.name = "workers"}, [](scope& s) -> task<> {
        s.spawn(waits_for_ever);
        co_await sleep(1_ms);
        overflow(0);
      });
    }());
  });
  EXPECT_EQ(outcome.signal, SIGSEGV);
  EXPECT_THAT(outcome.text, AllOf(HasSubstr("scope \"workers\""), HasSubstr("waits_for_ever")));
}
#endif

TEST(crash_dump, a_failed_assertion_prints_the_tree_once) {
  const child_outcome outcome = in_child([] {
    return run([]() -> task<> {
      co_await with_scope({.name = "workers"}, [](scope& s) -> task<> {
        s.spawn(waits_for_ever);
        co_await sleep(1_ms);
        WEIR_ASSERT(s.stats().live == 7);
      });
    }());
  });
  EXPECT_EQ(outcome.signal, SIGABRT);
  EXPECT_THAT(outcome.text, AllOf(HasSubstr("assertion failed: s.stats().live == 7"),
                                  HasSubstr("waits_for_ever")));
  EXPECT_EQ(outcome.text.find("loop \"main\""), outcome.text.rfind("loop \"main\""));
}

TEST(crash_dump, without_it_signals_keep_their_meaning) {
  const child_outcome outcome = in_child([] {
    return run(
        []() -> task<> {
          ::raise(SIGQUIT);
          co_await sleep(1_ms);
        }(),
        {.dump_on_crash = false});
  });
  EXPECT_EQ(outcome.signal, SIGQUIT);
  EXPECT_EQ(outcome.text, "");
}

}  // namespace
}  // namespace weir::crash_dump_test
