// What TLS sockets do, on every driver: as sockets do, and what TLS adds.
// Needs the kernel: the contract holds on every driver.
#include <weir/io/tls_socket.hpp>

#include <weir/base/text.hpp>
#include <weir/io/contract_test.hpp>
#include <weir/io/internal/tls_core.hpp>
#include <weir/io/tls_kit_test.hpp>

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <utility>
#include <vector>

namespace weir::tls_socket_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;
using weir::testing::certificate_authority;
using weir::testing::certificate_wish;
using weir::testing::pem_pair;

class tls_contract : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, tls_contract, ::testing::ValuesIn(all_drivers()), name_of);

std::int64_t wall_seconds() { return loop::current()->io().wall_now().ns / 1'000'000'000; }

/// A CA, a server and a client that trust each other, by the clock of the test's world.
struct world_of_trust {
  std::int64_t now = wall_seconds();
  certificate_authority ca{"weir test CA", now};
  pem_pair of_server = ca.issue({.now = now});
  std::string ca_text = ca.certificate();
  tls_identity identity;
  tls_server server{server_settings()};
  tls_client client{{.ca = ca_text}};

  tls_server_settings server_settings() {
    identity = of_server.identity();
    return {.identities = {&identity, 1}};
  }
};

struct tls_pair {
  tls_socket client;
  tls_socket server;
};

/// Both ends of a handshake, or the error of each.
struct handshake_outcome {
  std::optional<result<tls_socket>> client;
  std::optional<result<tls_socket>> server;
};

task<> accept_into(tls_server* by, socket plain, std::optional<result<tls_socket>>* out) {
  *out = co_await as_result(tls_accept(*by, std::move(plain)));
}
task<> connect_into(tls_client* by, socket plain, std::string host,
                    std::optional<result<tls_socket>>* out) {
  *out = co_await as_result(tls_connect(*by, std::move(plain), std::move(host)));
}

task<handshake_outcome> shake(tls_server& server, tls_client& client,
                              std::string host = "weir.test") {
  connection plain = co_await connect_pair();
  handshake_outcome out;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn(
        [&]() -> task<> { co_await accept_into(&server, std::move(plain.server), &out.server); });
    co_await connect_into(&client, std::move(plain.client), host, &out.client);
  });
  co_return out;
}

task<tls_pair> shake_well(tls_server& server, tls_client& client, std::string host = "weir.test") {
  handshake_outcome both = co_await shake(server, client, std::move(host));
  co_return tls_pair{value_or_raise(std::move(*both.client)),
                     value_or_raise(std::move(*both.server))};
}

std::string text_of(const std::optional<result<tls_socket>>& failed) {
  return failed && !*failed ? describe(failed->error()) : "no error";
}

task<std::string> all_of(tls_socket& from) {
  std::string all;
  while (auto piece = co_await from.receive()) all += piece.text();
  co_return all;
}

TEST_P(tls_contract, bytes_arrive_as_they_were_sent_and_the_end_is_empty) {
  run([]() -> task<> {
    world_of_trust w;
    tls_pair pair = co_await shake_well(w.server, w.client);
    EXPECT_EQ(pair.client.info().version, "TLSv1.3");
    EXPECT_EQ(pair.client.info().peer, "CN = weir.test");
    EXPECT_EQ(pair.server.info().server_name, "weir.test");
    EXPECT_EQ(pair.server.info().peer, "");
    EXPECT_TRUE(pair.client.info().has_peer);
    EXPECT_FALSE(pair.server.info().has_peer);
    co_await pair.client.send("hello ");
    const io_slice pieces[] = {{"", 0}, {"wor", 3}, {"", 0}, {"ld", 2}};
    co_await pair.client.send(pieces);
    co_await pair.client.send("");
    co_await pair.client.shutdown_send();
    EXPECT_EQ(co_await all_of(pair.server), "hello world");
    EXPECT_TRUE((co_await pair.server.receive()).empty()) << "the end stays the end";
    const result<void> too_late = co_await as_result(pair.client.send("!"));
    EXPECT_EQ(too_late.error().code(), errc::closed) << describe(too_late.error());
    co_await pair.server.send("answer");
    co_await pair.server.shutdown_send();
    EXPECT_EQ(co_await all_of(pair.client), "answer") << "after a half-close";
  });
}

