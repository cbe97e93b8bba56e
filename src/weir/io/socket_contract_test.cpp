// What sockets do, on every driver: the contract that programs are written against.
// Needs the kernel: every driver has to keep the contract; the virtual one does too.
#include <weir/io/contract_test.hpp>
#include <weir/io/file.hpp>

#include <errno.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace weir::socket_contract_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;

class socket_contract : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, socket_contract, ::testing::ValuesIn(all_drivers()), name_of);

TEST_P(socket_contract, bytes_arrive_as_they_were_sent_and_the_end_is_empty) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    co_await pair.client.send("hello ");
    co_await pair.client.send("world");
    pair.client.close();
    EXPECT_EQ(co_await receive_all(pair.server), "hello world");
    EXPECT_TRUE((co_await pair.server.receive()).empty()) << "the end stays the end";
  });
}

TEST_P(socket_contract, where_nobody_can_listen_is_told_to_who_waits_not_to_who_asks) {
  run([]() -> task<> {
    const result<listener> no_host = co_await as_result(listen({.host = "not a host"}));
    EXPECT_EQ(no_host.error().code(), errc::invalid_argument);
    const std::string too_long(200, 'x');
    const result<listener> no_path = co_await as_result(listen({.path = too_long}));
    EXPECT_EQ(no_path.error().code(), errc::invalid_argument);
  });
}

TEST_P(socket_contract, a_send_of_nothing_is_done_at_once) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    co_await pair.client.send("");
    co_await pair.client.send("x");
    EXPECT_EQ(co_await receive_at_least(pair.server, 1), "x");
  });
}

TEST_P(socket_contract, several_pieces_are_sent_as_one) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    const io_slice pieces[] = {{"", 0}, {"ab", 2}, {"", 0}, {"cde", 3}, {"f", 1}, {"", 0}};
    co_await pair.client.send(pieces);
    pair.client.close();
    EXPECT_EQ(co_await receive_all(pair.server), "abcdef");
  });
}

TEST_P(socket_contract, many_pieces_larger_than_the_buffers_arrive_whole) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    const std::string text = pattern(3'000'000);
    std::vector<io_slice> pieces;
    for (std::size_t at = 0; at < text.size(); at += 1'000)
      pieces.push_back({text.data() + at, 1'000});
    std::string arrived;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { arrived = co_await receive_all(pair.server); });
      co_await pair.client.send(pieces);
      co_await pair.client.shutdown_send();
    });
    EXPECT_EQ(arrived.size(), text.size());
    EXPECT_TRUE(arrived == text);
  });
}

TEST_P(socket_contract, megabytes_in_both_directions_at_once_arrive_whole) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    const std::string text = pattern(4'000'000);
    std::string at_server;
    std::string at_client;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { at_server = co_await receive_all(pair.server); });
      s.spawn([&]() -> task<> { at_client = co_await receive_all(pair.client); });
      s.spawn([&]() -> task<> {
        co_await pair.server.send(text);
        co_await pair.server.shutdown_send();
      });
      co_await pair.client.send(text);
      co_await pair.client.shutdown_send();
    });
    EXPECT_TRUE(at_server == text);
    EXPECT_TRUE(at_client == text);
  });
}

TEST_P(socket_contract, after_a_half_close_the_other_direction_goes_on) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    co_await pair.client.send("question");
    co_await pair.client.shutdown_send();
    EXPECT_EQ(co_await receive_all(pair.server), "question");
    co_await pair.server.send("answer");
    pair.server.close();
    EXPECT_EQ(co_await receive_all(pair.client), "answer");
  });
}

TEST_P(socket_contract, the_end_is_seen_by_a_receive_that_already_waits) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { EXPECT_TRUE((co_await pair.server.receive()).empty()); });
      co_await sleep(1_ms);
      pair.client.close();
    });
  });
}

TEST_P(socket_contract, data_right_before_the_end_is_not_lost) {
  run([]() -> task<> {
    for (int round = 0; round < 50; ++round) {
      connection pair = co_await connect_pair();
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { EXPECT_EQ(co_await receive_all(pair.server), "last words"); });
        co_await yield();
        co_await pair.client.send("last words");
        pair.client.close();
      });
    }
  });
}

