// The server and the client over TLS, in virtual time.
#include <weir/http.hpp>

#include <weir/base/text.hpp>
#include <weir/http/talk_test.hpp>
#include <weir/io/address_rules.hpp>
#include <weir/io/tls_kit_test.hpp>
#include <weir/io/tls_socket.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace weir::http::https_test {
namespace {

using namespace weir::http::testing;
using weir::testing::certificate_authority;
using weir::testing::expect_raises;
using weir::testing::pem_pair;

std::int64_t wall_seconds() { return loop::current()->io().wall_now().ns / 1'000'000'000; }

/// A server for https://localhost, and a client that trusts it.
struct world_of_trust {
  std::int64_t now = wall_seconds();
  certificate_authority ca{"weir test CA", now};
  std::string ca_text = ca.certificate();
  pem_pair own = ca.issue({.alternatives = "DNS:localhost", .now = now});
  tls_identity identity;
  tls_server server{settings()};
  tls_client client{{.ca = ca_text}};

  tls_server_settings settings() {
    identity = own.identity();
    return {.identities = {&identity, 1}};
  }
};

std::string url_of(const address& at, std::string_view path = "/") {
  return "https://localhost:" + std::to_string(at.port()) + std::string(path);
}

/// Runs body(server&, address) beside a server that speaks TLS.
template <class Answer, class Body>
task<> with_secure_server(world_of_trust& w, server_limits limits, Answer answer, Body body) {
  server one(answer, limits);
  listener door = co_await listen({});
  const address at = door.local();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> { co_await one.run(std::move(door), &w.server); });
    co_await body(one, at);
    one.drain();
  });
}

task<> echo(request& asked, response& answered) {
  if (asked.path() == "/who") {
    co_await answered.send(200, "text/plain", asked.tls() ? asked.tls()->peer : "plain");
    co_return;
  }
  co_await answered.send(200, "text/plain", co_await asked.read_all(1 << 22));
}

WEIR_TEST("requests and bodies of any size go over TLS, on one connection") {
  world_of_trust w;
  co_await with_secure_server(w, {}, echo, [&](server& serves, address at) -> task<> {
    client asks({.tls = &w.client});
    const std::string url = url_of(at);
    for (const std::size_t size : {0u, 1u, 5'000u, 300'000u}) {
      const std::string body(size, 'x');
      const client_response got = co_await asks.send({.method = "POST", .url = url, .body = body});
      EXPECT_EQ(got.status(), 200);
      EXPECT_TRUE(got.body == body);
    }
    EXPECT_EQ(serves.stats().connections_accepted, 1u);
    EXPECT_EQ(serves.stats().requests, 4u);
  });
}

