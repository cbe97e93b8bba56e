// The cores of run_on_all_cores that are stopped while each is inside of with_shard() and calls
// another one's shard. Here, since io and flow, of which it is made, don't know each other.
// Needs the kernel: signals, threads.
#include <weir/core.hpp>
#include <weir/flow/sharded.hpp>
#include <weir/io/child_process_test.hpp>
#include <weir/io/run_program.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <cstddef>
#include <cstdio>

namespace weir::stopped_cores_test {
namespace {

using namespace weir::literals;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr unsigned cores_of_all = 3;

struct told_shard {
  std::atomic<int>* ended;
  ~told_shard() { ++*ended; }
};

int run_until_stopped() {
  std::atomic<int> waiting = 0;
  std::atomic<int> ended = 0;
  sharded<told_shard> all;
  const int code = run_on_all_cores({.cores = cores_of_all}, [&]() -> task<> {
    const auto make = [&] { return told_shard(&ended); };
    co_await with_shard(all, make, [&](told_shard&) -> task<> {
      const std::size_t next = (this_core() + 1) % cores_of_all;
      co_await all.call(next, [&](told_shard&) -> task<> {
        if (++waiting == cores_of_all) say_ready();
        co_await sleep(3600_s);
      });
    });
  });
  std::fprintf(stderr, "%d shards have ended\n", ended.load());
  return code;
}

TEST(StoppedCores, end_their_shards_in_order_and_without_an_error) {
  const child_outcome outcome =
      in_child(&run_until_stopped, [](pid_t child) { ::kill(child, SIGTERM); });
  EXPECT_EQ(outcome.code, 0) << outcome.text;
  EXPECT_THAT(outcome.text, HasSubstr("3 shards have ended"));
  EXPECT_THAT(outcome.text, Not(HasSubstr("error")));
}

int run_until_one_fails() {
  std::atomic<int> waiting = 0;
  std::atomic<int> ended = 0;
  sharded<told_shard> all;
  return run_on_all_cores({.cores = cores_of_all}, [&]() -> task<> {
    const auto make = [&] { return told_shard(&ended); };
    co_await with_shard(all, make, [&](told_shard&) -> task<> {
      ++waiting;
      while (this_core() == 1 && waiting < int{cores_of_all}) co_await sleep(1_ms);
      if (this_core() == 1) raise(error(errc::corrupt, "the shard of core 1 is broken"));
      co_await sleep(3600_s);
    });
  });
}

TEST(StoppedCores, tell_of_the_core_whose_body_failed_first) {
  const child_outcome outcome = in_child(&run_until_one_fails);
  EXPECT_EQ(outcome.signal, SIGABRT);
  EXPECT_THAT(outcome.text, HasSubstr("the shard of core 1 is broken"));
}

}  // namespace
}  // namespace weir::stopped_cores_test