TEST_P(socket_contract, a_reset_breaks_a_waiting_receive) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [&]() -> task<> { EXPECT_EQ(co_await code_of(pair.server.receive()), errc::broken); });
      co_await sleep(1_ms);
      pair.client.reset();
    });
  });
}

TEST_P(socket_contract, sending_to_a_peer_that_is_gone_is_broken) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    pair.client.reset();
    errc code = errc{};
    for (int i = 0; i < 100 && code == errc{}; ++i) {
      code = co_await code_of(pair.server.send("anybody there?"));
      co_await sleep(1_ms);
    }
    EXPECT_EQ(code, errc::broken);
  });
}

TEST_P(socket_contract, a_send_waits_while_nobody_receives_and_a_cancel_tells_how_much_left_T7) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    const std::string text = pattern(64'000'000);
    std::size_t sent = 0;
    co_await with_scope({.timeout = 20_ms}, [&](scope&) -> task<> {
      co_await pair.client.send(text, &sent);
      ADD_FAILURE() << "more was sent than buffers hold";
    });
    EXPECT_GT(sent, 0u);
    EXPECT_LT(sent, text.size());
    co_await pair.client.shutdown_send();
    const std::string arrived = co_await receive_all(pair.server);
    EXPECT_EQ(arrived.size(), sent);
    EXPECT_TRUE(std::string_view(text).starts_with(arrived));
  });
}

TEST_P(socket_contract, a_failed_send_says_how_much_was_sent) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    const std::string text = pattern(64'000'000);
    std::size_t sent = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        const result<void> outcome = co_await as_result(pair.client.send(text, &sent));
        EXPECT_FALSE(outcome);
        if (outcome) co_return;
        EXPECT_EQ(outcome.error().code(), errc::broken);
        EXPECT_NE(outcome.error().message().find("after " + std::to_string(sent)),
                  std::string_view::npos)
            << outcome.error().message();
      });
      co_await sleep(5_ms);
      pair.server.reset();
    });
  });
}

TEST_P(socket_contract, a_cancelled_receive_has_taken_nothing) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    co_await with_scope({.timeout = 2_ms},
                        [&](scope&) -> task<> { std::ignore = co_await pair.server.receive(); });
    co_await pair.client.send("kept");
    EXPECT_EQ(co_await receive_at_least(pair.server, 4), "kept");
  });
}

TEST_P(socket_contract, in_a_cancelled_scope_a_receive_leaves_what_is_there) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    co_await pair.client.send("kept");
    co_await sleep(1_ms);
    co_await with_scope([&](scope& s) -> task<> {
      s.cancel("test");
      std::ignore = co_await pair.server.receive();
      ADD_FAILURE() << "a wait in a cancelled scope went on";
    });
    EXPECT_EQ(co_await receive_at_least(pair.server, 4), "kept");
  });
}

TEST_P(socket_contract, a_cancel_that_races_with_data_loses_none_of_it) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    std::string arrived;
    for (int round = 0; round < 200; ++round) {
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> {
          const bytes piece = co_await pair.server.receive();
          arrived += piece.text();
        });
        co_await yield();
        co_await pair.client.send("x");
        for (int turns = round % 4; turns > 0; --turns) co_await yield();
        s.cancel("test");
      });
    }
    pair.client.close();
    arrived += co_await receive_all(pair.server);
    EXPECT_EQ(arrived, std::string(200, 'x'));
  });
}

TEST_P(socket_contract, close_ends_the_waits_of_other_tasks_with_closed) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    const std::string text = pattern(64'000'000);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [&]() -> task<> { EXPECT_EQ(co_await code_of(pair.server.receive()), errc::closed); });
      s.spawn(
          [&]() -> task<> { EXPECT_EQ(co_await code_of(pair.server.send(text)), errc::closed); });
      co_await sleep(5_ms);
      pair.server.close();
    });
    EXPECT_EQ(co_await code_of(pair.server.receive()), errc::closed);
  });
}

TEST_P(socket_contract, a_closed_number_that_is_used_again_is_a_new_socket_L3) {
  run([]() -> task<> {
    for (int round = 0; round < 100; ++round) {
      connection pair = co_await connect_pair();
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { co_await as_result(pair.server.receive()); });
        co_await yield();
        pair.server.close();
        connection other = co_await connect_pair();
        co_await other.client.send("new");
        EXPECT_EQ(co_await receive_at_least(other.server, 3), "new");
      });
    }
  });
}