TEST_P(tls_contract, megabytes_in_both_directions_at_once_arrive_whole) {
  run([]() -> task<> {
    world_of_trust w;
    tls_pair pair = co_await shake_well(w.server, w.client);
    const std::string text = pattern(2'000'000);
    std::string at_server;
    std::string at_client;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { at_server = co_await all_of(pair.server); });
      s.spawn([&]() -> task<> { at_client = co_await all_of(pair.client); });
      s.spawn([&]() -> task<> {
        std::vector<io_slice> pieces;
        for (std::size_t at = 0; at < text.size(); at += 1'000)
          pieces.push_back({text.data() + at, 1'000});
        co_await pair.server.send(pieces);
        co_await pair.server.shutdown_send();
      });
      std::size_t sent = 0;
      co_await pair.client.send(text, &sent);
      EXPECT_EQ(sent, text.size());
      co_await pair.client.shutdown_send();
    });
    EXPECT_TRUE(at_server == text);
    EXPECT_TRUE(at_client == text);
  });
}

TEST_P(tls_contract, a_stream_without_close_notify_was_cut_off) {
  run([]() -> task<> {
    world_of_trust w;
    tls_pair pair = co_await shake_well(w.server, w.client);
    co_await pair.server.send("x");
    EXPECT_EQ((co_await pair.client.receive()).text(), "x");  // and the tickets: nothing is unread
    co_await pair.client.send("the beginning");
    pair.client.close();
    EXPECT_EQ((co_await pair.server.receive()).text(), "the beginning");
    auto cut = co_await as_result(pair.server.receive());
    EXPECT_FALSE(cut);
    if (!cut) {
      EXPECT_EQ(cut.error().code(), errc::broken);
      EXPECT_NE(describe(cut.error()).find("without a close_notify"), std::string::npos);
    }
    EXPECT_EQ(co_await code_of(pair.server.receive()), errc::broken) << "an error stays";
  });
}

TEST_P(tls_contract, a_peer_that_is_not_trusted_is_refused_with_the_reason) {
  run([]() -> task<> {
    world_of_trust w;
    struct row {
      certificate_wish wish;
      std::string host;
      const char* reason;
    };
    const std::int64_t now = w.now;
    const row rows[] = {
        {{.days_from = -20, .days_to = -10, .now = now}, "weir.test", "has expired on"},
        {{.days_from = 10, .days_to = 20, .now = now}, "weir.test", "is valid only from"},
        {{.alternatives = "DNS:a.test,DNS:b.test", .now = now},
         "weir.test",
         "is for 'a.test', 'b.test', not for 'weir.test'"},
        {{.alternatives = "IP:10.1.2.3", .now = now}, "10.1.2.4", "is for '10.1.2.3', not for"},
        {{.alternatives = "DNS:*.test", .now = now}, "a.b.test", "is for '*.test'"},
    };
    for (const row& one : rows) {
      const pem_pair pair = w.ca.issue(one.wish);
      const tls_identity who = pair.identity();
      w.server.reload({.identities = {&who, 1}});
      const handshake_outcome both = co_await shake(w.server, w.client, one.host);
      EXPECT_FALSE(*both.client);
      if (*both.client) continue;
      EXPECT_EQ(both.client->error().code(), errc::permission_denied);
      EXPECT_NE(text_of(both.client).find(one.reason), std::string::npos) << text_of(both.client);
      EXPECT_FALSE(*both.server) << "the server hears of it";
      EXPECT_NE(text_of(both.server).find("refused"), std::string::npos) << text_of(both.server);
    }
    const std::string of_others = certificate_authority("another CA", now).certificate();
    tls_client stranger({.ca = of_others});
    w.server.reload(w.server_settings());
    const handshake_outcome both = co_await shake(w.server, stranger);
    EXPECT_NE(text_of(both.client).find("issued by CN = weir test CA, which is not trusted here"),
              std::string::npos)
        << text_of(both.client);
    EXPECT_EQ(stranger.stats().failures, 1u);
    EXPECT_EQ(stranger.stats().handshakes, 0u);
  });
}