task<> ask_through_small_buffers() {
  world_of_trust w;
  co_await with_secure_server(w, {}, echo, [&](server&, address at) -> task<> {
    client asks({.tls = &w.client});
    const std::string body(2'000, 'x');
    const time_point before = loop::current()->now();
    const std::string url = url_of(at);
    const client_response got = co_await asks.send({.method = "POST", .url = url, .body = body});
    EXPECT_TRUE(got.body == body);
    EXPECT_EQ(loop::current()->now() - before, 0_s);
  });
}

// A client that writes before it reads does not take the server's tickets meanwhile.
TEST(https, a_handshake_leaves_nothing_that_a_client_has_to_read_before_it_asks) {
  weir::testing::run_virtual(ask_through_small_buffers(), {.world = {.socket_buffer_max = 64}});
}

task<> asks_with_pauses() {
  world_of_trust w;
  co_await with_secure_server(
      w, {.keep_alive_timeout = 5_s}, echo, [&](server& serves, address at) -> task<> {
        client asks({.tls = &w.client});
        const std::string url = url_of(at);
        for (const duration pause : {0_s, 1_s, 6_s, 1_s}) {
          co_await sleep(pause);
          EXPECT_EQ((co_await asks.send({.method = "POST", .url = url})).status(), 200);
        }
        EXPECT_EQ(serves.stats().connections_accepted, 2u);
        EXPECT_EQ(asks.stats().reuses, 2u) << "tickets are no bytes that nobody asked for";
        EXPECT_EQ(asks.stats().resends, 0u);
      });
}
// One run: a handshake costs more than a schedule.
TEST(https, an_idle_connection_that_the_server_has_ended_is_replaced_and_only_such_a_one) {
  weir::testing::run_virtual(asks_with_pauses());
}

WEIR_TEST("streams of events go over TLS, and a client that leaves is heard") {
  world_of_trust w;
  bool was_cancelled = false;
  const auto feed = [&](request&, response& answered) -> task<> {
    sse_writer events = co_await answered.begin_events();
    struct mark {
      bool* out;
      ~mark() { *out = true; }
    } const at_the_end{&was_cancelled};
    for (int i = 0;; ++i) {
      co_await events.send({.data = std::to_string(i)});
      co_await sleep(1_s);
    }
  };
  co_await with_secure_server(w, {}, feed, [&](server&, address at) -> task<> {
    {
      client asks({.tls = &w.client});
      client_stream stream = co_await asks.open({.url = url_of(at)});
      std::string got;
      while (got.find("data: 2") == std::string::npos) got += (co_await stream.read()).text();
    }
    co_await sleep(10_s);
    EXPECT_TRUE(was_cancelled);
  });
}

WEIR_TEST("a handler sees the certificate of its client") {
  world_of_trust w;
  const pem_pair own = w.ca.issue({.name = "worker 7", .alternatives = "", .now = w.now});
  tls_server_settings settings = w.settings();
  settings.client_ca = w.ca_text;
  settings.client_auth = tls_client_auth::required;
  w.server.reload(settings);
  co_await with_secure_server(w, {}, echo, [&](server& serves, address at) -> task<> {
    tls_client with_certificate({.ca = w.ca_text, .identity = own.identity()});
    client asks({.tls = &with_certificate});
    EXPECT_EQ((co_await asks.get(url_of(at, "/who"))).body, "CN = worker 7");
    client stranger({.tls = &w.client});
    co_await expect_raises<errc::refused>(stranger.get(url_of(at)));
    co_await sleep(1_s);  // the client heard of it first
    EXPECT_EQ(serves.stats().handshake_failures, 1u);
  });
}

WEIR_TEST("a server that is not trusted gets no request") {
  world_of_trust w;
  co_await with_secure_server(w, {}, echo, [&](server& serves, address at) -> task<> {
    const std::string others = certificate_authority("others", w.now).certificate();
    tls_client wary({.ca = others});
    client asks({.tls = &wary});
    const auto failed = co_await as_result(asks.get(url_of(at)));
    EXPECT_FALSE(failed);
    if (!failed) {
      EXPECT_EQ(failed.error().code(), errc::permission_denied);
      EXPECT_NE(describe(failed.error()).find("is not trusted here"), std::string::npos)
          << describe(failed.error());
    }
    client by_address({.tls = &w.client});
    co_await expect_raises<errc::permission_denied>(
        by_address.get("https://127.0.0.1:" + std::to_string(at.port())));
    EXPECT_EQ(serves.stats().requests, 0u);
  });
}

WEIR_TEST("a client that is silent, or speaks no TLS, is closed and counted") {
  world_of_trust w;
  co_await with_secure_server(w, {}, echo, [&](server& serves, address at) -> task<> {
    talker silent = co_await talker::to(at);
    const time_point before = loop::current()->now();
    EXPECT_EQ(co_await silent.rest(), "");
    EXPECT_EQ(loop::current()->now() - before, 10_s);  // handshake_timeout
    talker plain = co_await talker::to(at);
    // The server may have heard enough, and reset the connection, before all is said.
    std::ignore = co_await as_result(plain.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n"));
    std::ignore = co_await as_result(plain.rest());
    EXPECT_EQ(serves.stats().handshake_failures, 2u);
    EXPECT_EQ(serves.stats().connections_live, 0u);
  });
}

WEIR_TEST(
    "an idle connection ends in order, and so does one in its handshake when a server drains") {
  world_of_trust w;
  const server_limits limits{.keep_alive_timeout = 5_s};
  co_await with_secure_server(w, limits, echo, [&](server& serves, address at) -> task<> {
    tls_socket idle = co_await tls_connect(w.client, "localhost", at.port());
    co_await idle.send("GET /who HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_TRUE((co_await idle.receive()).text().starts_with("HTTP/1.1 200 "));
    EXPECT_TRUE((co_await idle.receive()).empty()) << "a close_notify, not a cut";
    talker silent = co_await talker::to(at);
    co_await sleep(1_s);
    serves.drain();
    const time_point before = loop::current()->now();
    std::ignore = co_await silent.rest();
    EXPECT_EQ(loop::current()->now() - before, 0_s);
  });
}

WEIR_TEST("a body that lasts until the end of the connection is not cut unnoticed") {
  world_of_trust w;
  listener door = co_await listen({});
  const std::string url = url_of(door.local());
  bool ends_in_order = true;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      for (int i = 0; i < 2; ++i) {
        tls_socket peer = co_await tls_accept(w.server, co_await door.accept());
        std::ignore = co_await peer.receive();
        co_await peer.send("HTTP/1.1 200 OK\r\n\r\nhalf of it");
        if (ends_in_order) co_await peer.shutdown_send();
      }
    });
    client asks({.tls = &w.client});
    EXPECT_EQ((co_await asks.get(url)).body, "half of it");
    ends_in_order = false;
    co_await expect_raises<errc::broken>(asks.get(url));
  });
}

