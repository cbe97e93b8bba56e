// What datagram sockets do, on every driver.
// Needs the kernel: every driver has to keep the contract; the virtual one does too.
#include <weir/io/contract_test.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/file.hpp>

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace weir::datagram_contract_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;
using ::testing::HasSubstr;

class datagram_contract : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, datagram_contract, ::testing::ValuesIn(all_drivers()), name_of);

class datagram_limits : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, datagram_limits, ::testing::ValuesIn(kernel_drivers()), name_of);

struct two {
  datagram_socket a;
  datagram_socket b;
};
// Connected to each other, so that nothing else can come in between.
task<two> make_two(std::string_view host = "127.0.0.1") {
  two made{bind_datagrams({.host = host}), bind_datagrams({.host = host})};
  co_await made.a.connect(made.b.local());
  co_await made.b.connect(made.a.local());
  co_return made;
}

TEST_P(datagram_contract, a_datagram_arrives_whole_with_the_address_to_answer_to) {
  run([]() -> task<> {
    auto server = bind_datagrams();
    auto client = open_datagrams();
    const address to = server.local();
    co_await client.send_to(to, "question");
    const datagram asked = co_await server.receive();
    EXPECT_EQ(asked.text(), "question");
    EXPECT_EQ(asked.size, 8u);
    EXPECT_FALSE(asked.is_truncated());
    EXPECT_EQ(address(asked.address).port(), client.local().port());
    co_await server.send_to(asked.address, "answer");
    const datagram answered = co_await client.receive();
    EXPECT_EQ(answered.text(), "answer");
    EXPECT_EQ(address(answered.address), to);
  });
}

TEST_P(datagram_contract, a_socket_on_every_interface_answers_from_where_it_was_asked) {
  run([]() -> task<> {
    auto server = bind_datagrams({.host = "*"});
    const address to = *address::parse("127.0.0.1", server.local().port());
    auto client = open_datagrams();
    co_await client.connect(to);
    EXPECT_EQ(client.local().text(), "127.0.0.1:" + std::to_string(client.local().port()));
    co_await client.send("question");
    co_await server.send_to((co_await server.receive()).address, "answer");
    EXPECT_EQ(address((co_await client.receive()).address), to);
  });
}

TEST_P(datagram_contract, each_stays_apart_also_an_empty_one_U1) {
  run([]() -> task<> {
    two pair = co_await make_two();
    for (const char* text : {"one", "", "three"}) co_await pair.a.send(text);
    EXPECT_EQ((co_await pair.b.receive()).text(), "one");
    EXPECT_EQ((co_await pair.b.receive()).text(), "");
    EXPECT_EQ((co_await pair.b.receive()).text(), "three");
  });
}