TEST_P(tls_contract, the_server_chooses_its_certificate_by_name) {
  run([]() -> task<> {
    world_of_trust w;
    const pem_pair first =
        w.ca.issue({.name = "first", .alternatives = "DNS:first.test", .now = w.now});
    const pem_pair other = w.ca.issue(
        {.name = "other", .alternatives = "DNS:other.test,DNS:*.other.test", .now = w.now});
    const tls_identity all[] = {first.identity(), other.identity()};
    w.server.reload({.identities = all});
    EXPECT_EQ((co_await shake_well(w.server, w.client, "first.test")).client.info().peer,
              "CN = first");
    EXPECT_EQ((co_await shake_well(w.server, w.client, "other.test")).client.info().peer,
              "CN = other");
    EXPECT_EQ((co_await shake_well(w.server, w.client, "other.test.")).server.info().server_name,
              "other.test")
        << "a full name's last dot is for name servers only";
    EXPECT_EQ((co_await shake_well(w.server, w.client, "a.other.test")).client.info().peer,
              "CN = other");
    const handshake_outcome unknown = co_await shake(w.server, w.client, "unknown.test");
    EXPECT_NE(text_of(unknown.client).find("is for 'first.test'"), std::string::npos);

    // Whichever it is, the protocol is agreed upon.
    const std::string_view ours[] = {"h2", "http/1.1"};
    const std::string_view odd[] = {"smtp"};
    w.server.reload({.identities = all, .protocols = ours});
    for (const char* host : {"first.test", "other.test"}) {
      w.client.reload({.ca = w.ca_text, .protocols = ours});
      EXPECT_EQ((co_await shake_well(w.server, w.client, host)).client.info().protocol, "h2");
      w.client.reload({.ca = w.ca_text, .protocols = odd});
      const handshake_outcome none = co_await shake(w.server, w.client, host);
      EXPECT_EQ(none.client->error().code(), errc::refused) << host;
    }
  });
}

TEST_P(tls_contract, certificates_of_clients_are_asked_for_and_verified) {
  run([]() -> task<> {
    world_of_trust w;
    const pem_pair good = w.ca.issue({.name = "worker 7", .alternatives = "", .now = w.now});
    const certificate_authority others("others", w.now);
    const pem_pair bad = others.issue({.name = "stranger", .alternatives = "", .now = w.now});
    tls_client with_good({.ca = w.ca_text, .identity = good.identity()});
    tls_client with_bad({.ca = w.ca_text, .identity = bad.identity()});
    for (const tls_client_auth auth : {tls_client_auth::optional, tls_client_auth::required}) {
      tls_server_settings settings = w.server_settings();
      settings.client_ca = w.ca_text;
      settings.client_auth = auth;
      w.server.reload(settings);
      tls_pair known = co_await shake_well(w.server, with_good);
      EXPECT_EQ(known.server.info().peer, "CN = worker 7");
      EXPECT_TRUE(known.server.info().has_peer);
      const handshake_outcome wrong = co_await shake(w.server, with_bad);
      EXPECT_NE(text_of(wrong.server).find("issued by CN = others"), std::string::npos)
          << text_of(wrong.server);
      handshake_outcome none = co_await shake(w.server, w.client);
      if (auth == tls_client_auth::optional) {
        EXPECT_TRUE(*none.server);
      } else {
        EXPECT_NE(text_of(none.server).find("showed no certificate"), std::string::npos);
        // TLS 1.3: the client hears of it with its first receive.
        EXPECT_TRUE(*none.client);
        if (*none.client) EXPECT_EQ(co_await code_of((*none.client)->receive()), errc::refused);
      }
    }
  });
}

// Whether a connection resumes the session of the one before.
task<bool> resumes(world_of_trust& w, listener& door, bool ends_in_order = true) {
  std::optional<result<tls_socket>> served;
  bool is_resumed = false;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      socket plain = co_await door.accept();
      co_await accept_into(&w.server, std::move(plain), &served);
      co_await (*served)->send("x");
      co_await (*served)->shutdown_send();
    });
    tls_socket made = co_await tls_connect(w.client, co_await connect(door.local()), "weir.test");
    EXPECT_EQ(co_await all_of(made), "x");  // tickets come before it
    if (ends_in_order) co_await made.shutdown_send();
    is_resumed = made.info().is_resumed;
    EXPECT_EQ(made.info().peer, "CN = weir.test");
  });
  co_return is_resumed;
}

