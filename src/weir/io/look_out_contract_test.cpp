// Loops that answer each other's posts look out for the next before they sleep; what else they wait
// for is served meanwhile, and when no more posts come they sleep.
// Needs the kernel: two loops on two threads wake each other.
#include <weir/core.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/pipe_ends.hpp>

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>

namespace weir::look_out_contract_test {
namespace {

using namespace weir::literals;

task<> forever() { co_await sleep(duration::max()); }

/// A loop on a thread of its own, until this is destroyed.
class other_loop {
 public:
  explicit other_loop(const contract::factory& drivers)
      : thread_([this, &drivers] { run(drivers); }) {
    loop_.wait(nullptr);
  }
  other_loop(const other_loop&) = delete;
  other_loop& operator=(const other_loop&) = delete;
  ~other_loop() {
    get().post([this] { get().root().cancel("the end"); });
    thread_.join();
  }
  loop& get() noexcept { return *loop_; }

 private:
  void run(const contract::factory& drivers) {
    const auto driver = drivers.make({});
    loop on(*driver);
    on.root().spawn(forever);
    loop_ = &on;
    loop_.notify_one();
    on.run();
  }

  std::atomic<loop*> loop_{nullptr};
  std::thread thread_;
};

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
  task<> end() {
    co_await with_scope([this](scope& landing) -> task<> {
      last = &landing;
      co_await forever();
    });
  }
};

class look_out_contract : public ::testing::TestWithParam<contract::factory> {};
INSTANTIATE_TEST_SUITE_P(drivers, look_out_contract,
                         ::testing::ValuesIn(contract::kernel_drivers()), contract::name_of);

TEST_P(look_out_contract, a_ball_between_two_loops_starves_neither_pipes_nor_timers) {
  constexpr int rounds = 200;
  other_loop there(GetParam());
  int echoed = 0;
  int slept = 0;
  const auto driver = GetParam().make({});
  run_on(*driver, [&]() -> task<> {
    game ball{.here = *loop::current(), .there = there.get()};
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
    co_await ball.end();
  }());
  EXPECT_EQ(echoed, rounds);
  EXPECT_EQ(slept, rounds);
}

/// Counts how often the driver is only looked at before the loop sleeps.
struct sleep_watch final : loop_observer {
  void before_io_wait(time_point until) noexcept override {
    if (until > loop::current()->now()) {
      has_slept = true;
    } else if (!has_slept) {
      ++looks;
    }
  }
  bool has_slept = false;
  int looks = 0;
};

TEST_P(look_out_contract, a_loop_that_is_posted_to_no_more_sleeps) {
  constexpr std::uint64_t flights = 2'000;
  other_loop there(GetParam());
  sleep_watch watch;
  const auto driver = GetParam().make({});
  run_on(*driver, [&]() -> task<> {
    game ball{.here = *loop::current(), .there = there.get()};
    ball.serve();
    while (ball.flights < flights) co_await sleep(1_ms);
    co_await ball.end();
    loop::current()->observe(&watch);
    // Once is enough, but on a machine that stands still for 20 ms there may be nothing left to
    // sleep.
    for (int round = 0; round < 50 && !watch.has_slept; ++round) {
      watch.looks = 0;
      co_await sleep(20_ms);
    }
    loop::current()->observe(nullptr);
  }());
  EXPECT_TRUE(watch.has_slept);
  EXPECT_LE(watch.looks, 30) << "20 glances at most";
}

}  // namespace
}  // namespace weir::look_out_contract_test