TEST_P(datagram_contract, the_largest_arrives_whole_and_a_larger_one_is_too_large_U1) {
  run([]() -> task<> {
    two pair = co_await make_two();
    std::string text(65'507, '\0');
    for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 131 + i / 251);
    co_await pair.a.send(text);
    const datagram one = co_await pair.b.receive();
    EXPECT_TRUE(one.text() == text);
    const std::string more(65'508, 'x');
    const auto refused = co_await as_result(pair.a.send(more));
    EXPECT_EQ(refused.error().code(), errc::too_large);
    EXPECT_THAT(std::string(refused.error().message()), HasSubstr("65508 bytes"));
    EXPECT_EQ(co_await code_of(pair.a.send_to(pair.b.local(), more)), errc::too_large);
  });
}

TEST_P(datagram_contract, many_go_and_come_with_one_wait) {
  run([]() -> task<> {
    two pair = co_await make_two();
    std::vector<std::string> texts;
    std::vector<datagram> all;
    for (int i = 0; i < 100; ++i) texts.push_back(std::string(static_cast<std::size_t>(i), 'x'));
    for (const std::string& one : texts) all.push_back(datagram_of(one));
    std::size_t sent = 0;
    co_await pair.a.send_batch(all, &sent);
    EXPECT_EQ(sent, 100u);
    std::vector<datagram> into(100);
    std::size_t came = 0;
    while (came < 100) {
      const std::size_t count =
          co_await pair.b.receive_batch(std::span(into).subspan(came, 100 - came));
      EXPECT_GE(count, 1u);
      came += count;
    }
    for (std::size_t i = 0; i < 100; ++i) EXPECT_EQ(into[i].text(), texts[i]);
    EXPECT_EQ(co_await pair.b.receive_batch({}), 0u) << "no room is no reason to wait";
    co_await pair.a.send_batch({}, &sent);
    EXPECT_EQ(sent, 0u);
  });
}

// Questions and answers, one by one.
task<> talk(two* pair, int count) {
  co_await with_scope([=](scope& others) -> task<> {
    const auto give_back = [](datagram_socket* at, int times) -> task<> {
      for (int i = 0; i < times; ++i) co_await at->send((co_await at->receive()).text());
    };
    others.spawn(give_back, &pair->b, count);
    for (int i = 0; i < count; ++i) {
      co_await pair->a.send(std::to_string(i));
      EXPECT_EQ((co_await pair->a.receive()).text(), std::to_string(i));
    }
    co_await others.join();
  });
}
task<> send_numbers(two* pair, int count) {
  for (int i = 0; i < count; ++i) co_await pair->a.send(std::to_string(i));
}
task<> expect_numbers(two* pair, int count) {
  for (int i = 0; i < count; ++i) EXPECT_EQ((co_await pair->b.receive()).text(), std::to_string(i));
}

// A driver may wait without a look where its looks have found nothing.
TEST_P(datagram_contract, what_is_there_is_had_also_after_many_that_were_waited_for) {
  run([]() -> task<> {
    two pair = co_await make_two();
    for (int times = 1; times <= 20; ++times) {
      co_await talk(&pair, times);
      co_await send_numbers(&pair, 10);
      co_await expect_numbers(&pair, 10);
    }
  });
}

TEST_P(datagram_limits, of_many_that_are_there_three_at_most_are_waited_for) {
  run([]() -> task<> {
    two pair = co_await make_two();
    co_await talk(&pair, 20);
    co_await send_numbers(&pair, 10);
    const std::uint64_t turns = loop::current()->stats().turns;
    co_await expect_numbers(&pair, 10);
    EXPECT_LE(loop::current()->stats().turns - turns, 3U);
  });
}

TEST_P(datagram_contract, a_batch_that_fails_on_its_way_says_how_many_were_sent) {
  run([]() -> task<> {
    two pair = co_await make_two();
    const std::string large(70'000, 'x');
    datagram all[] = {datagram_of("one"), datagram_of("two"), datagram_of(large),
                      datagram_of("four")};
    std::size_t sent = 0;
    EXPECT_EQ(co_await code_of(pair.a.send_batch(all, &sent)), errc::too_large);
    EXPECT_EQ(sent, 2u);
    EXPECT_EQ((co_await pair.b.receive()).text(), "one");
    EXPECT_EQ((co_await pair.b.receive()).text(), "two");
  });
}

TEST_P(datagram_contract, a_connected_peer_that_is_not_there_refuses_U3) {
  run([]() -> task<> {
    auto client = bind_datagrams();  // first: a connect may give a socket any port that is free
    address nobody;
    {
      nobody = bind_datagrams().local();
    }
    co_await client.connect(nobody);
    EXPECT_EQ(client.peer(), nobody);
    co_await client.send("anybody there?");
    EXPECT_EQ(co_await code_of(client.receive()), errc::refused);
    // It was told once; the socket goes on.
    auto server = bind_datagrams_at(nobody);
    co_await client.send("and now?");
    EXPECT_EQ((co_await server.receive()).text(), "and now?");
  });
}

TEST_P(datagram_contract, a_send_to_nobody_says_that_it_is_not_connected) {
  run([]() -> task<> {
    auto alone = bind_datagrams();
    const auto outcome = co_await as_result(alone.send("x"));
    EXPECT_FALSE(outcome);
    if (!outcome)
      EXPECT_THAT(std::string(outcome.error().message()),
                  ::testing::HasSubstr("the socket is not connected"));
  });
}

TEST_P(datagram_contract, a_refusal_reaches_a_receive_that_waits) {
  run([]() -> task<> {
    two pair = co_await make_two();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { EXPECT_EQ(co_await code_of(pair.a.receive()), errc::refused); });
      co_await sleep(1_ms);
      pair.b.close();
      co_await pair.a.send("x");
    });
  });
}

