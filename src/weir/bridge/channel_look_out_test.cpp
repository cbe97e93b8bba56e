// Receivers of channels between loops look out for the next item before they stand in line; what
// else their loops wait for is served meanwhile, and nothing is lost.
//
// Needs the kernel: on a virtual clock nobody looks out. It is here since flow and io may not know
// each other.
#include <weir/flow/channel.hpp>

#include <weir/core.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/pipe_ends.hpp>

#include <gtest/gtest.h>

#include <cstddef>
#include <thread>
#include <utility>

namespace weir::channel_look_out_test {
namespace {

using namespace weir::literals;

class channel_look_out : public ::testing::TestWithParam<contract::factory> {};
INSTANTIATE_TEST_SUITE_P(drivers, channel_look_out, ::testing::ValuesIn(contract::kernel_drivers()),
                         contract::name_of);

task<> give_back(cross::receiver<int> there, cross::sender<int> back) {
  while (const auto ball = co_await there.receive()) co_await back.send(*ball);
}

// Each waits for the other's item, and looks out for it inside of its step.
TEST_P(channel_look_out, a_ball_over_channels_starves_neither_pipes_nor_timers) {
  constexpr int rounds = 200;
  auto [there, arrived] = cross::channel<int>(1);
  auto [back, returned] = cross::channel<int>(1);
  std::thread other(
      [&drivers = GetParam(), from = std::move(arrived), to = std::move(back)]() mutable {
        const auto driver = drivers.make({});
        run_on(*driver, give_back(std::move(from), std::move(to)));
      });
  int echoed = 0;
  int slept = 0;
  int flights = 0;
  const auto driver = GetParam().make({});
  run_on(*driver, [&]() -> task<> {
    auto [reader, writer] = make_pipe();
    bool is_over = false;
    co_await with_scope([&](scope& all) -> task<> {
      all.spawn([&]() -> task<> {
        for (; !is_over || flights < 1'000; ++flights) {
          co_await there.send(flights);
          EXPECT_EQ(co_await returned.receive(), flights);
        }
        there.close();
      });
      co_await with_scope([&](scope& both) -> task<> {
        both.spawn([&]() -> task<> {
          for (; slept < rounds; ++slept) co_await sleep(100_us);
        });
        for (; echoed < rounds; ++echoed) {
          co_await writer.send("x");
          EXPECT_EQ((co_await reader.receive()).text(), "x");
        }
      });
      is_over = true;
    });
  }());
  other.join();
  EXPECT_EQ(echoed, rounds);
  EXPECT_EQ(slept, rounds);
}

task<> count_up(cross::sender<int> to, int count) {
  for (int i = 0; i < count; ++i) co_await to.send(i);
}

TEST_P(channel_look_out, a_stream_between_loops_comes_whole_and_in_order) {
  constexpr int count = 20'000;
  for (const std::size_t capacity : {std::size_t{0}, std::size_t{1}, std::size_t{64}}) {
    auto [to, from] = cross::channel<int>(capacity);
    std::thread other([&drivers = GetParam(), mine = std::move(to)]() mutable {
      const auto driver = drivers.make({});
      run_on(*driver, count_up(std::move(mine), count));
    });
    int received = 0;
    bool is_in_order = true;
    const auto driver = GetParam().make({});
    run_on(*driver, [&, &source = from]() -> task<> {
      while (const auto item = co_await source.receive()) {
        is_in_order = is_in_order && *item == received++;
      }
    }());
    other.join();
    EXPECT_EQ(received, count) << capacity;
    EXPECT_TRUE(is_in_order) << capacity;
  }
}

}  // namespace
}  // namespace weir::channel_look_out_test