TEST_P(tls_contract, a_session_is_resumed_until_the_certificates_change) {
  run([]() -> task<> {
    world_of_trust w;
    listener door = co_await listen({});
    EXPECT_FALSE(co_await resumes(w, door));
    EXPECT_TRUE(co_await resumes(w, door));
    EXPECT_TRUE(co_await resumes(w, door));
    w.server.reload(w.server_settings());
    EXPECT_FALSE(co_await resumes(w, door));
    EXPECT_TRUE(co_await resumes(w, door));
    w.client.reload({.ca = w.ca_text});
    EXPECT_FALSE(co_await resumes(w, door));
    EXPECT_EQ(w.client.stats().handshakes, 6u);
    EXPECT_EQ(w.client.stats().resumed, 3u);
  });
}

// Each end trusts somebody else after it: a new handshake fails, and what is open goes on.
TEST_P(tls_contract, a_connection_that_is_open_keeps_what_it_began_with) {
  run([]() -> task<> {
    world_of_trust w;
    tls_pair pair = co_await shake_well(w.server, w.client);
    co_await pair.client.send("before, ");
    const std::string others = certificate_authority("another CA", w.now).certificate();
    w.server.reload(w.server_settings());
    w.client.reload({.ca = others});
    EXPECT_FALSE(*(co_await shake(w.server, w.client)).client);
    co_await pair.client.send("and after");
    co_await pair.client.shutdown_send();
    EXPECT_EQ(co_await all_of(pair.server), "before, and after");
    co_await pair.server.send("heard");
    co_await pair.server.shutdown_send();
    EXPECT_EQ(co_await all_of(pair.client), "heard");
  });
}

TEST_P(tls_contract, a_session_of_tls_1_2_is_resumed_again_and_again) {
  run([]() -> task<> {
    world_of_trust w;
    SSL_CTX* rules = w.client.core().rules().contexts.front().get();
    EXPECT_EQ(SSL_CTX_set_max_proto_version(rules, TLS1_2_VERSION), 1);
    listener door = co_await listen({});
    EXPECT_FALSE(co_await resumes(w, door));
    for (int i = 0; i < 4; ++i) EXPECT_TRUE(co_await resumes(w, door, i % 2 == 0));
    w.server.reload(w.server_settings());
    EXPECT_FALSE(co_await resumes(w, door));
    EXPECT_TRUE(co_await resumes(w, door));
  });
}

TEST_P(tls_contract, a_session_outlives_a_connection_that_its_client_has_dropped) {
  run([]() -> task<> {
    world_of_trust w;
    listener door = co_await listen({});
    EXPECT_FALSE(co_await resumes(w, door, false));
    EXPECT_TRUE(co_await resumes(w, door, false));
    EXPECT_TRUE(co_await resumes(w, door));
  });
}

TEST_P(tls_contract, both_sides_agree_on_a_protocol_or_part) {
  run([]() -> task<> {
    world_of_trust w;
    const std::string_view ours[] = {"h2", "http/1.1"};
    const std::string_view theirs[] = {"http/1.1", "h2"};
    const std::string_view odd[] = {"smtp"};
    tls_server_settings settings = w.server_settings();
    settings.protocols = ours;
    w.server.reload(settings);
    w.client.reload({.ca = w.ca_text, .protocols = theirs});
    tls_pair pair = co_await shake_well(w.server, w.client);
    EXPECT_EQ(pair.client.info().protocol, "h2") << "the server's order counts";
    EXPECT_EQ(pair.server.info().protocol, "h2");
    w.client.reload({.ca = w.ca_text});
    EXPECT_EQ((co_await shake_well(w.server, w.client)).server.info().protocol, "");
    w.client.reload({.ca = w.ca_text, .protocols = odd});
    const handshake_outcome none = co_await shake(w.server, w.client);
    EXPECT_EQ(none.client->error().code(), errc::refused) << text_of(none.client);
    EXPECT_EQ(none.server->error().code(), errc::unsupported) << text_of(none.server);
  });
}