task<> refuse_large_request() {
  world_of_trust w;
  listener door = co_await listen({});
  const std::string url = url_of(door.local());
  const time_point before = loop::current()->now();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      tls_socket peer = co_await tls_accept(w.server, co_await door.accept());
      std::ignore = co_await peer.receive();
      co_await peer.send("HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge");
      co_await sleep(1_h);
    });
    client asks({.tls = &w.client});
    const std::string body(1 << 20, 'x');
    const client_response got = co_await asks.send({.method = "PUT", .url = url, .body = body});
    EXPECT_EQ(got.status(), 413);
    EXPECT_EQ(got.body, "large");
    EXPECT_EQ(asks.stats().connections_live, 0u);
    s.cancel("heard");
  });
  EXPECT_EQ(loop::current()->now() - before, 0_s);
}

// Not a hundred times: handshakes take long.
TEST(https, a_server_that_refuses_a_large_request_and_reads_no_more_is_heard_at_once) {
  weir::testing::run_virtual(refuse_large_request());
  for (std::uint64_t seed = 1; seed < 10; ++seed) {
    weir::testing::run_virtual(refuse_large_request(), {.world = virtual_options::explored(seed)});
  }
}

WEIR_TEST("addresses that the rules deny are not called, whatever their name") {
  const std::vector<std::string> deny{"loopback"};
  const address_rules rules = address_rules::parse(deny, {}).value();
  co_await with_server({}, echo, [&](server& serves, address at) -> task<> {
    client asks({.rules = &rules});
    const std::string port = std::to_string(at.port());
    for (const std::string host : {"localhost", "127.0.0.1", "[::ffff:127.0.0.1]", "0.0.0.0"}) {
      std::string url = "http://";
      url.append(host).append(":").append(port).append("/?secret");
      const auto denied = co_await as_result(asks.get(url));
      EXPECT_FALSE(denied) << host;
      if (denied) continue;
      EXPECT_EQ(denied.error().code(), errc::permission_denied);
      const std::string text = describe(denied.error());
      EXPECT_NE(text.find("denied by the rule 'loopback'"), std::string::npos) << text;
      EXPECT_EQ(text.find("secret"), std::string::npos) << "queries may hold secrets";
    }
    EXPECT_EQ(serves.stats().connections_accepted, 0u);
    client free({});
    EXPECT_EQ((co_await free.get("http://localhost:" + port)).status(), 200);
  });
}

}  // namespace
}  // namespace weir::http::https_test
