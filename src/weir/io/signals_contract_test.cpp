// One body, two arms, for signals: under many schedules in the virtual world, and once on each
// driver of the kernel. Not here: the usual effect on our own process, which ends a run of the
// world (sim/virtual_processes_test.cpp) and the test on a kernel; several loops on threads, which
// only a kernel has (signals_test.cpp); how run_program() ends (run_program_test.cpp).
// Needs the kernel: it is one of the two arms.
#include <weir/io/signals.hpp>

#include <weir/io/contract_test.hpp>
#include <weir/io/virtual_programs_test.hpp>
#include <weir/testing/two_arms.hpp>

#include <signal.h>

#include <span>
#include <string>
#include <utility>

namespace weir::signals_contract_test {
namespace {

using namespace weir::literals;
using contract::code_of;
using contract::install_programs_here;

/// The signal comes to this program.
void raise_here(int number) {
  auto* const io = dynamic_cast<virtual_driver*>(&loop::current()->io());
  if (io) {
    io->world().raise_signal(number);
  } else {
    ::raise(number);
  }
}

/// From here on the signal has no longer its usual effect.
task<> hear(int number) {
  EXPECT_EQ(co_await code_of(with_timeout(1_ms, wait_signal(number))), errc::timed_out);
}
task<bool> is_pending(int number) {
  co_return co_await code_of(with_timeout(2_ms, wait_signal(number))) == errc{};
}
task<> count_one(int number, int* heard) {
  co_await wait_signal(number);
  ++*heard;
}

WEIR_TEST_ON_BOTH("a signal ends all waits for it and no other") {
  int heard = 0;
  int others = 0;
  co_await with_scope([&](scope& s) -> task<> {
    for (int i = 0; i < 3; ++i) s.spawn(count_one, SIGUSR1, &heard);
    s.spawn(count_one, SIGUSR2, &others);
    co_await sleep(1_ms);
    raise_here(SIGUSR1);
    while (heard < 3) co_await sleep(1_ms);
    s.cancel("done");
  });
  EXPECT_EQ(others, 0);
}

WEIR_TEST_ON_BOTH("a signal that comes between two waits is kept, and equal ones are one") {
  co_await hear(SIGUSR1);
  raise_here(SIGUSR1);
  raise_here(SIGUSR1);
  co_await sleep(1_ms);
  co_await wait_signal(SIGUSR1);
  EXPECT_FALSE(co_await is_pending(SIGUSR1));
}

WEIR_TEST_ON_BOTH("equal signals that come before a wait has heard of them are one") {
  int heard = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(count_one, SIGUSR1, &heard);
    co_await sleep(1_ms);
    raise_here(SIGUSR1);
    raise_here(SIGUSR1);
    co_await s.join();
  });
  EXPECT_EQ(heard, 1);
  EXPECT_FALSE(co_await is_pending(SIGUSR1));
}

WEIR_TEST_ON_BOTH("a signal that comes when the one before was heard is another one") {
  int heard = 0;
  co_await hear(SIGUSR1);
  for (int i = 0; i < 3; ++i) {
    raise_here(SIGUSR1);
    co_await count_one(SIGUSR1, &heard);
  }
  EXPECT_EQ(heard, 3);
}

WEIR_TEST_ON_BOTH("signals of several kinds are each kept for who asks, in any order") {
  for (const int number : {SIGUSR1, SIGUSR2, SIGHUP}) co_await hear(number);
  for (const int number : {SIGHUP, SIGUSR2, SIGUSR1}) raise_here(number);
  for (const int number : {SIGUSR2, SIGUSR1, SIGHUP}) co_await wait_signal(number);
  for (const int number : {SIGUSR2, SIGUSR1, SIGHUP}) EXPECT_FALSE(co_await is_pending(number));
}

WEIR_TEST_ON_BOTH("a wait that is cancelled leaves the signal that has come to the next one") {
  int heard = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(count_one, SIGUSR1, &heard);
    s.spawn(count_one, SIGUSR1, &heard);
    co_await sleep(1_ms);
    raise_here(SIGUSR1);
    s.cancel("before it was told");
  });
  EXPECT_EQ(heard, 0);
  EXPECT_TRUE(co_await is_pending(SIGUSR1));
  EXPECT_FALSE(co_await is_pending(SIGUSR1));
}

WEIR_TEST_ON_BOTH("a signal is heard by those who wait when another one is cancelled") {
  int heard = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(count_one, SIGUSR1, &heard);
    co_await with_scope([&](scope& leaving) -> task<> {
      leaving.spawn(count_one, SIGUSR1, &heard);
      co_await sleep(1_ms);
      raise_here(SIGUSR1);
      leaving.cancel("before it was told");
    });
    co_await s.join();
  });
  EXPECT_EQ(heard, 1);
  EXPECT_FALSE(co_await is_pending(SIGUSR1));
}

