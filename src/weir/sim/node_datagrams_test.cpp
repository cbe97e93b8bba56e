// UDP between virtual machines.
#include <weir/core.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/sim/chaos.hpp>
#include <weir/sim/node_kit_test.hpp>

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace weir::node_datagrams_test {
namespace {

using namespace weir::literals;

constexpr std::uint16_t port = 5300;

class NodeDatagrams : public contract::two_machines {
 protected:
  explicit NodeDatagrams(node_options of_near = {}) : two_machines(of_near) {}

  address there() const { return *address::parse(far.address(), port); }

  /// Notes on `far` what arrives.
  void start_receiver(std::string_view host = "*") {
    where = *address::parse(host, port);
    start(far, [&]() -> task<> {
      auto socket = bind_datagrams_at(where);
      for (;;) arrived.push_back(std::string((co_await socket.receive()).text()));
    });
  }
  /// Answers on `far` with what it is asked, and with the asker's address.
  void start_echo(std::string_view host = "*") {
    where = *address::parse(host, port);
    start(far, [&]() -> task<> {
      auto socket = bind_datagrams_at(where);
      for (;;) {
        const datagram asked = co_await socket.receive();
        asker = address(asked.address);
        arrived.push_back(std::string(asked.text()));
        co_await socket.send_to(asked.address, asked.text());
      }
    });
  }
  /// Sends "0", "1" and so on from a connected socket of `near`.
  void send_numbers(int how_many) {
    count = how_many;
    start(near, [&]() -> task<> {
      auto socket = open_datagrams();
      co_await socket.connect(there());
      for (int i = 0; i < count; ++i) {
        const std::string text = std::to_string(i);
        co_await socket.send(text);
      }
    });
    all.run_for(100_ms);
  }
  std::vector<int> numbers() const {
    std::vector<int> out;
    for (const std::string& one : arrived) out.push_back(std::stoi(one));
    return out;
  }
  /// Asks from a connected socket of `near`: the answer, or the error.
  std::string ask(const std::string& text, address at) {
    question = text;
    to = at;
    heard.clear();
    start(near, [&]() -> task<> {
      const auto done = co_await as_result(with_timeout(1_s, ask_once()));
      if (!done) heard = name(done.error().code());
    });
    all.run_for(2_s);
    EXPECT_FALSE(near.is_running());
    return heard;
  }
  task<> ask_once() {
    auto socket = open_datagrams(to.family());
    co_await socket.connect(to);
    own = socket.local();
    co_await socket.send(question);
    heard = (co_await socket.receive()).text();
  }
  link_stats links() { return all.links().stats(); }

  address where;
  int count = 0;
  std::vector<std::string> arrived;
  address asker;
  address own;
  address to;
  std::string question;
  std::string heard;
};

TEST_F(NodeDatagrams, arrive_with_the_address_to_answer_to) {
  start_echo();
  EXPECT_EQ(ask("question", there()), "question");
  EXPECT_TRUE(asker.text().starts_with("10.0.0.1:")) << asker.text();
  EXPECT_EQ(asker, own);
}

TEST_F(NodeDatagrams, go_over_ipv6_too) {
  start_echo("::");
  EXPECT_EQ(ask("question", *address::parse(far.ipv6_address(), port)), "question");
  EXPECT_TRUE(asker.text().starts_with("[fd00::a00:1]:")) << asker.text();
  to_far().is_ipv6_cut = true;
  EXPECT_EQ(ask("question", *address::parse(far.ipv6_address(), port)), "timed_out");
}

TEST_F(NodeDatagrams, of_ipv4_reach_a_socket_at_all_of_ipv6) {
  start_echo("::");
  EXPECT_EQ(ask("question", there()), "question");
  EXPECT_EQ(asker.text(), "[::ffff:10.0.0.1]:" + std::to_string(own.port()));
  const address mapped = *address::parse("::ffff:" + std::string(far.address()), port);
  EXPECT_EQ(ask("again", mapped), "again");
  EXPECT_EQ(asker, own);
  to_far().is_ipv4_cut = true;
  EXPECT_EQ(ask("question", there()), "timed_out");
  EXPECT_EQ(ask("question", mapped), "timed_out");
  to_far() = {};
  far.kill();
  EXPECT_EQ(ask("question", mapped), "refused") << "its machine says that nobody is there";
}

TEST_F(NodeDatagrams, need_no_connect) {
  start_echo();
  address from;
  start(near, [&]() -> task<> {
    auto socket = open_datagrams();
    co_await socket.send_to(there(), "question");
    EXPECT_EQ(socket.local().text(), "0.0.0.0:" + std::to_string(socket.local().port()));
    from = address((co_await socket.receive()).address);
  });
  all.run_for(1_s);
  expect_ended_well(near);
  EXPECT_EQ(from, there());
}

TEST_F(NodeDatagrams, overtake_each_other_by_latencies_of_their_own) {
  start_receiver();
  send_numbers(200);
  EXPECT_EQ(arrived.size(), 200u);
  EXPECT_FALSE(std::ranges::is_sorted(numbers()));
  const auto once = numbers();
  EXPECT_EQ(std::set<int>(once.begin(), once.end()).size(), 200u);
}

TEST_F(NodeDatagrams, of_a_cable_with_one_latency_stay_in_order) {
  all.links().set_all({.latency_min = 1_ms, .latency_max = 1_ms});
  start_receiver();
  send_numbers(200);
  EXPECT_EQ(arrived.size(), 200u);
  EXPECT_TRUE(std::ranges::is_sorted(numbers()));
}

TEST_F(NodeDatagrams, are_lost_for_good) {
  all.links().set_all({.loss_chance = 0.3});
  start_receiver();
  send_numbers(200);
  all.run_for(10_min);
  EXPECT_GT(links().datagrams_lost, 20u);
  EXPECT_EQ(arrived.size() + links().datagrams_lost, 200u);
}

TEST_F(NodeDatagrams, arrive_twice) {
  all.links().set_all({.double_chance = 0.3});
  start_receiver();
  send_numbers(200);
  EXPECT_GT(links().datagrams_doubled, 20u);
  EXPECT_EQ(arrived.size(), 200 + links().datagrams_doubled);
}

TEST_F(NodeDatagrams, into_a_partition_vanish_and_do_not_come_when_it_heals) {
  start_echo();
  to_far().is_cut = true;
  EXPECT_EQ(ask("lost", there()), "timed_out");
  to_far().is_cut = false;
  all.run_for(10_min);
  EXPECT_TRUE(arrived.empty());
  EXPECT_EQ(ask("found", there()), "found");
}

TEST_F(NodeDatagrams, of_a_one_way_partition_ask_and_are_not_answered) {
  start_echo();
  to_near().is_cut = true;
  EXPECT_EQ(ask("question", there()), "timed_out");
  EXPECT_EQ(arrived, std::vector<std::string>{"question"});
}

TEST_F(NodeDatagrams, come_late_over_a_clogged_link) {
  start_receiver();
  to_far().clogged_until = all.now() + 30_s;
  send_numbers(3);
  all.run_for(29_s);
  EXPECT_TRUE(arrived.empty());
  all.run_for(2_s);
  EXPECT_EQ(arrived.size(), 3u);
}

TEST_F(NodeDatagrams, beyond_what_cables_hold_are_lost) {
  start_receiver();
  to_far().clogged_until = all.now() + 30_s;
  send_numbers(static_cast<int>(virtual_links::datagrams_max) + 10);
  EXPECT_EQ(links().datagrams_lost, 10u);
  EXPECT_EQ(all.links().in_flight(), virtual_links::datagrams_max);
  far.cut_power();
  all.run_for(1_min);
  EXPECT_EQ(all.links().in_flight(), 0u);
  start_receiver();
  send_numbers(10);
  EXPECT_EQ(arrived.size(), 10u) << "there is room again";
}

TEST_F(NodeDatagrams, to_a_port_without_anybody_are_refused_where_the_machine_is_up) {
  start(far, []() -> task<> { co_await sleep(1_h); });
  EXPECT_EQ(ask("anybody?", there()), "refused");
  far.pause();
  EXPECT_EQ(ask("anybody?", there()), "refused") << "the kernel goes on";
  to_near().is_cut = true;
  EXPECT_EQ(ask("anybody?", there()), "timed_out") << "the refusal does not come through";
  to_near().is_cut = false;
  far.cut_power();
  EXPECT_EQ(ask("anybody?", there()), "timed_out");
}

TEST_F(NodeDatagrams, tell_no_refusal_to_a_socket_that_is_not_connected) {
  start(far, []() -> task<> { co_await sleep(1_h); });
  start(near, [&]() -> task<> {
    auto socket = open_datagrams();
    co_await socket.send_to(there(), "anybody?");
    const auto got = co_await as_result(with_timeout(1_s, socket.receive()));
    heard = name(got.error().code());
  });
  all.run_for(2_s);
  EXPECT_EQ(heard, "timed_out");
}

TEST_F(NodeDatagrams, find_no_socket_of_a_killed_program_until_it_starts_again) {
  start_echo();
  EXPECT_EQ(ask("one", there()), "one");
  far.kill();
  EXPECT_EQ(ask("two", there()), "refused");
  start_echo();
  EXPECT_EQ(ask("three", there()), "three");
}

TEST_F(NodeDatagrams, may_be_as_large_as_udp_allows) {
  start_echo();
  EXPECT_EQ(ask(std::string(65'507, 'x'), there()).size(), 65'507u);
  EXPECT_EQ(ask(std::string(65'508, 'x'), there()), "too_large");
}

TEST_F(NodeDatagrams, that_nobody_takes_fill_the_receive_buffer_and_then_are_lost) {
  start(far, [&]() -> task<> {
    auto socket = bind_datagrams({.host = "*", .port = port});
    socket.set_receive_buffer(1'000);
    co_await sleep(1_h);
  });
  start(near, [&]() -> task<> {
    auto socket = open_datagrams();
    const std::string text(400, 'x');
    for (int i = 0; i < 10; ++i) co_await socket.send_to(there(), text);
  });
  all.run_for(1_s);
  EXPECT_EQ(far.world().datagrams().stats().overflown, 8u);
}

TEST_F(NodeDatagrams, reach_a_connected_socket_from_its_peer_only) {
  virtual_node& third = all.add({.name = "third"});
  start(far, [&]() -> task<> {
    auto socket = bind_datagrams({.host = "*", .port = port});
    co_await socket.connect(*address::parse(near.address(), port));
    for (;;) arrived.push_back(std::string((co_await socket.receive()).text()));
  });
  const auto call = [&]() -> task<> {
    auto socket = bind_datagrams({.host = "*", .port = port});
    co_await socket.send_to(there(), question);
  };
  all.run_for(1_ms);
  question = "a stranger";
  start(third, call);
  all.run_for(1_s);
  question = "the peer";
  start(near, call);
  all.run_for(1_s);
  EXPECT_EQ(arrived, std::vector<std::string>{"the peer"});
}

TEST_F(NodeDatagrams, do_not_leave_or_enter_a_loopback) {
  start_echo("127.0.0.1");
  EXPECT_EQ(ask("from outside", there()), "refused");
  start(near, [&]() -> task<> {
    auto socket = bind_datagrams();
    const auto sent = co_await as_result(socket.send_to(there(), "from inside"));
    heard = name(sent.error().code());
  });
  all.run_for(1_s);
  EXPECT_EQ(heard, "invalid_argument");
  EXPECT_TRUE(arrived.empty());
}

TEST_F(NodeDatagrams, to_a_machines_own_address_stay_on_it) {
  std::string answered;
  start(near, [&]() -> task<> {
    auto server = bind_datagrams({.host = "*", .port = port});
    auto client = open_datagrams();
    co_await client.connect(*address::parse(near.address(), port));
    co_await client.send("question");
    const datagram asked = co_await server.receive();
    answered = address(asked.address).text();
  });
  all.run_for(1_s);
  expect_ended_well(near);
  EXPECT_TRUE(answered.starts_with("10.0.0.1:")) << answered;
  EXPECT_EQ(links().packets, 0u);
}

/// Owns machines that run nothing.
struct nobody final : chaos_host {
  virtual ~nobody() = default;
  node_program& program_of(virtual_node&) override { return idle; }
  bool has_disk(const virtual_node&) override { return false; }
  static task<> wait() { co_await sleep(1'000 * 1_h); }
  contract::program_of<task<> (*)()> idle{&wait};
};

TEST_F(NodeDatagrams, are_lost_and_doubled_by_chaos_until_it_heals) {
  chaos_set losses;
  losses.set(chaos_kind::loss, true);
  nobody host;
  for (std::uint64_t seed = 1;; ++seed) {  // one that has drawn it
    decisions.restart(seed);
    chaos faults(all, losses, host);
    if (!faults.may_strike(chaos_kind::loss)) continue;
    while (faults.strikes(chaos_kind::loss) == 0) {
      all.run_until(faults.next_at());
      faults.act();
    }
    EXPECT_GT(to_far().loss_chance, 0);
    EXPECT_GT(to_far().double_chance, 0);
    faults.heal();
    EXPECT_EQ(to_far().loss_chance, 0);
    EXPECT_EQ(to_far().double_chance, 0);
    return;
  }
}

/// Which faults strike two machines in ten minutes, and when.
std::vector<std::string> strikes_of_ten_minutes(bool (*run)(virtual_nodes&, chaos&)) {
  struct hearer final : chaos_host {
    node_program& program_of(virtual_node&) override { return of.idle; }
    void struck(chaos_kind, virtual_node* on, const std::string& how) override {
      heard.push_back(fmt::format("{} {} {}", at->now().ns, on ? on->name() : "", how));
    }
    nobody of;
    virtual_nodes* at = nullptr;
    std::vector<std::string> heard;
  };
  choices drawn(4);
  hearer host;
  virtual_nodes machines(drawn);
  host.at = &machines;
  for (const char* name : {"near", "far"}) machines.add({.name = name}).start(host.of.idle);
  chaos faults(machines, chaos_set::all(), host);
  const time_point until = machines.now() + 10_min;
  EXPECT_TRUE(run(machines, faults));
  EXPECT_EQ(machines.now(), until);
  return host.heard;
}

TEST(Chaos, strikes_the_same_when_it_runs_the_machines_as_when_it_is_called_by_hand) {
  const auto by_itself =
      strikes_of_ten_minutes([](virtual_nodes&, chaos& faults) { return faults.run_for(10_min); });
  const auto by_hand = strikes_of_ten_minutes([](virtual_nodes& machines, chaos& faults) {
    const time_point until = machines.now() + 10_min;
    while (machines.now() < until) {
      machines.run_until(std::min(until, std::max(faults.next_at(), machines.now())));
      faults.act();
    }
    return true;
  });
  EXPECT_EQ(by_itself, by_hand);
  EXPECT_GT(by_itself.size(), 20u);
}

std::uint64_t fingerprint_of(std::uint64_t seed) {
  choices decisions(seed);
  virtual_nodes all(decisions);
  virtual_node& near = all.add({.name = "near", .world = {.shuffle = true}});
  virtual_node& far = all.add({.name = "far", .world = {.shuffle = true}});
  all.links().set_all({.slow_chance = 0.1, .loss_chance = 0.2, .double_chance = 0.2});
  contract::program_of server([]() -> task<> {
    auto socket = bind_datagrams({.host = "*", .port = port});
    for (;;) {
      const datagram asked = co_await socket.receive();
      co_await socket.send_to(asked.address, asked.text());
    }
  });
  contract::program_of client([&]() -> task<> {
    auto socket = open_datagrams();
    co_await socket.connect(*address::parse(far.address(), port));
    for (int i = 0; i < 50; ++i) {
      co_await socket.send("some bytes");
      std::ignore = co_await as_result(with_timeout(10_ms, socket.receive()));
    }
  });
  far.start(server);
  near.start(client);
  all.run_for(1_min);
  return all.fingerprint();
}

TEST(NodeDatagramsOfASeed, do_the_same_twice_and_others_something_else) {
  EXPECT_EQ(fingerprint_of(1), fingerprint_of(1));
  EXPECT_NE(fingerprint_of(1), fingerprint_of(2));
}

}  // namespace
}  // namespace weir::node_datagrams_test