TEST_P(tls_contract, what_is_no_tls_is_told_so) {
  run([]() -> task<> {
    world_of_trust w;
    struct row {
      std::string bytes;
      const char* reason;
      errc code;
    };
    const row rows[] = {
        {"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "speaks plain HTTP", errc::malformed},
        {"SSH-2.0-OpenSSH_9.2\r\n", "does not speak TLS", errc::malformed},
        {std::string("\x16\x03\x01\x00\x05hello", 10), "TLS: ", errc::malformed},
        {std::string("\x16\x03\x01\xff\xff", 5) + std::string(70'000, 'x'),
         "TLS: ", errc::malformed},
        {std::string("\x16\x03\x01\x01\x00\x01", 6), "inside the handshake", errc::broken},
        {"", "inside the handshake", errc::broken},
    };
    for (const row& one : rows) {
      connection plain = co_await connect_pair();
      std::optional<result<tls_socket>> served;
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(
            [&]() -> task<> { co_await accept_into(&w.server, std::move(plain.server), &served); });
        std::ignore = co_await as_result(plain.client.send(one.bytes));
        std::ignore = co_await as_result(plain.client.shutdown_send());
      });
      EXPECT_FALSE(*served);
      if (*served) continue;
      EXPECT_EQ(served->error().code(), one.code) << text_of(served);
      EXPECT_NE(text_of(served).find(one.reason), std::string::npos) << text_of(served);
    }
  });
}

/// A relay that spoils what passes: flips a bit of each byte from `at` on.
TEST_P(tls_contract, a_record_that_was_changed_on_its_way_is_refused) {
  run([]() -> task<> {
    world_of_trust w;
    connection left = co_await connect_pair();
    connection right = co_await connect_pair();
    bool spoil = false;
    std::optional<result<tls_socket>> served;
    co_await with_scope([&](scope& s) -> task<> {
      const auto relay = [&](socket& from, socket& to) -> task<> {
        while (auto piece = co_await from.receive()) {
          std::string text(piece.text());
          if (spoil) text.back() = static_cast<char>(text.back() ^ 1);
          std::ignore = co_await as_result(to.send(text));
        }
      };
      s.spawn([&]() -> task<> { co_await relay(left.server, right.client); });
      s.spawn([&]() -> task<> { co_await relay(right.client, left.server); });
      s.spawn(
          [&]() -> task<> { co_await accept_into(&w.server, std::move(right.server), &served); });
      tls_socket client = co_await tls_connect(w.client, std::move(left.client), "weir.test");
      co_await client.send("fine");
      while (!served) co_await checkpoint();
      EXPECT_EQ((co_await (*served)->receive()).text(), "fine");
      spoil = true;
      co_await client.send("not fine");
      EXPECT_EQ(co_await code_of((*served)->receive()), errc::malformed);
      s.cancel("enough");
    });
  });
}

TEST_P(tls_contract, a_handshake_that_hangs_ends_at_its_time) {
  run([]() -> task<> {
    world_of_trust w;
    tls_server_settings settings = w.server_settings();
    settings.handshake_timeout = 20_ms;
    w.server.reload(settings);
    connection plain = co_await connect_pair();  // half-open: the client says nothing
    const auto served = co_await as_result(tls_accept(w.server, std::move(plain.server)));
    EXPECT_FALSE(served);
    if (!served) EXPECT_EQ(served.error().code(), errc::timed_out);
    EXPECT_EQ(w.server.stats().failures, 1u);
  });
}

