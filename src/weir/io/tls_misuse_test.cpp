// What only a mistake in the program can do to a TLS connection: two sends at a time, an end under
// a wait, a use on another loop. Each stops the process with its name; a connection that was moved
// from is closed.
#include <weir/core.hpp>
#include <weir/io/file_copy.hpp>
#include <weir/io/other_loop_test.hpp>
#include <weir/io/tls_kit_test.hpp>
#include <weir/io/tls_socket.hpp>
#include <weir/testing/test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::tls_misuse_test {
namespace {

using namespace weir::literals;
using testing::certificate_authority;
using testing::pem_pair;

std::int64_t wall_seconds() { return loop::current()->io().wall_now().ns / 1'000'000'000; }

struct trust {
  std::int64_t now = wall_seconds();
  certificate_authority ca{"weir test CA", now};
  pem_pair of_server = ca.issue({.now = now});
  std::string ca_text = ca.certificate();
  tls_identity identity = of_server.identity();
  tls_server server{{.identities = {&identity, 1}}};
  tls_client client{{.ca = ca_text}};
};

/// A client whose server never reads; the server's plain socket is there to be misused.
struct one_sided {
  trust all;
  listener door;
  socket plain;
  std::optional<detail::tls_channel> server;
  std::unique_ptr<tls_socket> client;
};

task<> connect_client(one_sided* into) {
  into->door = co_await listen({});
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      into->plain = co_await into->door.accept();
      into->server = detail::tls_channel::accepting(into->all.server, into->plain.handle());
      co_await into->server->handshake();
    });
    socket plain = co_await connect(into->door.local());
    into->client = std::make_unique<tls_socket>(
        co_await tls_connect(into->all.client, std::move(plain), "weir.test"));
  });
}

template <class Call, class Meanwhile>
task<> while_it_waits(Call call, Meanwhile meanwhile) {
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await call(); });
    co_await sleep(1_ms);
    meanwhile();
    co_await s.join();
  });
}

task<file> make_page() {
  file made = co_await open_file("page", {.write = true, .create = true});
  co_await made.write_at(0, std::string(1 << 20, 'x'));
  co_return made;
}

struct misuse {
  const char* name;
  const char* said;
  task<> (*body)(one_sided* with);
};
void PrintTo(const misuse& one, std::ostream* out) { *out << one.name; }

constexpr const char* one_send = "a socket has one receive and one send at a time";
constexpr const char* stays = "a tls_socket outlives its receive and send, and stays where it is";

constexpr misuse all_misuses[] = {
    {"two_sends", one_send,
     [](one_sided* with) -> task<> {
       const std::string more_than_fits(8 << 20, 'x');
       co_await with_scope([&](scope& s) -> task<> {
         for (int i = 0; i < 2; ++i)
           s.spawn([&]() -> task<> { co_await with->client->send(more_than_fits); });
         co_await s.join();
       });
     }},
    {"a_send_between_two_pieces_of_a_file", one_send,
     [](one_sided* with) -> task<> {
       file page = co_await make_page();
       testing::world().set_latency(1_ms, 1_ms);
       copy_progress progress;
       co_await with_scope([&](scope& s) -> task<> {
         s.spawn([&]() -> task<> {
           while ((co_await with->server->receive(duration::max())).data) {
           }
         });
         s.spawn([&]() -> task<> {
           std::ignore = co_await send_file(page, *with->client, {.progress = &progress});
         });
         while (progress.sent == 0) co_await sleep(10_us);
         testing::world().set_latency({}, {});  // the next piece is being read, and takes longer
         co_await with->client->send("x");
         s.cancel("it was not told");
       });
     }},
    {"a_file_under_a_send", one_send,
     [](one_sided* with) -> task<> {
       file page = co_await make_page();
       const std::string more_than_fits(8 << 20, 'x');
       co_await with_scope([&](scope& s) -> task<> {
         s.spawn([&]() -> task<> { co_await with->client->send(more_than_fits); });
         co_await sleep(1_ms);
         std::ignore = co_await send_file(page, *with->client);
       });
     }},
    {"a_receive_on_another_loop", other_loop_said,
     [](one_sided* with) -> task<> {
       co_await on_another_loop(
           [&]() -> task<> { std::ignore = co_await with->client->receive(); });
     }},
    {"a_send_on_another_loop", other_loop_said,
     [](one_sided* with) -> task<> {
       co_await on_another_loop([&]() -> task<> { co_await with->client->send("x"); });
     }},
    {"its_end_on_another_loop", other_loop_said,
     [](one_sided* with) -> task<> {
       co_await on_another_loop([&]() -> task<> { co_await with->client->shutdown_send(); });
     }},
    {"its_handshake_on_another_loop", other_loop_said,
     [](one_sided* with) -> task<> {
       co_await on_another_loop([&]() -> task<> {
         std::ignore = co_await tls_accept(with->all.server, std::move(with->plain));
       });
     }},
    {"its_end_under_a_receive", stays,
     [](one_sided* with) -> task<> {
       co_await while_it_waits([&]() -> task<> { std::ignore = co_await with->client->receive(); },
                               [&] { with->client.reset(); });
     }},
    {"its_end_under_a_send", stays,
     [](one_sided* with) -> task<> {
       const std::string more_than_fits(8 << 20, 'x');
       co_await while_it_waits([&]() -> task<> { co_await with->client->send(more_than_fits); },
                               [&] { with->client.reset(); });
     }},
    {"its_move_under_a_receive", stays,
     [](one_sided* with) -> task<> {
       std::vector<tls_socket> others;
       co_await while_it_waits([&]() -> task<> { std::ignore = co_await with->client->receive(); },
                               [&] { others.push_back(std::move(*with->client)); });
     }},
};