TEST_P(socket_contract, connections_queue_until_they_are_accepted) {
  run([]() -> task<> {
    listener door = co_await listen({});
    std::vector<socket> clients;
    for (int i = 0; i < 20; ++i) {
      clients.push_back(co_await connect(door.local()));
      co_await clients.back().send(std::string(1, static_cast<char>('a' + i)));
    }
    for (int i = 0; i < 20; ++i) {
      socket one = co_await door.accept();
      EXPECT_EQ((co_await one.receive()).text(), std::string(1, static_cast<char>('a' + i)));
    }
  });
}

TEST_P(socket_contract, a_cancelled_accept_loses_no_connection) {
  run([]() -> task<> {
    listener door = co_await listen({});
    for (int round = 0; round < 30; ++round) {
      socket client;
      socket server;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { server = co_await door.accept(); });
        co_await yield();
        client = co_await connect(door.local());
        s.cancel("test");
      });
      if (!server) server = co_await door.accept();
      co_await client.send("hello");
      EXPECT_EQ(co_await receive_at_least(server, 5), "hello");
    }
  });
}

TEST_P(socket_contract, a_closed_listener_ends_its_accepts_and_refuses) {
  run([]() -> task<> {
    listener door = co_await listen({});
    const address where = door.local();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { EXPECT_EQ(co_await code_of(door.accept()), errc::closed); });
      s.spawn([&]() -> task<> { EXPECT_EQ(co_await code_of(door.accept()), errc::closed); });
      co_await sleep(1_ms);
      door.close();
    });
    EXPECT_EQ(co_await code_of(connect(where)), errc::refused);
  });
}

TEST_P(socket_contract, a_taken_address_is_busy) {
  run([]() -> task<> {
    listener door = co_await listen({});
    EXPECT_EQ(co_await code_of(listen_at(door.local())), errc::busy);
  });
}

TEST_P(socket_contract, both_ends_know_both_addresses) {
  run([]() -> task<> {
    listener door = co_await listen({});
    EXPECT_NE(door.local().port(), 0);
    socket client = co_await connect(door.local());
    socket server = co_await door.accept();
    EXPECT_EQ(client.peer().text(), door.local().text());
    EXPECT_EQ(server.local().text(), door.local().text());
    EXPECT_EQ(server.peer().text(), client.local().text());
    EXPECT_TRUE(server.peer().is_loopback());
  });
}

TEST_P(socket_contract, a_listener_on_every_ipv6_interface_takes_ipv4_too) {
  run([&]() -> task<> {
    if (is_kernel() && !has_ipv6()) co_return;  // none on this machine
    listener door = co_await listen({.host = "::"});
    const std::string port = std::to_string(door.local().port());
    EXPECT_EQ(door.local().text(), "[::]:" + port);
    socket client = co_await connect(address::loopback(door.local().port()));
    socket server = co_await door.accept();
    EXPECT_EQ(client.peer().text(), "127.0.0.1:" + port);
    EXPECT_EQ(server.local().text(), "[::ffff:127.0.0.1]:" + port);
    EXPECT_EQ(server.peer().text(), "[::ffff:127.0.0.1]:" + std::to_string(client.local().port()));
    co_await client.send("x");
    EXPECT_EQ(co_await receive_at_least(server, 1), "x");
    co_await server.send("y");
    EXPECT_EQ(co_await receive_at_least(client, 1), "y");
  });
}

TEST_P(socket_contract, every_ipv6_interface_and_an_ipv4_one_are_not_both_to_be_had) {
  run([&]() -> task<> {
    if (is_kernel() && !has_ipv6()) co_return;  // none on this machine
    for (const char* host : {"*", "127.0.0.1", "::1", "::ffff:127.0.0.1"}) {
      listener first = co_await listen({.host = host});
      EXPECT_EQ(co_await code_of(listen({.host = "::", .port = first.local().port()})), errc::busy)
          << host;
      listener second = co_await listen({.host = "::"});
      EXPECT_EQ(co_await code_of(listen({.host = host, .port = second.local().port()})), errc::busy)
          << host;
    }
  });
}