// A receive has heard half a record when another task closes the socket and opens the next, which
// gets the same number.
TEST_P(tls_contract, a_receive_leaves_the_next_socket_of_its_number_alone) {
  run([]() -> task<> {
    world_of_trust w;
    connection left = co_await connect_pair();
    connection right = co_await connect_pair();
    connection signal = co_await connect_pair();
    listener door = co_await listen({});
    std::optional<result<tls_socket>> served;
    bool halves = false;
    co_await with_scope([&](scope& s) -> task<> {
      const auto relay = [&](socket& from, socket& to) -> task<> {
        while (auto piece = co_await from.receive()) {
          const std::string_view text = piece.text();
          if (!halves) {
            co_await to.send(text);
            continue;
          }
          const auto rest = [&](std::string half) -> task<> { co_await to.send(half); };
          s.spawn(rest, std::string(text.substr(0, text.size() / 2)));
          co_await signal.client.send("close it");  // heard first, in the same turn
        }
      };
      s.spawn([&]() -> task<> { co_await relay(left.server, right.client); });
      s.spawn([&]() -> task<> { co_await relay(right.client, left.server); });
      s.spawn(
          [&]() -> task<> { co_await accept_into(&w.server, std::move(right.server), &served); });
      tls_socket client = co_await tls_connect(w.client, std::move(left.client), "weir.test");
      while (!served) co_await checkpoint();
      co_await (*served)->send("whole");
      EXPECT_EQ((co_await client.receive()).text(), "whole");
      halves = true;
      auto heard = s.spawn([&]() -> task<errc> { co_return co_await code_of(client.receive()); });
      co_await (*served)->send("half of this");
      EXPECT_FALSE((co_await signal.server.receive()).empty());
      client.close();
      socket next = co_await connect(door.local());
      socket peer = co_await door.accept();
      co_await checkpoint();
      co_await peer.send("x");
      EXPECT_EQ((co_await next.receive()).text(), "x");
      EXPECT_EQ(co_await heard, errc::closed);
      s.cancel("enough");
    });
  });
}

TEST_P(tls_contract, a_cancelled_receive_has_taken_nothing) {
  run([]() -> task<> {
    world_of_trust w;
    tls_pair pair = co_await shake_well(w.server, w.client);
    const std::string text = pattern(50'000);
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (std::size_t at = 0; at < text.size(); at += 1'000) {
          co_await pair.client.send(std::string_view(text).substr(at, 1'000));
          co_await sleep(100_us);
        }
        co_await pair.client.shutdown_send();
      });
      while (got.size() < text.size()) {
        co_await with_scope({.timeout = 150_us}, [&](scope&) -> task<> {
          while (const bytes piece = co_await pair.server.receive()) got += piece.text();
        });
      }
    });
    EXPECT_TRUE(got == text);
    EXPECT_TRUE((co_await pair.server.receive()).empty());
  });
}

TEST_P(tls_contract, a_cancelled_send_leaves_a_stream_that_goes_on) {
  run([]() -> task<> {
    world_of_trust w;
    tls_pair pair = co_await shake_well(w.server, w.client);
    const std::string text = pattern(20'000'000);
    std::size_t sent = 0;
    co_await with_scope({.timeout = 5_ms}, [&](scope&) -> task<> {
      co_await pair.client.send(text, &sent);  // nobody reads: it gets stuck in the middle
    });
    EXPECT_LT(sent, text.size());
    std::string got;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { got = co_await all_of(pair.server); });
      co_await pair.client.send("the rest");
      co_await pair.client.shutdown_send();
    });
    EXPECT_EQ(got.size(), sent + 8);
    EXPECT_TRUE(got == text.substr(0, sent) + "the rest") << "`sent` bytes are committed";
  });
}

TEST_P(tls_contract, files_that_are_wrong_are_told_and_change_nothing) {
  run([]() -> task<> {
    world_of_trust w;
    const pem_pair other = w.ca.issue({.now = w.now});
    const auto refused = [&](const tls_identity& who, std::string_view reason) {
      try {
        w.server.reload({.identities = {&who, 1}});
        ADD_FAILURE() << "taken: " << reason;
      } catch (const exception& e) {
        EXPECT_EQ(e.reason().code(), errc::invalid_argument);
        EXPECT_NE(describe(e.reason()).find(reason), std::string::npos) << describe(e.reason());
      }
    };
    tls_identity who = w.of_server.identity();
    who.key = other.key;
    refused(who, "key.pem does not belong to cert.pem");
    who.key = "no key";
    refused(who, "key.pem holds no private key in PEM form");
    who.key = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    refused(who, "key.pem is locked by a password");
    who = w.of_server.identity();
    who.certificate = "";
    refused(who, "cert.pem holds no certificate in PEM form");
    const std::string cut =
        w.of_server.certificate.substr(0, 100) + "\n-----END CERTIFICATE-----\n";
    who.certificate = cut;
    refused(who, "cert.pem holds a damaged certificate");
    co_await shake_well(w.server, w.client);  // as before
    EXPECT_GT(w.server.stats().not_after, w.now);
  });
}

}  // namespace
}  // namespace weir::tls_socket_test
