// What only a kernel has; signals_contract_test.cpp has what the virtual world has, too.
// Needs the kernel: signals of the process.
#include <weir/io/signals.hpp>

#include <weir/core.hpp>
#include <weir/io/child_process_test.hpp>
#include <weir/io/run_program.hpp>

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>

namespace weir::signals_test {
namespace {

using namespace weir::literals;

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
}  // namespace weir::signals_test