TEST_P(socket_contract, of_listeners_that_share_a_port_the_one_of_the_family_is_first) {
  run([&]() -> task<> {
    if (is_kernel() && !has_ipv6()) co_return;  // none on this machine
    listener both = co_await listen({.host = "::", .reuse_port = true});
    const std::uint16_t port = both.local().port();
    listener one = co_await listen({.host = "*", .port = port, .reuse_port = true});
    for (int i = 0; i < 4; ++i) {
      const socket four = co_await connect(address::loopback(port));
      EXPECT_EQ((co_await one.accept()).peer(), four.local());
      const socket six = co_await connect(*address::parse("::1", port));
      EXPECT_EQ((co_await both.accept()).peer(), six.local());
    }
  });
}

/// For IPv6 only, at a port that nobody has for IPv4: other programs of the machine may.
task<listener> listen_for_ipv6_only() {
  for (int tries = 1;; ++tries) {
    listener six = co_await listen({.host = "::", .ipv6_only = true});
    const auto four = co_await as_result(listen({.host = "*", .port = six.local().port()}));
    if (four || tries == 100) co_return six;
  }
}

TEST_P(socket_contract, a_listener_that_is_ipv6_only_leaves_ipv4_to_others) {
  run([&]() -> task<> {
    if (is_kernel() && !has_ipv6()) co_return;  // none on this machine
    listener six = co_await listen_for_ipv6_only();
    const std::uint16_t port = six.local().port();
    EXPECT_EQ(co_await code_of(connect(address::loopback(port))), errc::refused);
    EXPECT_EQ(co_await code_of(listen({.host = "::", .port = port})), errc::busy);
    EXPECT_EQ(co_await code_of(listen({.host = "::1", .port = port})), errc::busy);
    std::ignore = co_await listen({.host = "127.0.0.1", .port = port});
    std::ignore = co_await listen({.host = "::ffff:127.0.0.1", .port = port});
    listener four = co_await listen({.host = "*", .port = port});
    const socket by_four = co_await connect(address::loopback(port));
    EXPECT_EQ((co_await four.accept()).peer(), by_four.local());
    const socket by_six = co_await connect(*address::parse("::1", port));
    EXPECT_EQ((co_await six.accept()).peer(), by_six.local());
    six.close();
    EXPECT_EQ(co_await code_of(listen({.host = "::", .port = port})), errc::busy);
    std::ignore = co_await listen({.host = "::", .port = port, .ipv6_only = true});
  });
}

TEST_P(socket_contract, what_is_no_ipv6_address_can_not_be_ipv6_only) {
  const std::string where = path("six");
  run([&]() -> task<> {
    if (is_kernel() && !has_ipv6()) co_return;  // none on this machine
    for (const char* host : {"*", "127.0.0.1", "::ffff:127.0.0.1"}) {
      EXPECT_EQ(co_await code_of(listen({.host = host, .ipv6_only = true})), errc::invalid_argument)
          << host;
    }
    EXPECT_EQ(co_await code_of(listen({.path = where, .ipv6_only = true})), errc::invalid_argument);
    EXPECT_FALSE(path_status(where)) << "nothing is left of it";
  });
}

TEST_P(socket_contract, the_system_takes_the_word_for_ipv6_only_before_the_address) {
  run([&]() -> task<> {
    if (is_kernel() && !has_ipv6()) co_return;  // none on this machine
    driver& io = loop::current()->io();
    const listener door = co_await listen({.host = "::"});
    EXPECT_EQ(io.set_option(door.handle(), IPPROTO_IPV6, IPV6_V6ONLY, 1), -EINVAL);
    const socket fresh(io, io.make_socket(AF_INET6));
    EXPECT_EQ(io.set_option(fresh.handle(), IPPROTO_IPV6, IPV6_V6ONLY, 1), 0);
    address mapped = *address::parse("::ffff:127.0.0.1", door.local().port());
    struct : io_request {
      bool has_ended = false;
    } ask;
    ask.op = io_op::connect;
    ask.handle = fresh.handle();
    ask.address = &mapped.raw();
    ask.on_complete = [](io_request& one) noexcept {
      static_cast<decltype(ask)&>(one).has_ended = true;
    };
    ask.has_ended = io.submit(ask);
    while (!ask.has_ended) co_await sleep(1_ms);
    EXPECT_EQ(ask.outcome, -ENETUNREACH);
  });
}