WEIR_TEST_ON_BOTH("a wait that finds the signal there hears it with those who waited before") {
  int heard = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(count_one, SIGUSR1, &heard);
    co_await sleep(1_ms);
    raise_here(SIGUSR1);
    co_await count_one(SIGUSR1, &heard);
    co_await s.join();
  });
  EXPECT_EQ(heard, 2);
}

WEIR_TEST_ON_BOTH("signals that can not be caught are refused") {
  for (const int number : {SIGKILL, SIGSTOP, -1, 0, 32, 33, 64, 1'000})
    EXPECT_EQ(co_await code_of(wait_signal(number)), errc::invalid_argument) << number;
  const auto refused = co_await as_result(wait_signal(SIGKILL));
  EXPECT_EQ(refused.error().message(), "wait for signal 9");
  co_await hear(34);  // SIGRTMIN, as the C library of Linux has it
}

WEIR_TEST_ON_BOTH("SIGTERM cancels the scope of a program that waits for it, after its cleanup") {
  bool is_clean = false;
  bool was_cancelled = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      co_await wait_signal(SIGTERM);
      s.cancel("SIGTERM");
    });
    s.spawn([&]() -> task<> {
      co_await with_cleanups([&](cleanups& after) -> task<> {
        after.defer_async([&]() -> task<> {
          co_await sleep(1_ms);
          is_clean = true;
        });
        co_await sleep_until(time_point::never());
      });
    });
    co_await sleep(1_ms);
    raise_here(SIGTERM);
    static_cast<void>(co_await as_result(sleep_until(time_point::never())));
    was_cancelled = s.is_cancelled();
  });
  EXPECT_TRUE(is_clean);
  EXPECT_TRUE(was_cancelled);
}

command shell(std::string script) {
  return command("sh", {"-c", std::move(script)})
      .input(child_stream::piped())
      .output(child_stream::piped());
}
task<> wait_until_ready(process& child) {
  char last = 0;
  while (last != '\n' && co_await child.output().receive_into(std::span(&last, 1)) == 1) {
  }
  EXPECT_EQ(last, '\n') << "it has ended before it was ready";
}

WEIR_TEST_ON_BOTH("a child hears the signal that it has a trap for") {
  install_programs_here();
  co_await with_process(shell("trap 'exit 42' TERM; echo ready; while :; do read line || :; done"),
                        [](process& child) -> task<> {
                          co_await wait_until_ready(child);
                          child.signal(SIGTERM);
                          EXPECT_EQ((co_await child.wait()).code, 42);
                        });
}

WEIR_TEST_ON_BOTH("a child ignores what its trap says, and SIGKILL ends it all the same") {
  install_programs_here();
  co_await with_process(shell("trap '' TERM HUP; echo ready; read line; echo on; read line"),
                        [](process& child) -> task<> {
                          co_await wait_until_ready(child);
                          child.signal(SIGTERM);
                          child.signal(SIGHUP);
                          co_await child.input().send("\n");
                          co_await wait_until_ready(child);
                          child.signal(SIGKILL);
                          EXPECT_EQ((co_await child.wait()).signal, SIGKILL);
                        });
}

WEIR_TEST_ON_BOTH("a child does not inherit that its parent waits for a signal") {
  install_programs_here();
  co_await hear(SIGUSR1);
  co_await with_process(command("cat").input(child_stream::piped()).output(child_stream::piped()),
                        [](process& child) -> task<> {
                          co_await child.input().send("\n");
                          co_await wait_until_ready(child);
                          child.signal(SIGUSR1);
                          EXPECT_EQ((co_await child.wait()).signal, SIGUSR1);
                        });
  EXPECT_FALSE(co_await is_pending(SIGUSR1)) << "it was the child's";
}

WEIR_TEST_ON_BOTH("the end of a child is a signal to its parent") {
  install_programs_here();
  co_await hear(SIGCHLD);
  co_await with_process(command("true"), [](process& child) -> task<> {
    co_await wait_signal(SIGCHLD);
    EXPECT_EQ((co_await child.wait()).code, 0);
  });
}

WEIR_TEST_ON_BOTH("a child that sends itself a signal that ends it does nothing after it") {
  install_programs_here();
  const auto done =
      co_await run_process(command("sh", {"-c", "echo before; kill -KILL $$; echo after"}));
  EXPECT_EQ(done.status.signal, SIGKILL);
  EXPECT_EQ(done.output, "before\n");
}

}  // namespace
}  // namespace weir::signals_contract_test
