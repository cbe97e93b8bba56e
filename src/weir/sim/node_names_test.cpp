// Names between virtual machines: the code that asks name servers is the one that ships, the server
// is a program on another machine, and what is between them loses datagrams.
#include <weir/core.hpp>
#include <weir/io/address_rules.hpp>
#include <weir/io/resolve.hpp>
#include <weir/io/resolve_service.hpp>
#include <weir/io/socket.hpp>
#include <weir/sim/node_kit_test.hpp>
#include <weir/testing/fake_name_server.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::node_names_test {
namespace {

using namespace weir::literals;
using ::testing::ElementsAre;
using testing::fake_name_server;
using testing::name_trouble;

/// `near` asks, `far` is what it looks for, `third` has the names.
class NodeNames : public contract::two_machines {
 protected:
  NodeNames() {
    names.add("both.test", far.address());
    names.add("both.test", far.ipv6_address());
    names.add("four.test", far.address());
    names.add("six.test", far.ipv6_address());
    testing::set_name_servers(near.world(), third.address());
    start_names();
  }
  void start_names() {
    start(third, [&]() -> task<> { co_await names.serve(*address::parse("*", 53)); });
  }
  /// The addresses of a name as `near` sees it, or the error, `why` in words; `took` is how long
  /// that was.
  std::vector<std::string> look_up(std::string host, resolve_options with = {}) {
    name_asked = std::move(host);
    options = with;
    found.clear();
    start(near, [&]() -> task<> {
      const duration began = all.elapsed();
      const auto done = co_await as_result(resolve(name_asked, 80, options));
      took = all.elapsed() - began;
      if (!done) {
        found.emplace_back(name(done.error().code()));
        why = done.error().message();
      }
      if (done) {
        for (const address& one : *done) found.push_back(one.text());
      }
    });
    all.run_for(2_min);
    expect_ended_well(near);
    return found;
  }
  void listen_on_both() {
    start(far, []() -> task<> {
      listener door = co_await listen({.host = "::", .port = 80});
      for (;;) std::ignore = co_await door.accept();
    });
  }
  /// Connects; `peer` is where that led, or the error, `why` in words; `took` is how long it was.
  void call(std::string host, const address_rules* denied = nullptr) {
    name_asked = std::move(host);
    rules = denied;
    start(near, [&]() -> task<> {
      const duration began = all.elapsed();
      const auto done = co_await as_result(connect(name_asked, 80, rules));
      took = all.elapsed() - began;
      peer = done ? done->peer().text() : std::string(name(done.error().code()));
      why = done ? "" : exception(done.error()).what();
    });
    all.run_for(2_min);
    expect_ended_well(near);
    EXPECT_EQ(near.world().open_handles(), 0u);
  }
  link_conditions& to_names() { return all.links().between(near.host(), third.host()); }
  link_conditions& from_names() { return all.links().between(third.host(), near.host()); }