class TlsMisuseDeathTest : public ::testing::TestWithParam<misuse> {};
INSTANTIATE_TEST_SUITE_P(all, TlsMisuseDeathTest, ::testing::ValuesIn(all_misuses),
                         [](const auto& one) { return std::string(one.param.name); });

TEST_P(TlsMisuseDeathTest, stops_the_process_with_its_name) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  const auto program = [](const misuse* one) -> task<> {
    one_sided with;
    co_await connect_client(&with);
    co_await one->body(&with);
  };
  EXPECT_DEATH(testing::run_virtual(program(&GetParam())), GetParam().said);
}

template <class Wait>
task<errc> failure_of(Wait wait) {
  const auto outcome = co_await as_result(std::move(wait));
  co_return outcome ? errc{} : outcome.error().code();
}

WEIR_TEST("a TLS connection that was moved from is closed, and lives on where it went") {
  one_sided with;
  co_await connect_client(&with);
  tls_socket there = std::move(*with.client);
  EXPECT_FALSE(*with.client);
  EXPECT_EQ(co_await failure_of(with.client->receive()), errc::closed);
  EXPECT_EQ(co_await failure_of(with.client->send("x")), errc::closed);
  EXPECT_EQ(co_await failure_of(with.client->shutdown_send()), errc::closed);
  co_await there.send("x");
  const detail::received_outcome got = co_await with.server->receive(duration::max());
  EXPECT_EQ(got.data.text(), "x");
}

WEIR_TEST("a TLS connection that is closed under its waits ends them with closed") {
  one_sided with;
  co_await connect_client(&with);
  const std::string more_than_fits(8 << 20, 'x');
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [&]() -> task<> { EXPECT_EQ(co_await failure_of(with.client->receive()), errc::closed); });
    s.spawn([&]() -> task<> {
      EXPECT_EQ(co_await failure_of(with.client->send(more_than_fits)), errc::closed);
    });
    co_await sleep(1_ms);
    with.client->close();
  });
}

// A batch that cancelled sends have left waits, for the peer reads nothing; so does the alert of
// the receive that has failed meanwhile.
WEIR_TEST("a send beside the last word of a failed receive fails as that did") {
  one_sided with;
  co_await connect_client(&with);
  const std::string more_than_fits(8 << 20, 'x');
  for (int i = 0; i < 2; ++i)
    std::ignore = co_await failure_of(with_timeout(1_ms, with.client->send(more_than_fits)));
  errc received = {};
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { received = co_await failure_of(with.client->receive()); });
    co_await with.plain.send("this is no record of TLS at all");
    co_await sleep(1_ms);
    EXPECT_EQ(received, errc{}) << "it waits with its last word";
    EXPECT_EQ(co_await failure_of(with.client->send(more_than_fits)), errc::malformed);
  });
  EXPECT_EQ(received, errc::malformed);
}

WEIR_TEST("a host name with a zero byte is no host name for TLS") {
  one_sided with;
  with.door = co_await listen({});
  socket plain = co_await connect(with.door.local());
  const std::string cut("weir.test\0.evil", 15);
  const auto outcome = co_await as_result(tls_connect(with.all.client, std::move(plain), cut));
  WEIR_REQUIRE(!outcome);
  EXPECT_EQ(outcome.error().code(), errc::invalid_argument);
  EXPECT_EQ(outcome.error().message(), "TLS: the host name 'weir.test': a zero byte follows");
}

WEIR_TEST("what a TLS client can not say is refused when it is made") {
  const trust all;
  const auto refusal = [](const tls_client_settings& settings) -> std::string {
    try {
      const tls_client never(settings);
    } catch (const exception& e) {
      return std::string(e.reason().message());
    }
    return "taken";
  };
  EXPECT_EQ(refusal({.identity = {.key = all.of_server.key, .key_name = "key.pem"}}),
            "key.pem has no certificate: a TLS client shows both or neither");
  const std::string name(255, 'a');
  const std::vector<std::string_view> many(129, name);
  EXPECT_EQ(refusal({.ca = all.ca_text, .protocols = many}),
            "the protocol names have more than 32768 bytes together");
  EXPECT_EQ(refusal({.ca = all.ca_text, .protocols = {many.data(), 128}}), "taken");
  co_return;
}

}  // namespace
}  // namespace weir::tls_misuse_test
