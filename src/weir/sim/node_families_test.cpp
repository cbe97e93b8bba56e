// Both addresses of machines, and cables that carry one family only.
#include <weir/core.hpp>
#include <weir/io/connect_any.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/node_kit_test.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace weir {
namespace {

using namespace weir::literals;

class NodeFamilies : public contract::two_machines {
 protected:
  static constexpr std::uint16_t port = 7000;

  address v4() const { return *address::parse(far.address(), port); }
  address v6() const { return *address::parse(far.ipv6_address(), port); }

  /// Sends back what comes, on both families.
  void start_echo() {
    start(far, []() -> task<> {
      co_await with_scope([](scope& both) -> task<> {
        both.spawn(echo_at, *address::parse("*", port));
        both.spawn(echo_at, *address::parse("::", port));
        co_await both.join();
      });
    });
  }
  static task<> echo_at(address where) {
    listener door = co_await listen_at(where);
    for (;;) {
      // Whoever it could not be told of has given up.
      std::ignore = co_await as_result(echo(co_await door.accept()));
    }
  }
  static task<> echo(socket peer) {
    while (auto got = co_await peer.receive()) co_await peer.send(got);
  }
  /// What comes back of "hello", or the error; `made` is where it went.
  void ask(std::vector<address> candidates) {
    wanted = std::move(candidates);
    start(near, [&]() -> task<> {
      const auto done = co_await as_result(exchange());
      if (!done) heard = name(done.error().code());
      ended = all.elapsed();
    });
    all.run_for(300_s);
  }
  task<> exchange() {
    socket to = co_await connect_any(wanted);
    connected = all.elapsed();
    local = to.local();
    peer = to.peer();
    co_await to.send("hello");
    heard = (co_await to.receive()).text();
  }

  std::vector<address> wanted;
  std::string heard;
  address local;
  address peer;
  duration connected;
  duration ended;
};

TEST_F(NodeFamilies, machines_talk_over_ipv6_and_know_whom_they_talk_to) {
  start_echo();
  ask({v6()});
  expect_ended_well(near);
  EXPECT_EQ(heard, "hello");
  EXPECT_EQ(near.ipv6_address(), "fd00::a00:1");
  EXPECT_EQ(peer.text(), "[fd00::a00:2]:7000");
  EXPECT_TRUE(local.text().starts_with("[fd00::a00:1]:")) << local.text();
}

TEST_F(NodeFamilies, an_ipv6_address_of_no_machine_is_no_way_or_silence) {
  ask({*address::parse("2001:db8::1", port)});
  EXPECT_EQ(heard, "refused") << "no way there";
  EXPECT_LT(ended, 1_s);
  heard.clear();
  ask({*address::parse("fd00::a00:99", port)});
  EXPECT_EQ(heard, "timed_out");
}

TEST_F(NodeFamilies, a_family_that_is_cut_is_silent_and_the_other_one_goes_on) {
  start_echo();
  to_far().is_ipv6_cut = true;
  ask({v6()});
  EXPECT_EQ(heard, "timed_out");
  ask({v4()});
  EXPECT_EQ(heard, "hello");
  to_far() = {.is_ipv4_cut = true};
  ask({v6()});
  EXPECT_EQ(heard, "hello");
  ask({v4()});
  EXPECT_EQ(heard, "timed_out");
}

TEST_F(NodeFamilies, answers_can_be_lost_of_one_family_only) {
  start_echo();
  to_near().is_ipv6_cut = true;
  ask({v6()});
  EXPECT_EQ(heard, "timed_out");
  ask({v4()});
  EXPECT_EQ(heard, "hello");
}

TEST_F(NodeFamilies, where_ipv6_is_broken_the_other_family_answers_after_the_attempt_delay) {
  start_echo();
  to_far().is_ipv6_cut = to_near().is_ipv6_cut = true;
  ask(in_turn_by_family({v6(), v4()}));
  expect_ended_well(near);
  EXPECT_EQ(heard, "hello");
  EXPECT_EQ(peer, v4());
  EXPECT_GE(connected, attempt_delay_default);
  EXPECT_LT(connected, attempt_delay_default + 10_ms);
}

TEST_F(NodeFamilies, a_connection_goes_on_when_its_family_comes_back) {
  start_echo();
  std::string got;
  start(near, [&]() -> task<> {
    socket to = co_await connect(v6());
    co_await sleep(5_s);
    co_await to.send("late");
    got = (co_await to.receive()).text();
  });
  all.run_for(1_s);
  to_far().is_ipv6_cut = true;
  all.run_for(20_s);
  EXPECT_EQ(got, "");
  to_far().is_ipv6_cut = false;
  all.run_for(60_s);
  EXPECT_EQ(got, "late");
}

}  // namespace
}  // namespace weir