  fake_name_server names;
  virtual_node& third = all.add({.name = "third"});
  std::string name_asked;
  resolve_options options;
  const address_rules* rules = nullptr;
  std::string peer;
  std::vector<std::string> found;
  std::string why;
  duration took;
};

TEST_F(NodeNames, are_found_with_both_families_and_ipv6_first) {
  EXPECT_THAT(look_up("both.test"), ElementsAre("[fd00::a00:2]:80", "10.0.0.2:80"));
  EXPECT_THAT(look_up("four.test"), ElementsAre("10.0.0.2:80"));
  EXPECT_THAT(look_up("SIX.test"), ElementsAre("[fd00::a00:2]:80"));
  EXPECT_LT(took, 10_ms);
}

TEST_F(NodeNames, that_nobody_has_are_not_found) {
  EXPECT_THAT(look_up("none.test"), ElementsAre("not_found"));
  EXPECT_LT(took, 10_ms);
  names.remove("four.test");
  EXPECT_THAT(look_up("four.test"), ElementsAre("not_found"));
  names.add("four.test", "10.0.0.7");
  EXPECT_THAT(look_up("four.test"), ElementsAre("10.0.0.7:80"));
}

TEST_F(NodeNames, of_a_silent_server_time_out_after_all_tries_and_come_back_with_it) {
  names.set_trouble(name_trouble::silent);
  EXPECT_THAT(look_up("four.test"), ElementsAre("timed_out"));
  EXPECT_GE(took, 14_s) << "2, 4 and 8 s";
  EXPECT_LT(took, 15_s);
  EXPECT_EQ(names.questions(), 6u) << "three tries for two families";
  names.set_trouble(name_trouble::none);
  EXPECT_THAT(look_up("four.test"), ElementsAre("10.0.0.2:80"));
}

TEST_F(NodeNames, are_asked_for_again_when_a_question_or_an_answer_is_lost) {
  to_names().is_cut = true;
  start(far, [&]() -> task<> {
    co_await sleep(1_s);
    to_names().is_cut = false;
    from_names().is_cut = true;
    co_await sleep(2_s);
    from_names().is_cut = false;
  });
  EXPECT_THAT(look_up("four.test"), ElementsAre("10.0.0.2:80"));
  EXPECT_GE(took, 6_s) << "the third try";
  EXPECT_LT(took, 7_s);
}

TEST_F(NodeNames, are_found_over_a_cable_that_loses_doubles_and_overtakes) {
  all.links().set_all({.slow_chance = 0.2, .loss_chance = 0.2, .double_chance = 0.3});
  for (int i = 0; i < 20; ++i) {
    EXPECT_THAT(look_up("both.test", {.try_timeout = 3_s, .tries = 10}),
                ElementsAre("[fd00::a00:2]:80", "10.0.0.2:80"));
  }
  EXPECT_GT(all.links().stats().datagrams_lost, 0u);
}

TEST_F(NodeNames, of_a_server_that_fails_are_refused) {
  names.set_trouble(name_trouble::server_failure);
  EXPECT_THAT(look_up("four.test"), ElementsAre("refused"));
  EXPECT_EQ(why,
            "can't resolve 'four.test': no name server can be reached, or each says that it can't "
            "answer");
  EXPECT_LT(took, 100_ms);
}

TEST_F(NodeNames, of_a_garbled_answer_are_an_error_and_no_address) {
  names.set_trouble(name_trouble::garbled);
  EXPECT_THAT(look_up("four.test"), ElementsAre("io"));
}

TEST_F(NodeNames, that_do_not_fit_into_a_datagram_come_by_stream) {
  names.set_trouble(name_trouble::truncated);
  EXPECT_THAT(look_up("both.test"), ElementsAre("[fd00::a00:2]:80", "10.0.0.2:80"));
  EXPECT_GT(names.questions_by_stream(), 0u);
}

TEST_F(NodeNames, are_not_taken_from_an_answer_to_another_question) {
  names.set_trouble(name_trouble::foreign);
  EXPECT_THAT(look_up("four.test"), ElementsAre("10.0.0.2:80"));
  names.set_trouble(name_trouble::doubled);
  EXPECT_THAT(look_up("four.test"), ElementsAre("10.0.0.2:80"));
}

TEST_F(NodeNames, of_one_family_are_better_than_none) {
  names.set_trouble(name_trouble::silent_on_ipv6);
  EXPECT_THAT(look_up("both.test"), ElementsAre("10.0.0.2:80"));
  EXPECT_GE(took, 14_s);
}

TEST_F(NodeNames, come_from_the_next_server_when_one_is_gone) {
  fake_name_server others;
  others.add("four.test", "10.0.0.9");
  virtual_node& fourth = all.add({.name = "fourth"});
  start(fourth, [&]() -> task<> { co_await others.serve(*address::parse("*", 53)); });
  const std::string both = third.address() + "," + fourth.address();
  testing::set_name_servers(near.world(), both);
  third.kill();
  EXPECT_THAT(look_up("four.test"), ElementsAre("10.0.0.9:80"));
  EXPECT_LT(took, 100_ms) << "its machine says that nobody is there";
  third.cut_power();
  EXPECT_THAT(look_up("four.test"), ElementsAre("10.0.0.9:80"));
  EXPECT_GE(took, 2_s) << "nobody says anything";
  start_names();
  EXPECT_THAT(look_up("four.test"), ElementsAre("10.0.0.2:80"));
}

TEST_F(NodeNames, are_asked_of_the_first_three_servers_only) {
  start(far, []() -> task<> { co_await sleep(1_h); });
  const std::string nobody = far.address();
  const std::string fourth = nobody + "," + nobody + "," + nobody + "," + third.address();
  testing::set_name_servers(near.world(), fourth);
  EXPECT_THAT(look_up("four.test"), ElementsAre("refused"));
  testing::set_name_servers(near.world(), nobody + "," + nobody + "," + third.address());
  EXPECT_THAT(look_up("four.test"), ElementsAre("10.0.0.2:80"));
}

TEST_F(NodeNames, without_a_server_are_refused) {
  third.kill();
  EXPECT_THAT(look_up("four.test"), ElementsAre("refused"));
  testing::set_name_servers(near.world(), "");
  EXPECT_THAT(look_up("four.test"), ElementsAre("refused")) << "127.0.0.1";
}

TEST_F(NodeNames, lead_to_their_machine_by_ipv4_where_ipv6_is_broken) {
  listen_on_both();
  call("both.test");
  EXPECT_EQ(peer, "[fd00::a00:2]:80");
  to_far().is_ipv6_cut = true;
  call("both.test");
  EXPECT_EQ(peer, "10.0.0.2:80");
  EXPECT_GE(took, 250_ms);
  EXPECT_LT(took, 270_ms);
}

TEST_F(NodeNames, of_ipv6_that_do_not_come_are_waited_for_50_ms) {
  listen_on_both();
  names.set_trouble(name_trouble::silent_on_ipv6);
  call("both.test");
  EXPECT_EQ(peer, "10.0.0.2:80");
  EXPECT_GE(took, 50_ms);
  EXPECT_LT(took, 60_ms);
  call("six.test");
  EXPECT_EQ(peer, "timed_out") << "and not that it has no address of IPv4";
  names.set_trouble(name_trouble::none);
  call("four.test");
  EXPECT_EQ(peer, "10.0.0.2:80");
  EXPECT_LT(took, 10_ms) << "that there are none of IPv6 is an answer";
  call("six.test");
  EXPECT_EQ(peer, "[fd00::a00:2]:80");
  EXPECT_LT(took, 10_ms);
  call("none.test");
  EXPECT_EQ(peer, "not_found");
  EXPECT_LT(took, 10_ms);
}

TEST_F(NodeNames, of_ipv6_that_come_late_join_the_tries) {
  listen_on_both();
  names.set_trouble(name_trouble::silent_on_ipv6);
  to_far().is_ipv4_cut = true;
  start(all.add({.name = "fourth"}), [&]() -> task<> {
    co_await sleep(1_s);
    names.set_trouble(name_trouble::none);
  });
  call("both.test");
  EXPECT_EQ(peer, "[fd00::a00:2]:80");
  EXPECT_GE(took, 2_s) << "the second try of the question";
  EXPECT_LT(took, 3_s);
}

TEST_F(NodeNames, whose_addresses_are_tried_before_all_have_come_end_with_the_last_ones_error) {
  start(far, []() -> task<> { co_await sleep(1_h); });
  names.set_trouble(name_trouble::silent_on_ipv6);
  call("both.test");
  EXPECT_EQ(peer, "refused") << "nobody listens, and IPv6 never came";
  EXPECT_THAT(why, ::testing::StartsWith("refused: connect to 10.0.0.2:80; and the addresses of "
                                         "'both.test' in IPv6 are not known; because timed_out: "));
  EXPECT_GE(took, 14_s) << "they were waited for";
}

TEST_F(NodeNames, whose_addresses_are_denied_are_not_called) {
  listen_on_both();
  const std::string denied[] = {"fd00::/8"};
  const address_rules no_ipv6 = address_rules::parse(denied, {}).value();
  call("both.test", &no_ipv6);
  EXPECT_EQ(peer, "10.0.0.2:80");
  call("six.test", &no_ipv6);
  EXPECT_EQ(peer, "permission_denied");
  call(far.ipv6_address(), &no_ipv6);
  EXPECT_EQ(peer, "permission_denied");
}

TEST_F(NodeNames, of_services_lead_to_their_targets) {
  names.add_service("_weir._tcp.test", {.host = "later.test", .port = 2, .priority = 20});
  names.add_service("_weir._tcp.test", {.host = "four.test", .port = 1, .priority = 10});
  std::string targets;
  start(near, [&]() -> task<> {
    for (const service_target& one : co_await resolve_service("_weir._tcp.test")) {
      targets += one.host + ":" + std::to_string(one.port) + " ";
    }
    const auto none = co_await as_result(resolve_service("_none._tcp.test"));
    targets += name(none.error().code());
  });
  all.run_for(1_s);
  expect_ended_well(near);
  EXPECT_EQ(targets, "four.test:1 later.test:2 not_found");
}

TEST_F(NodeNames, end_at_once_when_they_are_cancelled) {
  names.set_trouble(name_trouble::silent);
  start(near, [&]() -> task<> {
    const auto done = co_await as_result(with_timeout(1_s, resolve("four.test", 80)));
    found.emplace_back(name(done.error().code()));
    took = all.elapsed();
  });
  all.run_for(1_min);
  expect_ended_well(near);
  EXPECT_THAT(found, ElementsAre("timed_out"));
  EXPECT_EQ(took, 1_s);
  EXPECT_EQ(near.world().open_handles(), 0u);
}

TEST_F(NodeNames, of_a_killed_program_are_asked_for_by_nobody) {
  names.set_trouble(name_trouble::silent);
  start(near, [&]() -> task<> { std::ignore = co_await resolve("four.test", 80); });
  all.run_for(1_s);
  near.kill();
  const std::size_t before = names.questions();
  all.run_for(1_min);
  EXPECT_EQ(names.questions(), before);
}

// c-ares draws numbers for its questions that no seed knows: they must not show.
std::uint64_t fingerprint_of(std::uint64_t seed) {
  choices decisions(seed);
  virtual_nodes all(decisions);
  virtual_node& asker = all.add({.name = "asker", .world = {.shuffle = true}});
  virtual_node& server = all.add({.name = "server", .world = {.shuffle = true}});
  all.links().set_all({.slow_chance = 0.1, .loss_chance = 0.2, .double_chance = 0.2});
  testing::set_name_servers(asker.world(), server.address());
  fake_name_server names;
  names.add("both.test", "10.0.0.9");
  names.add("both.test", "fd00::a00:9");
  contract::program_of serving([&]() -> task<> { co_await names.serve(*address::parse("*", 53)); });
  contract::program_of asking([&]() -> task<> {
    for (int i = 0; i < 10; ++i) std::ignore = co_await as_result(resolve("both.test", 80));
  });
  server.start(serving);
  asker.start(asking);
  all.run_for(10_min);
  EXPECT_TRUE(asker.has_ended());
  server.kill();
  return all.fingerprint();
}

TEST(NodeNamesOfASeed, are_asked_for_in_the_same_way_twice_and_by_others_otherwise) {
  EXPECT_EQ(fingerprint_of(1), fingerprint_of(1));
  EXPECT_EQ(fingerprint_of(2), fingerprint_of(2));
  EXPECT_NE(fingerprint_of(1), fingerprint_of(2));
}

}  // namespace
}  // namespace weir::node_names_test
