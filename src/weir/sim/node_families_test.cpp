// Both addresses of machines, and cables that carry one family only.
#include <weir/core.hpp>
#include <weir/io/connect_any.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/node_kit_test.hpp>

#include <gtest/gtest.h>

#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::node_families_test {
namespace {

using namespace weir::literals;

class NodeFamilies : public contract::two_machines {
 protected:
  static constexpr std::uint16_t port = 7000;

  address v4() const { return *address::parse(far.address(), port); }
  address v6() const { return *address::parse(far.ipv6_address(), port); }

  /// Sends back what comes, on both families.
  void start_echo() {
    start(far, [&]() -> task<> {
      listener door = co_await listen({.host = "::", .port = port});
      for (;;) {
        socket one = co_await door.accept();
        seen = one.peer();
        // Whoever it could not be told of has given up.
        std::ignore = co_await as_result(echo(std::move(one)));
      }
    });
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
  address seen;  // by the one that echoes
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

TEST_F(NodeFamilies, whoever_listens_at_all_of_ipv6_sees_ipv4_in_ipv6_form) {
  start_echo();
  ask({v4()});
  EXPECT_EQ(heard, "hello");
  EXPECT_EQ(peer, v4());
  EXPECT_TRUE(local.text().starts_with("10.0.0.1:")) << local.text();
  EXPECT_EQ(seen.text(), "[::ffff:10.0.0.1]:" + std::to_string(local.port()));
  ask({v6()});
  EXPECT_EQ(seen, local);
}

TEST_F(NodeFamilies, an_ipv4_address_in_ipv6_form_goes_by_ipv4) {
  start_echo();
  const address mapped = *address::parse("::ffff:" + std::string(far.address()), port);
  ask({mapped});
  EXPECT_EQ(heard, "hello");
  EXPECT_EQ(peer, mapped);
  EXPECT_EQ(local.text(), "[::ffff:10.0.0.1]:" + std::to_string(local.port()));
  EXPECT_EQ(seen, local);
  to_far().is_ipv6_cut = true;
  ask({mapped});
  EXPECT_EQ(heard, "hello");
  to_far() = {.is_ipv4_cut = true};
  ask({mapped});
  EXPECT_EQ(heard, "timed_out");
}

TEST_F(NodeFamilies, a_connect_that_hears_nothing_fails_after_127_s_as_on_linux) {
  to_far().is_cut = true;
  ask({v4()});
  EXPECT_EQ(heard, "timed_out");
  EXPECT_GE(ended, 127_s);
  EXPECT_LT(ended, 128_s);
}

TEST_F(NodeFamilies, one_address_of_each_may_have_the_same_port) {
  start(near, []() -> task<> {
    const listener four = co_await listen({.port = port});
    const listener every_four = co_await listen({.host = "*", .port = port + 1});
    const listener six = co_await listen({.host = "::1", .port = port});
    const listener other_six = co_await listen({.host = "::1", .port = port + 1});
    const auto datagrams = bind_datagrams({.port = port});
    const auto other_datagrams = bind_datagrams({.host = "::1", .port = port});
  });
  all.run_for(1_s);
  expect_ended_well(near);
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
}  // namespace weir::node_families_test
