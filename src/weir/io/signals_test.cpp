// Needs the kernel: signals of the process.
#include <weir/io/signals.hpp>

#include <weir/io/child_process_test.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/run_program.hpp>

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>

namespace weir {
namespace {

using namespace weir::literals;
using namespace weir::contract;

class signals : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, signals, ::testing::ValuesIn(kernel_drivers()), name_of);

TEST_P(signals, a_signal_ends_all_waits_for_it_and_no_other) {
  run([]() -> task<> {
    int heard = 0;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 3; ++i) {
        s.spawn([&]() -> task<> {
          co_await wait_signal(SIGUSR1);
          ++heard;
        });
      }
      s.spawn([&]() -> task<> {
        co_await wait_signal(SIGUSR2);
        ADD_FAILURE() << "SIGUSR2 did not come";
      });
      co_await sleep(1_ms);
      ::raise(SIGUSR1);
      while (heard < 3) co_await sleep(1_ms);
      s.cancel("done");
    });
  });
}

TEST_P(signals, one_that_comes_between_two_waits_is_kept) {
  run([]() -> task<> {
    co_await with_scope({.timeout = 1_ms}, [](scope&) -> task<> { co_await wait_signal(SIGUSR1); });
    ::raise(SIGUSR1);
    co_await sleep(1_ms);
    co_await wait_signal(SIGUSR1);
  });
}

TEST_P(signals, those_that_cannot_be_caught_are_refused) {
  run([]() -> task<> {
    EXPECT_EQ(co_await code_of(wait_signal(SIGKILL)), errc::invalid_argument);
    EXPECT_EQ(co_await code_of(wait_signal(0)), errc::invalid_argument);
    EXPECT_EQ(co_await code_of(wait_signal(1'000)), errc::invalid_argument);
  });
}

TEST(signal_of_process, every_loop_hears_it) {
  std::atomic<int> ready = 0;
  std::atomic<int> heard = 0;
  EXPECT_EQ(run_on_all_cores({.cores = 3},
                             [&]() -> task<> {
                               co_await with_scope([&](scope& s) -> task<> {
                                 s.spawn([&]() -> task<> {
                                   co_await wait_signal(SIGUSR1);
                                   ++heard;
                                 });
                                 co_await yield();
                                 if (++ready == 3) ::raise(SIGUSR1);
                               });
                             }),
            0);
  EXPECT_EQ(heard, 3);
}

TEST(signal_of_process, afterwards_a_signal_has_its_usual_effect_again) {
  const child_outcome outcome = in_child([] {
    const int code = run([]() -> task<> {
      ::raise(SIGUSR2);
      co_await sleep(1_ms);
    }());
    return code;
  });
  EXPECT_EQ(outcome.signal, SIGUSR2);
  const child_outcome after = in_child([] {
    run([]() -> task<> {
      co_await with_scope({.timeout = 1_ms},
                          [](scope&) -> task<> { co_await wait_signal(SIGUSR2); });
      ::raise(SIGUSR2);
    }());
    std::fprintf(stderr, "survived\n");
    ::raise(SIGUSR2);
    return 0;
  });
  EXPECT_EQ(after.signal, SIGUSR2);
  EXPECT_EQ(after.text, "survived\n");
}

}  // namespace
}  // namespace weir