TEST_P(datagram_contract, a_connected_socket_hears_nobody_else) {
  run([]() -> task<> {
    two pair = co_await make_two();
    auto stranger = open_datagrams();
    co_await stranger.send_to(pair.b.local(), "from a stranger");
    co_await pair.a.send("from the peer");
    EXPECT_EQ((co_await pair.b.receive()).text(), "from the peer");
  });
}

TEST_P(datagram_contract, ipv6_works_as_ipv4_does) {
  run([&]() -> task<> {
    if (is_kernel() && !has_ipv6()) co_return;
    auto server = bind_datagrams({.host = "::1"});
    auto client = open_datagrams(address_family::ipv6);
    co_await client.connect(server.local());
    co_await client.send("x");
    const datagram one = co_await server.receive();
    EXPECT_EQ(address(one.address).family(), address_family::ipv6);
    co_await server.send_to(one.address, "y");
    EXPECT_EQ((co_await client.receive()).text(), "y");
  });
}

TEST_P(datagram_contract, a_socket_on_every_ipv6_interface_speaks_ipv4_too) {
  run([&]() -> task<> {
    if (is_kernel() && !has_ipv6()) co_return;
    auto server = bind_datagrams({.host = "::"});
    const std::string port = std::to_string(server.local().port());
    auto client = bind_datagrams();
    const std::string own = std::to_string(client.local().port());
    co_await client.send_to(address::loopback(server.local().port()), "question");
    const datagram asked = co_await server.receive();
    EXPECT_EQ(address(asked.address).text(), "[::ffff:127.0.0.1]:" + own);
    co_await server.send_to(asked.address, "answer");
    co_await server.send_to(client.local(), "another");
    for (const char* text : {"answer", "another"}) {
      const datagram one = co_await client.receive();
      EXPECT_EQ(one.text(), text);
      EXPECT_EQ(address(one.address).text(), "127.0.0.1:" + port);
    }
    co_await server.connect(address(asked.address));
    EXPECT_EQ(server.local().text(), "[::ffff:127.0.0.1]:" + port);
    EXPECT_EQ(server.peer().text(), "[::ffff:127.0.0.1]:" + own);
    EXPECT_EQ(co_await code_of(server.send(std::string(65'508, 'x'))), errc::too_large)
        << "as with IPv4";
    co_await client.send_to(*address::parse("127.0.0.1", server.local().port()), "once more");
    EXPECT_EQ((co_await server.receive()).text(), "once more");
  });
}

TEST_P(datagram_contract, an_ipv6_interface_has_no_way_to_ipv4) {
  run([&]() -> task<> {
    if (is_kernel() && !has_ipv6()) co_return;
    auto six = bind_datagrams({.host = "::1"});
    auto four = bind_datagrams();
    const address mapped = *address::parse("::ffff:127.0.0.1", four.local().port());
    const auto sent = co_await as_result(six.send_to(mapped, "x"));
    EXPECT_EQ(sent.error().os_code(), ENETUNREACH);
    const auto connected = co_await as_result(six.connect(mapped));
    EXPECT_EQ(connected.error().os_code(), ENETUNREACH);
    auto as_four = bind_datagrams({.host = "::ffff:127.0.0.1"});
    const auto back = co_await as_result(as_four.send_to(six.local(), "x"));
    EXPECT_EQ(back.error().os_code(), EAFNOSUPPORT);
    co_await as_four.send_to(mapped, "x");
    EXPECT_EQ(address((co_await four.receive()).address).port(), as_four.local().port());
  });
}

TEST_P(datagram_contract, every_ipv6_interface_and_an_ipv4_one_are_not_both_to_be_had) {
  run([&]() -> task<> {
    if (is_kernel() && !has_ipv6()) co_return;
    const auto is_busy = [](std::string_view host, std::uint16_t port) {
      try {
        auto made = bind_datagrams({.host = host, .port = port});
      } catch (const exception& e) {
        return e.reason().code() == errc::busy;
      }
      return false;
    };
    for (const char* host : {"*", "127.0.0.1", "::1", "::ffff:127.0.0.1"}) {
      auto first = bind_datagrams({.host = host});
      EXPECT_TRUE(is_busy("::", first.local().port())) << host;
      auto second = bind_datagrams({.host = "::"});
      EXPECT_TRUE(is_busy(host, second.local().port())) << host;
    }
    auto both = bind_datagrams({.host = "::", .reuse_port = true});
    auto one = bind_datagrams({.host = "*", .port = both.local().port(), .reuse_port = true});
    auto client = open_datagrams();
    co_await client.send_to(address::loopback(one.local().port()), "x");
    EXPECT_EQ((co_await one.receive()).text(), "x") << "the one of the family is first";
  });
}

TEST_P(datagram_contract, a_socket_that_is_ipv6_only_leaves_ipv4_to_others) {
  run([&]() -> task<> {
    if (is_kernel() && !has_ipv6()) co_return;
    auto six = bind_datagrams({.host = "::", .ipv6_only = true});
    const std::uint16_t port = six.local().port();
    auto four = bind_datagrams({.host = "*", .port = port});
    auto client = open_datagrams();
    co_await client.send_to(address::loopback(port), "4");
    EXPECT_EQ((co_await four.receive()).text(), "4");
    auto other = open_datagrams(address_family::ipv6);
    co_await other.send_to(*address::parse("::1", port), "6");
    EXPECT_EQ((co_await six.receive()).text(), "6");
    const address mapped = *address::parse("::ffff:127.0.0.1", port);
    for (const address& to : {mapped, address::loopback(port)}) {
      const auto sent = co_await as_result(six.send_to(to, "x"));
      EXPECT_EQ(sent.error().os_code(), ENETUNREACH) << to.text();
    }
    EXPECT_EQ((co_await as_result(six.connect(mapped))).error().os_code(), ENETUNREACH);
    EXPECT_EQ((co_await as_result(six.connect(address::loopback(port)))).error().os_code(),
              EAFNOSUPPORT);
  });
}

TEST_P(datagram_contract, unix_datagrams_have_paths_and_tell_when_they_are_cut) {
  run([&]() -> task<> {
    auto server = bind_datagrams({.path = path("server")});
    auto client = bind_datagrams({.path = path("client")});
    co_await client.send_to(server.local(), "question");
    const datagram asked = co_await server.receive();
    EXPECT_EQ(address(asked.address).text(), "unix:" + path("client"));
    co_await server.send_to(asked.address, "answer");
    EXPECT_EQ((co_await client.receive()).text(), "answer");

    auto nameless = open_datagrams(address_family::unix_path);
    co_await nameless.connect(server.local());
    const std::string large(100'000, 'x');
    co_await nameless.send(large);
    const datagram cut = co_await server.receive();
    EXPECT_EQ(cut.address.size, 0u) << "nobody to answer to";
    EXPECT_TRUE(cut.is_truncated());
    EXPECT_EQ(cut.size, 100'000u);
    EXPECT_EQ(cut.data.size(), 65'536u);
  });
}

TEST_P(datagram_contract, the_path_of_a_dead_unix_socket_is_taken_over_and_a_live_one_is_busy) {
  run([&]() -> task<> {
    {
      auto dead = bind_datagrams({.path = path("door")});
    }
    auto door = bind_datagrams({.path = path("door")});
    bool is_busy = false;
    try {
      auto second = bind_datagrams({.path = path("door")});
    } catch (const exception& e) {
      is_busy = e.reason().code() == errc::busy;
    }
    EXPECT_TRUE(is_busy);
    co_return;
  });
}

TEST_P(datagram_contract, a_unix_receiver_without_room_makes_a_connected_sender_wait) {
  run([&]() -> task<> {
    auto server = bind_datagrams({.path = path("server")});
    auto stranger = open_datagrams(address_family::unix_path);
    auto client = open_datagrams(address_family::unix_path);
    co_await client.connect(server.local());
    constexpr int count = 2'000;  // more than any queue of the kernel
    int came = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (int i = 0; i < count; ++i) co_await client.send("x");
      });
      co_await sleep(2_ms);
      errc code{};
      for (int i = 0; i < count && code == errc{}; ++i)
        code = co_await code_of(stranger.send_to(server.local(), "y"));
      EXPECT_EQ(code, errc::full) << "to wait for somebody else's room would be for ever";
      while (came < count) {
        if ((co_await server.receive()).text() == "x") ++came;
      }
    });
    EXPECT_EQ(came, count);
  });
}

TEST_P(datagram_contract, who_has_waited_for_a_datagram_waits_for_room_too) {
  run([&]() -> task<> {
    auto server = bind_datagrams({.path = path("server")});
    auto client = bind_datagrams({.path = path("client")});
    co_await client.connect(server.local());
    constexpr int count = 2'000;  // more than any queue of the kernel
    int sent = 0;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        EXPECT_EQ((co_await client.receive()).text(), "begin");
        for (; sent < count; ++sent) co_await client.send("x");
      });
      co_await sleep(2_ms);
      co_await server.send_to(client.local().raw(), "begin");
      while (sent == 0) co_await sleep(1_ms);
      for (int before = -1; sent != before; co_await sleep(1_ms)) before = sent;
      EXPECT_LT(sent, count) << "the sender waits";
      for (int i = 0; i < count; ++i) EXPECT_EQ((co_await server.receive()).text(), "x");
    });
    EXPECT_EQ(sent, count);
  });
}