TEST_P(socket_contract, an_ipv4_address_in_ipv6_form_leads_to_ipv4) {
  run([&]() -> task<> {
    if (is_kernel() && !has_ipv6()) co_return;  // none on this machine
    listener door = co_await listen({});
    socket client = co_await connect(*address::parse("::ffff:127.0.0.1", door.local().port()));
    const socket server = co_await door.accept();
    const std::string port = std::to_string(client.local().port());
    EXPECT_EQ(client.local().text(), "[::ffff:127.0.0.1]:" + port);
    EXPECT_EQ(server.peer().text(), "127.0.0.1:" + port);
    EXPECT_EQ(co_await code_of(connect(*address::parse("::1", door.local().port()))),
              errc::refused);
  });
}

TEST_P(socket_contract, a_unix_socket_works_like_any_other) {
  const std::string where = path("door");
  run([&]() -> task<> {
    listener door = co_await listen({.path = where});
    socket client = co_await connect(value_or_raise(address::unix_path(where)));
    socket server = co_await door.accept();
    const std::string text = pattern(1'000'000);
    std::string arrived;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { arrived = co_await receive_all(server); });
      co_await client.send(text);
      client.close();
    });
    EXPECT_TRUE(arrived == text);
    EXPECT_EQ(co_await code_of(listen_at(door.local())), errc::busy);
  });
}

TEST_P(socket_contract, received_into_own_memory_stays_within_it) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    co_await pair.client.send("abcdefgh");
    char memory[5] = {};
    std::string all;
    while (all.size() < 8) {
      const std::size_t count = co_await pair.server.receive_into(memory);
      EXPECT_GT(count, 0u);
      all.append(memory, count);
    }
    EXPECT_EQ(all, "abcdefgh");
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        std::string more;  // a receive may give less than was sent
        while (more.size() < 2) {
          const std::size_t count = co_await pair.server.receive_into(memory);
          if (count == 0) break;
          more.append(memory, count);
        }
        EXPECT_EQ(more, "ij");
      });
      co_await sleep(1_ms);
      co_await pair.client.send("ij");
    });
    pair.client.close();
    EXPECT_EQ(co_await pair.server.receive_into(memory), 0u);
  });
}

TEST_P(socket_contract, a_received_view_stays_when_more_is_received) {
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    std::vector<bytes> kept;
    std::string sent;
    std::size_t arrived = 0;
    for (int i = 0; i < 500; ++i) {
      const std::string text = "message " + std::to_string(i);
      co_await pair.client.send(text);
      sent += text;
      while (arrived < sent.size()) {
        kept.push_back(co_await pair.server.receive());
        arrived += kept.back().size();
      }
    }
    std::string all;
    for (const bytes& piece : kept) all += piece.text();
    EXPECT_EQ(all, sent);
  });
}

TEST_P(socket_contract, two_hundred_connections_are_served_at_once) {
  run([]() -> task<> {
    listener door = co_await listen({});
    int answered = 0;
    const auto serve_one = [](socket peer) -> task<> {
      while (auto piece = co_await peer.receive()) co_await peer.send(piece);
    };
    const auto call_one = [](address where, int number, int* count) -> task<> {
      socket self = co_await connect(where);
      for (int i = 0; i < 20; ++i) {
        const std::string text = std::to_string(number) + ":" + std::to_string(i);
        co_await self.send(text);
        if (co_await receive_at_least(self, text.size()) == text) ++*count;
      }
    };
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 200; ++i) s.spawn(call_one, door.local(), i, &answered);
      for (int i = 0; i < 200; ++i) s.spawn(serve_one, co_await door.accept());
    });
    EXPECT_EQ(answered, 200 * 20);
  });
}

TEST_P(socket_contract, a_flood_on_one_socket_does_not_starve_a_timer) {
  if (!is_kernel()) GTEST_SKIP() << "virtual time stands still while there is work";
  run([]() -> task<> {
    connection pair = co_await connect_pair();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        const std::string text = pattern(100'000);
        for (;;) co_await pair.client.send(text);
      });
      s.spawn([&]() -> task<> {
        while (co_await pair.server.receive()) {
        }
      });
      for (int i = 0; i < 5; ++i) co_await sleep(2_ms);
      s.cancel("the timer has fired");
    });
  });
}

}  // namespace
}  // namespace weir::socket_contract_test
