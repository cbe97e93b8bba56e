// The ports that machines give to sockets that ask for none, and what happens when there are none.
#include <weir/core.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/node_kit_test.hpp>

#include <errno.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::node_ports_test {
namespace {

using namespace weir::literals;

constexpr std::uint16_t port = 7000;

/// `near` has four ports to give.
class NodePorts : public contract::two_machines {
 protected:
  NodePorts() : two_machines({.world = {.ports = {.first = 40'000, .last = 40'003}}}) {}

  address there(std::uint16_t at = port) const { return *address::parse(far.address(), at); }
  /// Accepts on `far` and keeps what it accepted, or closes it at once.
  void start_server(bool closes_first = false) {
    closes = closes_first;
    start(far, [&]() -> task<> {
      co_await with_scope([&](scope& doors) -> task<> {
        doors.spawn([&]() -> task<> { co_await accept_at(port); });
        doors.spawn([&]() -> task<> { co_await accept_at(port + 1); });
        co_await doors.join();
      });
    });
  }
  task<> accept_at(std::uint16_t at) {
    listener door = co_await listen({.host = "*", .port = at});
    std::vector<socket> kept;
    for (;;) {
      socket one = co_await door.accept();
      if (!closes) kept.push_back(std::move(one));
    }
  }
  /// Connects `how_many` times from `near`: how often it went well, and the error that ended it.
  task<std::size_t> connect_often(std::size_t how_many, std::vector<socket>* into, address to) {
    std::size_t made = 0;
    for (; made < how_many; ++made) {
      auto one = co_await as_result(connect(to));
      if (!one) {
        refusal = one.error().os_code();
        break;
      }
      into->push_back(std::move(*one));
    }
    co_return made;
  }

  bool closes = false;
  int refusal = 0;
};

TEST_F(NodePorts, come_to_their_end_and_connect_says_so) {
  start_server();
  std::size_t made = 0;
  start(near, [&]() -> task<> {
    std::vector<socket> open;
    made = co_await connect_often(10, &open, there());
    co_await sleep(1_s);
  });
  all.run_for(500_ms);
  EXPECT_EQ(made, 4u);
  EXPECT_EQ(refusal, EADDRNOTAVAIL);
}

TEST_F(NodePorts, are_used_for_another_place_at_the_same_time) {
  start_server();
  std::size_t made = 0;
  start(near, [&]() -> task<> {
    std::vector<socket> open;
    made += co_await connect_often(10, &open, there());
    made += co_await connect_often(10, &open, there(port + 1));
  });
  all.run_for(500_ms);
  EXPECT_EQ(made, 8u);
}

TEST_F(NodePorts, of_connections_that_this_end_closed_first_are_kept_for_a_minute) {
  start_server();
  std::size_t made = 0;
  std::size_t after_a_while = 0;
  std::size_t at_last = 0;
  start(near, [&]() -> task<> {
    std::vector<socket> open;
    made = co_await connect_often(10, &open, there());
    open.clear();
    co_await sleep(59_s);
    after_a_while = co_await connect_often(10, &open, there());
    co_await sleep(2_s);
    at_last = co_await connect_often(10, &open, there());
  });
  all.run_for(90_s);
  EXPECT_EQ(made, 4u);
  EXPECT_EQ(after_a_while, 0u);
  EXPECT_EQ(at_last, 4u);
}

TEST_F(NodePorts, of_connections_that_the_other_end_closed_first_come_back_at_once) {
  start_server(true);
  std::size_t made = 0;
  start(near, [&]() -> task<> {
    for (int i = 0; i < 20; ++i) {
      socket one = co_await connect(there());
      const bytes end = co_await one.receive();
      EXPECT_FALSE(end);
      ++made;
    }
  });
  all.run_for(10_s);
  expect_ended_well(near);
  EXPECT_EQ(made, 20u);
}

TEST_F(NodePorts, of_connections_that_were_refused_or_reset_come_back_at_once) {
  start_server();
  start(near, [&]() -> task<> {
    for (int i = 0; i < 20; ++i) {
      const auto nobody = co_await as_result(connect(there(9'999)));
      EXPECT_EQ(nobody.error().code(), errc::refused);
      socket one = co_await connect(there());
      one.reset();
    }
  });
  all.run_for(10_s);
  expect_ended_well(near);
}

TEST_F(NodePorts, that_a_killed_program_had_are_kept_as_after_a_close) {
  start_server();
  std::size_t made = 0;
  const auto fill = [&]() -> task<> {
    std::vector<socket> mine;
    made = co_await connect_often(10, &mine, there());
    co_await sleep(1_h);
  };
  start(near, fill);
  all.run_for(1_s);
  near.kill();
  start(near, fill);
  all.run_for(1_s);
  EXPECT_EQ(made, 0u);
  near.cut_power();
  start(near, fill);
  all.run_for(10_s);
  EXPECT_EQ(made, 4u) << "a machine that was off remembers nothing";
}

TEST_F(NodePorts, of_a_loopback_come_back_with_the_close) {
  start(near, [&]() -> task<> {
    listener door = co_await listen({.host = "127.0.0.1", .port = port});
    for (int round = 0; round < 5; ++round) {
      std::vector<socket> open;
      const std::size_t made = co_await connect_often(10, &open, door.local());
      EXPECT_EQ(made, 4u);
      EXPECT_EQ(refusal, EADDRNOTAVAIL);
      while (!open.empty()) {
        open.pop_back();
        std::ignore = co_await door.accept();
      }
    }
  });
  all.run_for(10_s);
  expect_ended_well(near);
}

TEST_F(NodePorts, are_bounded_for_listeners_and_datagrams_too) {
  start(near, [&]() -> task<> {
    std::vector<listener> doors;
    std::vector<datagram_socket> boxes;
    for (int i = 0; i < 4; ++i) {
      doors.push_back(co_await listen({}));
      boxes.push_back(bind_datagrams());
    }
    const auto door = co_await as_result(listen({}));
    EXPECT_EQ(door.error().code(), errc::busy);
    EXPECT_THROW(boxes.push_back(bind_datagrams()), exception);
    doors.pop_back();
    boxes.pop_back();
    doors.push_back(co_await listen({}));
    boxes.push_back(bind_datagrams());
  });
  all.run_for(1_s);
  expect_ended_well(near);
}

}  // namespace
}  // namespace weir::node_ports_test