TEST_P(datagram_contract, in_a_cancelled_scope_none_of_them_happens) {
  run([]() -> task<> {
    two pair = co_await make_two();
    co_await pair.a.send("kept");
    co_await sleep(1_ms);
    std::vector<datagram> into(4);
    co_await with_scope([&](scope& s) -> task<> {
      s.cancel("test");
      std::ignore = co_await as_result(pair.b.receive());
      std::ignore = co_await as_result(pair.b.receive_batch(into));
      std::ignore = co_await as_result(pair.a.send("never"));
      std::ignore = co_await as_result(pair.a.send_batch(into));
      co_await checkpoint();
      ADD_FAILURE() << "a wait in a cancelled scope went on";
    });
    co_await pair.a.send("last");
    EXPECT_EQ((co_await pair.b.receive()).text(), "kept");
    EXPECT_EQ((co_await pair.b.receive()).text(), "last");
  });
}

TEST_P(datagram_contract, a_cancel_that_races_with_datagrams_loses_none_U2) {
  run([]() -> task<> {
    two pair = co_await make_two();
    std::string arrived;
    for (int round = 0; round < 200; ++round) {
      const std::string text(1, static_cast<char>('a' + round % 26));
      bool has_come = false;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> {
          const datagram one = co_await pair.b.receive();
          arrived += one.text();
          has_come = true;
        });
        co_await yield();
        co_await pair.a.send(text);
        for (int turns = round % 4; turns > 0; --turns) co_await yield();
        s.cancel("test");
      });
      if (!has_come) arrived += (co_await pair.b.receive()).text();
      EXPECT_TRUE(arrived.ends_with(text)) << round;
    }
    EXPECT_EQ(arrived.size(), 200u);
  });
}

