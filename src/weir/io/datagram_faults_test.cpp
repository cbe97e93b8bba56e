// Datagrams over a virtual network that loses, doubles and overtakes them.
#include <weir/core.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/sim/virtual_driver.hpp>

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

namespace weir::datagram_faults_test {
namespace {

using namespace weir::literals;

constexpr int count = 200;

struct outcome {
  std::vector<int> arrived;
  datagram_stats stats;
};

// Sends numbers and takes what arrives of them.
outcome send_numbers(std::uint64_t seed, datagram_faults faults) {
  virtual_driver io(virtual_options{.seed = seed});
  io.world().datagrams().set_faults(faults);
  outcome out;
  run_on(io, [](std::vector<int>* arrived) -> task<> {
    auto server = bind_datagrams();
    auto client = open_datagrams();
    co_await client.connect(server.local());
    for (int i = 0; i < count; ++i) {
      const std::string text = std::to_string(i);
      co_await client.send(text);
    }
    for (;;) {
      const auto one = co_await as_result(with_timeout(1_s, server.receive()));
      if (!one) co_return;
      arrived->push_back(std::stoi(std::string(one->text())));
    }
  }(&out.arrived));
  out.stats = io.world().datagrams().stats();
  EXPECT_EQ(io.world().open_handles(), 0u);
  return out;
}

TEST(DatagramFaults, without_any_all_arrive_once_and_in_order) {
  const outcome kind = send_numbers(1, {});
  EXPECT_EQ(kind.arrived.size(), static_cast<std::size_t>(count));
  EXPECT_TRUE(std::ranges::is_sorted(kind.arrived));
}

TEST(DatagramFaults, lose_double_and_overtake_and_each_is_counted_U4) {
  const datagram_faults faults{.loss_chance = 0.2, .double_chance = 0.1, .overtake_chance = 0.1};
  const outcome rough = send_numbers(7, faults);
  EXPECT_GT(rough.stats.lost, 0u);
  EXPECT_GT(rough.stats.doubled, 0u);
  EXPECT_GT(rough.stats.overtaken, 0u);
  EXPECT_EQ(rough.stats.sent, static_cast<std::uint64_t>(count));
  EXPECT_EQ(rough.arrived.size(), rough.stats.sent - rough.stats.lost + rough.stats.doubled);
  EXPECT_FALSE(std::ranges::is_sorted(rough.arrived));
}

TEST(DatagramFaults, are_those_of_the_seed_each_time_U4) {
  const datagram_faults faults{.loss_chance = 0.3, .double_chance = 0.3, .overtake_chance = 0.3};
  EXPECT_EQ(send_numbers(3, faults).arrived, send_numbers(3, faults).arrived);
  EXPECT_NE(send_numbers(3, faults).arrived, send_numbers(4, faults).arrived);
}

TEST(DatagramFaults, that_lose_all_leave_the_receiver_waiting) {
  const outcome none = send_numbers(1, {.loss_chance = 1});
  EXPECT_TRUE(none.arrived.empty());
  EXPECT_EQ(none.stats.lost, static_cast<std::uint64_t>(count));
}

}  // namespace
}  // namespace weir::datagram_faults_test
