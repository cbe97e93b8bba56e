// Loops that answer each other's posts look out for the next before they sleep; what else they wait
// for is served meanwhile.
// Needs the kernel: two loops on two threads wake each other.
#include <weir/core.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/pipe_ends.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <thread>

namespace weir {
namespace {

using namespace weir::literals;

/// A ball that two loops post to each other until the game is over.
struct game {
  loop& here;
  loop& there;
  scope* last = nullptr;  // is cancelled when the ball has landed; without it the game goes on
  std::uint64_t flights = 0;

  void serve() {
    there.post([this] { here.post([this] { come_back(); }); });
  }
  void come_back() {
    ++flights;
    if (last) return last->cancel("the ball has landed");
    serve();
  }
};

task<> forever() { co_await sleep(duration::max()); }

class look_out_contract : public ::testing::TestWithParam<contract::factory> {};
INSTANTIATE_TEST_SUITE_P(drivers, look_out_contract,
                         ::testing::ValuesIn(contract::kernel_drivers()), contract::name_of);

TEST_P(look_out_contract, a_ball_between_two_loops_starves_neither_pipes_nor_timers) {
  constexpr int rounds = 200;
  std::atomic<loop*> there{nullptr};
  std::thread other([&] {
    const auto driver = GetParam().make({});
    loop on(*driver);
    on.root().spawn(forever);
    there = &on;
    there.notify_one();
    on.run();
  });
  there.wait(nullptr);
  int echoed = 0;
  int slept = 0;
  const auto driver = GetParam().make({});
  run_on(*driver, [&]() -> task<> {
    game ball{.here = *loop::current(), .there = *there};
    ball.serve();
    auto [reader, writer] = make_pipe();
    co_await with_scope([&](scope& both) -> task<> {
      both.spawn([&]() -> task<> {
        for (; slept < rounds; ++slept) co_await sleep(100_us);
      });
      // The byte arrives while the loop looks out or sleeps, and not while it runs a step.
      const auto send = [&writer]() -> task<> {
        co_await sleep(50_us);
        co_await writer.send("x");
      };
      for (; echoed < rounds; ++echoed) {
        both.spawn(send);
        EXPECT_EQ((co_await reader.receive()).text(), "x");
      }
    });
    co_await with_scope([&](scope& last) -> task<> {
      ball.last = &last;
      co_await forever();
    });
    EXPECT_GT(ball.flights, 1u);
  }());
  EXPECT_EQ(echoed, rounds);
  EXPECT_EQ(slept, rounds);
  there.load()->post([&] { there.load()->root().cancel("the end"); });
  other.join();
}

}  // namespace
}  // namespace weir