TEST_P(datagram_contract, a_cancel_that_races_with_a_connect_and_a_send_leaves_them_done_or_not) {
  run([]() -> task<> {
    two pair = co_await make_two();
    auto other = bind_datagrams();
    co_await other.connect(pair.a.local());
    for (int round = 0; round < 100; ++round) {
      bool is_connected = false;
      bool is_sent = false;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> {
          co_await pair.a.connect(other.local());
          is_connected = true;
          co_await pair.a.send("x");
          is_sent = true;
        });
        for (int turns = round % 4; turns > 0; --turns) co_await yield();
        s.cancel("test");
      });
      EXPECT_EQ(pair.a.peer(), is_connected ? other.local() : pair.b.local());
      co_await pair.a.connect(other.local());
      co_await pair.a.send("y");
      if (is_sent) EXPECT_EQ((co_await other.receive()).text(), "x");
      EXPECT_EQ((co_await other.receive()).text(), "y") << "what was not told was not sent";
      co_await pair.a.connect(pair.b.local());
    }
  });
}

TEST_P(datagram_contract, close_ends_the_waits_of_other_tasks_with_closed) {
  run([]() -> task<> {
    two pair = co_await make_two();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { EXPECT_EQ(co_await code_of(pair.a.receive()), errc::closed); });
      co_await sleep(1_ms);
      pair.a.close();
    });
    EXPECT_EQ(co_await code_of(pair.a.receive()), errc::closed);
    EXPECT_EQ(co_await code_of(pair.a.send("x")), errc::closed);
  });
}

TEST_P(datagram_contract, a_closed_number_that_is_used_again_is_a_new_socket) {
  run([]() -> task<> {
    for (int round = 0; round < 100; ++round) {
      two old = co_await make_two();
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { co_await as_result(old.a.receive()); });
        for (int turns = round % 3; turns > 0; --turns) co_await yield();
        old.a.close();
        old.b.close();
        two other = co_await make_two();
        co_await other.a.send("new");
        EXPECT_EQ((co_await other.b.receive()).text(), "new");
      });
    }
  });
}

TEST_P(datagram_contract, an_address_in_use_is_busy_unless_it_is_shared) {
  run([]() -> task<> {
    auto first = bind_datagrams({.reuse_port = true});
    auto second = bind_datagrams_at(first.local(), true);
    bool is_busy = false;
    try {
      auto third = bind_datagrams_at(first.local());
    } catch (const exception& e) {
      is_busy = e.reason().code() == errc::busy;
      EXPECT_THAT(std::string(e.what()), HasSubstr(first.local().text()));
    }
    EXPECT_TRUE(is_busy);
    co_return;
  });
}

TEST_P(datagram_contract, a_broadcast_needs_to_be_allowed) {
  run([&]() -> task<> {
    auto one = open_datagrams();
    const address all = *address::parse("255.255.255.255", 9);
    const auto refused = co_await as_result(one.send_to(all, "x"));
    if (is_kernel() && !refused && refused.error().os_code() == ENETUNREACH) co_return;  // no route
    EXPECT_FALSE(refused);
    if (!refused) EXPECT_EQ(refused.error().code(), errc::permission_denied);
    one.set_broadcast(true);
    one.set_receive_buffer(1 << 16);
  });
}

TEST_P(datagram_limits, receives_wait_while_views_hold_all_memory) {
  run(
      []() -> task<> {
        two pair = co_await make_two();
        const std::string large(16'000, 'x');
        std::vector<datagram> kept;
        int came = 0;
        co_await with_scope([&](scope& s) -> task<> {
          s.spawn([&]() -> task<> {
            for (int i = 0; i < 8; ++i) {
              kept.push_back(co_await pair.b.receive());
              ++came;
            }
          });
          for (int i = 0; i < 8; ++i) co_await pair.a.send(large);
          for (int i = 0; i < 100; ++i) co_await yield();
          EXPECT_LT(came, 8) << "the memory has a bound";
          kept.clear();
          while (came < 8) {
            kept.clear();
            co_await yield();
          }
        });
      },
      {.receive_blocks_max = 4});
}

}  // namespace
}  // namespace weir::datagram_contract_test
