// What the client does, against our own server and against servers without manners.
#include <weir/http/client.hpp>

#include <weir/flow/event.hpp>
#include <weir/http/talk_test.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::http::client_test {
namespace {

using namespace weir::http::testing;

std::string url_at(address where, std::string_view target = "/") {
  return "http://" + where.text() + std::string(target);
}

task<> echo(request& asked, response& answered) {
  const std::string body = co_await asked.read_all(1 << 20);
  answered.header("X-Method", asked.method());
  answered.header("X-Target", asked.target());
  co_await answered.send(200, "text/plain", body);
}

// A server that plays a script on each connection that it accepts, one after the other.
struct scripted {
  listener door;
  std::vector<std::string> requests;  // heads as received
};
task<scripted> make_scripted() { co_return scripted{.door = co_await listen({}), .requests = {}}; }

task<talker> next_client(scripted& on) { co_return talker(co_await on.door.accept()); }
task<std::string> hear_request(scripted& on, talker& from) {
  on.requests.push_back(co_await from.receive_until("\r\n\r\n"));
  co_return on.requests.back();
}

errc code_of(const result<client_response>& outcome) {
  return outcome ? errc{} : outcome.error().code();
}

WEIR_TEST("a request brings status, fields and body of the response") {
  co_await with_server({}, echo, [](server&, address at) -> task<> {
    client asks;
    const client_response got =
        co_await asks.send({.method = "POST", .url = url_at(at, "/a?b=c"), .body = "hello"});
    EXPECT_EQ(got.status(), 200);
    EXPECT_EQ(got.head.reason(), "OK");
    EXPECT_EQ(got.head.field("x-method"), "POST");
    EXPECT_EQ(got.head.field("X-Target"), "/a?b=c");
    EXPECT_EQ(got.head.field("nothing"), std::nullopt);
    EXPECT_EQ(got.body, "hello");
  });
}

WEIR_TEST("requests one after the other share one connection") {
  co_await with_server({}, echo, [](server& serves, address at) -> task<> {
    client asks;
    for (int i = 0; i < 10; ++i) co_await asks.get(url_at(at));
    EXPECT_EQ(serves.stats().connections_accepted, 1u);
    EXPECT_EQ(asks.stats().connects, 1u);
    EXPECT_EQ(asks.stats().reuses, 9u);
    EXPECT_EQ(asks.stats().connections_idle, 1u);
  });
}

WEIR_TEST("a host may be a name") {
  co_await with_server({}, echo, [](server&, address at) -> task<> {
    client asks;
    const std::string url = "http://LocalHost:" + std::to_string(at.port()) + "/";
    EXPECT_EQ((co_await asks.get(url)).status(), 200);
  });
}

task<> ask_and_note(client* asks, std::string url, std::string* order, char name) {
  co_await asks->get(url);
  order->push_back(name);
}

WEIR_TEST("requests beyond the connections of a host wait in the order in which they came") {
  const auto slow = [](request&, response& answered) -> task<> {
    co_await sleep(10_ms);
    co_await answered.send(204);
  };
  co_await with_server({}, slow, [](server& serves, address at) -> task<> {
    client asks({.connections_per_host_max = 2});
    std::string order;
    const time_point before = loop::current()->now();
    co_await with_scope([&](scope& s) -> task<> {
      for (const char name : {'a', 'b', 'c', 'd', 'e', 'f'}) {
        s.spawn_at(std::source_location::current(), &ask_and_note, &asks, url_at(at), &order, name);
        co_await sleep(1_ms);
      }
      EXPECT_EQ(asks.stats().waiting, 4u);
      co_await s.join();
    });
    EXPECT_EQ(order, "abcdef");
    EXPECT_EQ(serves.stats().connections_accepted, 2u);
    EXPECT_EQ(loop::current()->now() - before, 31_ms);
    EXPECT_EQ(asks.stats().waiting, 0u);
  });
}

WEIR_TEST("a request that gave up waiting leaves its place to the next") {
  const auto slow = [](request&, response& answered) -> task<> {
    co_await sleep(10_ms);
    co_await answered.send(204);
  };
  co_await with_server({}, slow, [](server&, address at) -> task<> {
    client asks({.connections_per_host_max = 1});
    std::string order;
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn_at(std::source_location::current(), &ask_and_note, &asks, url_at(at), &order, 'a');
      co_await sleep(1_ms);
      s.spawn([&]() -> task<> {
        const auto outcome = co_await as_result(asks.send({.url = url_at(at), .timeout = 3_ms}));
        EXPECT_EQ(code_of(outcome), errc::timed_out);
      });
      co_await sleep(1_ms);
      s.spawn_at(std::source_location::current(), &ask_and_note, &asks, url_at(at), &order, 'c');
      co_await s.join();
    });
    EXPECT_EQ(order, "ac");
  });
}

WEIR_TEST("a fresh connection that is closed without an answer is an error, not a second try") {
  scripted serves = co_await make_scripted();
  client asks;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      talker one = co_await next_client(serves);
      co_await hear_request(serves, one);
    });
    const auto outcome = co_await as_result(asks.get(url_at(serves.door.local())));
    EXPECT_EQ(code_of(outcome), errc::broken);
  });
  EXPECT_EQ(serves.requests.size(), 1u);
  EXPECT_EQ(asks.stats().resends, 0u);
}

WEIR_TEST("idle connections are closed after idle_timeout") {
  co_await with_server({}, echo, [](server& serves, address at) -> task<> {
    client asks({.idle_timeout = 20_s});
    co_await asks.get(url_at(at));
    co_await sleep(19_s);
    EXPECT_EQ(serves.stats().connections_live, 1u);
    co_await sleep(2_s);
    EXPECT_EQ(serves.stats().connections_live, 0u);
    EXPECT_EQ(asks.stats().connections_live, 0u);
  });
}

// What the client makes of a server that says `text` to a request and closes.
task<result<client_response>> outcome_of(std::string_view text, client_options options = {}) {
  scripted serves = co_await make_scripted();
  client asks(options);
  result<client_response> got = fail(errc::internal);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      talker one = co_await next_client(serves);
      co_await hear_request(serves, one);
      // A client that has heard enough resets the connection, which may be before the last byte.
      const result<void> said = co_await as_result(one.say(text));
      EXPECT_TRUE(said || said.error().code() == errc::broken);
    });
    got = co_await as_result(asks.get(url_at(serves.door.local())));
  });
  co_return got;
}
task<client_response> told(std::string_view text) {
  co_return value_or_raise(co_await outcome_of(text));
}

WEIR_TEST("a body ends with its length, its last chunk or its connection") {
  EXPECT_EQ((co_await told("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcXX")).body, "abc");
  EXPECT_EQ((co_await told("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
                           "3\r\nabc\r\n4;x=y\r\ndefg\r\n0\r\nT: u\r\n\r\n"))
                .body,
            "abcdefg");
  EXPECT_EQ((co_await told("HTTP/1.1 200 OK\r\n\r\nuntil the end")).body, "until the end");
  EXPECT_EQ((co_await told("HTTP/1.0 200 OK\r\n\r\nold")).body, "old");
  EXPECT_EQ((co_await told("HTTP/1.1 204 No Content\r\n\r\n")).body, "");
}

WEIR_TEST("provisional responses are passed over") {
  const client_response got = co_await told(
      "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
      "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi");
  EXPECT_EQ(got.status(), 200);
  EXPECT_EQ(got.body, "hi");
}

WEIR_TEST("responses that break a rule or a limit are errors with their code") {
  const struct {
    const char* text;
    errc code;
  } cases[] = {
      {"HTP/1.1 200 OK\r\n\r\n", errc::malformed},
      {"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n", errc::malformed},
      {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", errc::malformed},
      {"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", errc::broken},
      {"HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n", errc::too_large},
      {"HTTP/1.1 200 OK\r\n\r\n01234567890", errc::too_large},
      {"HTTP/1.1 101 Switching Protocols\r\n\r\n", errc::unsupported},
      {"HTTP/1.1 2", errc::broken},
  };
  for (const auto& one : cases) {
    const auto outcome = co_await outcome_of(one.text, {.message = {.body_bytes_max = 10}});
    EXPECT_EQ(code_of(outcome), one.code) << one.text;
  }
  std::string endless;
  for (int i = 0; i < 20; ++i) endless += "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(code_of(co_await outcome_of(endless)), errc::malformed);
}

WEIR_TEST("each time-out of a request ends it, at its time") {
  scripted serves = co_await make_scripted();
  client asks({.response_timeout = 2_s, .body_idle_timeout = 3_s, .timeout = 10_s});
  co_await with_scope([&](scope& s) -> task<> {
    std::vector<talker> kept;
    s.spawn([&]() -> task<> {
      kept.push_back(co_await next_client(serves));  // answers nothing
      kept.push_back(co_await next_client(serves));
      co_await hear_request(serves, kept.back());
      co_await kept.back().say("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc");
      kept.push_back(co_await next_client(serves));
      co_await hear_request(serves, kept.back());
      co_await kept.back().say("HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n");
      for (int i = 0; i < 8; ++i) {
        co_await kept.back().say("x");
        co_await sleep(2_s);
      }
    });
    const std::string url = url_at(serves.door.local());
    for (const duration wanted : {2_s, 3_s, 10_s}) {
      const time_point before = loop::current()->now();
      const auto outcome = co_await as_result(asks.get(url));
      EXPECT_EQ(code_of(outcome), errc::timed_out);
      EXPECT_EQ(loop::current()->now() - before, wanted);
    }
    s.cancel("enough");
  });
  EXPECT_EQ(asks.stats().connections_live, 0u);
}

WEIR_TEST("a server that reads nothing is given up after write_timeout") {
  scripted serves = co_await make_scripted();
  client asks({.write_timeout = 2_s});
  const std::string body(1 << 20, 'x');
  const time_point before = loop::current()->now();
  const auto outcome = co_await as_result(
      asks.send({.method = "PUT", .url = url_at(serves.door.local()), .body = body}));
  EXPECT_EQ(code_of(outcome), errc::timed_out);
  EXPECT_EQ(loop::current()->now() - before, 2_s);
}

WEIR_TEST("an answer that comes before the request was taken whole is heard") {
  scripted serves = co_await make_scripted();
  client asks;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      talker one = co_await next_client(serves);
      co_await one.receive();
      co_await one.say("HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
      co_await one.rest();
    });
    const std::string body(1 << 20, 'x');
    const client_response got =
        co_await asks.send({.method = "PUT", .url = url_at(serves.door.local()), .body = body});
    EXPECT_EQ(got.status(), 413);
  });
}

// A large request to a server that says `text` after the first piece and reads no more.
task<result<client_response>> outcome_of_large(client& asks, std::string_view text,
                                               bool ends_stream = false) {
  scripted serves = co_await make_scripted();
  const std::string body(1 << 20, 'x');
  result<client_response> got = fail(errc::internal);
  co_await with_scope([&](scope& s) -> task<> {
    event heard;
    s.spawn([&]() -> task<> {
      talker one = co_await next_client(serves);
      co_await one.receive();
      co_await one.say(text);
      if (ends_stream) co_await one.connection().shutdown_send();
      co_await heard.wait();
    });
    got = co_await as_result(
        asks.send({.method = "PUT", .url = url_at(serves.door.local()), .body = body}));
    heard.set();
  });
  co_return got;
}

WEIR_TEST("a server that refuses a large request and reads no more is heard at once") {
  client asks({.write_timeout = 20_s});
  const time_point before = loop::current()->now();
  for (const bool ends_stream : {false, true}) {
    const client_response got = value_or_raise(co_await outcome_of_large(
        asks, "HTTP/1.1 413 Too Large\r\nContent-Length: 5\r\n\r\nlarge", ends_stream));
    EXPECT_EQ(got.status(), 413);
    EXPECT_EQ(got.body, "large");
    EXPECT_EQ(asks.stats().connections_live, 0u) << "half a request is on it";
  }
  EXPECT_EQ(loop::current()->now() - before, 0_s);
}

WEIR_TEST("a server that breaks off a large request without an answer is given up at once") {
  client asks({.write_timeout = 20_s});
  const time_point before = loop::current()->now();
  EXPECT_EQ(code_of(co_await outcome_of_large(asks, "", true)), errc::broken);
  EXPECT_EQ(code_of(co_await outcome_of_large(asks, "what?\r\n\r\n")), errc::malformed);
  EXPECT_EQ(loop::current()->now() - before, 0_s);
  EXPECT_EQ(asks.stats().connections_live, 0u);
}

WEIR_TEST("an early answer of success does not stop a large request") {
  const auto hasty = [](request& asked, response& answered) -> task<> {
    body_writer body = co_await answered.begin(200, "text/plain");
    co_await body.flush();
    const std::string all = co_await asked.read_all(1 << 20);
    co_await body.write(std::to_string(all.size()));
  };
  co_await with_server({}, hasty, [](server&, address at) -> task<> {
    client asks;
    const std::string body(200'000, 'x');
    for (int i = 0; i < 2; ++i) {
      const client_response got =
          co_await asks.send({.method = "PUT", .url = url_at(at), .body = body});
      EXPECT_EQ(got.body, "200000");
    }
    EXPECT_EQ(asks.stats().connects, 1u);
  });
}

WEIR_TEST("an early answer of success outlives a server that takes no more of the request") {
  client asks({.write_timeout = 2_s});
  const time_point before = loop::current()->now();
  const client_response got = value_or_raise(
      co_await outcome_of_large(asks, "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"));
  EXPECT_EQ(got.body, "hi");
  EXPECT_EQ(loop::current()->now() - before, 2_s);
  EXPECT_EQ(asks.stats().connections_live, 0u);
}

WEIR_TEST("the time for an answer to a large request begins at the request's end") {
  const auto slow = [](request& asked, response& answered) -> task<> {
    co_await sleep(8_s);
    co_await asked.read_all(1 << 20);
    co_await sleep(2_s);
    co_await answered.send(204);
  };
  co_await with_server({}, slow, [](server&, address at) -> task<> {
    const std::string body(150'000, 'x');
    client patient({.write_timeout = 9_s, .response_timeout = 3_s});
    const std::string url = url_at(at);
    const client_request what{.method = "PUT", .url = url, .body = body};
    EXPECT_EQ((co_await patient.send(what)).status(), 204);
    client hasty({.write_timeout = 9_s, .response_timeout = 1_s});
    const time_point before = loop::current()->now();
    EXPECT_EQ(code_of(co_await as_result(hasty.send(what))), errc::timed_out);
    EXPECT_EQ(loop::current()->now() - before, 9_s);
    EXPECT_EQ(hasty.stats().connections_live, 0u);
  });
}

WEIR_TEST("errors say what was asked and why it failed") {
  client asks;
  const auto no_url = co_await as_result(asks.get("ftp://x/"));
  EXPECT_EQ(code_of(no_url), errc::invalid_argument);
  const auto tls = co_await as_result(asks.get("https://127.0.0.1:1/x?key=secret"));
  EXPECT_EQ(code_of(tls), errc::refused);
  EXPECT_EQ(tls.error().message(), "GET https://127.0.0.1:1/x") << "queries may hold secrets";
  const auto nobody = co_await as_result(asks.get("http://127.0.0.1:1/x"));
  EXPECT_EQ(code_of(nobody), errc::refused);
  EXPECT_EQ(nobody.error().message(), "GET http://127.0.0.1:1/x");
  const auto tunnel =
      co_await as_result(asks.send({.method = "CONNECT", .url = "http://127.0.0.1:1/"}));
  EXPECT_EQ(code_of(tunnel), errc::invalid_argument);
  EXPECT_EQ(asks.stats().failures, 4u);
}

WEIR_TEST("header fields that would change the request's meaning are refused") {
  co_await with_server({}, echo, [](server&, address at) -> task<> {
    client asks;
    for (const http_field bad : {http_field{"Host", "other"}, http_field{"content-length", "1"},
                                 http_field{"X", "a\r\nY: b"}, http_field{"X Y", "a"}}) {
      const auto outcome = co_await as_result(asks.send({.url = url_at(at), .headers = {&bad, 1}}));
      EXPECT_EQ(code_of(outcome), errc::invalid_argument) << bad.name;
    }
    EXPECT_EQ((co_await asks.get(url_at(at))).status(), 200);
  });
}

WEIR_TEST("a stream is read piece by piece while the server still writes") {
  const auto count = [](request&, response& answered) -> task<> {
    body_writer body = co_await answered.begin(200, "text/plain");
    for (int i = 0; i < 5; ++i) {
      co_await body.write("piece");
      co_await sleep(1_s);
    }
  };
  co_await with_server({}, count, [](server&, address at) -> task<> {
    client asks({.timeout = 2_s});  // of a stream, up to its head only
    std::string all;
    {
      client_stream from = co_await asks.open({.url = url_at(at)});
      EXPECT_EQ(from.status(), 200);
      while (const bytes piece = co_await from.read()) all += piece.text();
    }
    EXPECT_EQ(all, "piecepiecepiecepiecepiece");
    EXPECT_EQ(asks.stats().connections_idle, 1u);
  });
}

WEIR_TEST("a cancelled read of a stream has taken nothing, and the next goes on") {
  const auto two = [](request&, response& answered) -> task<> {
    body_writer body = co_await answered.begin(200, "text/plain");
    co_await body.write("one");
    co_await sleep(10_s);
    co_await body.write("two");
  };
  co_await with_server({}, two, [](server&, address at) -> task<> {
    client asks;
    {
      client_stream from = co_await asks.open({.url = url_at(at)});
      std::string all;
      while (all.size() < 3) all += (co_await from.read()).text();
      EXPECT_FALSE(co_await as_result(with_timeout(1_s, from.read())));
      while (const bytes piece = co_await from.read()) all += piece.text();
      EXPECT_EQ(all, "onetwo");
    }
    EXPECT_EQ(asks.stats().connections_idle, 1u);
  });
}

WEIR_TEST("a stream that is left in the middle closes its connection") {
  const auto endless = [](request&, response& answered) -> task<> {
    body_writer body = co_await answered.begin(200, "text/plain");
    while (true) {
      co_await body.write("more");
      co_await sleep(1_s);
    }
  };
  co_await with_server({}, endless, [](server& serves, address at) -> task<> {
    client asks;
    {
      client_stream from = co_await asks.open({.url = url_at(at)});
      EXPECT_FALSE((co_await from.read()).empty());
    }
    EXPECT_EQ(asks.stats().connections_live, 0u);
    co_await sleep(5_s);
    EXPECT_EQ(serves.stats().connections_live, 0u);
    EXPECT_EQ(serves.stats().clients_gone, 1u);
  });
}

WEIR_TEST("HEAD brings the length but no body, and the connection stays") {
  co_await with_server({}, echo, [](server& serves, address at) -> task<> {
    client asks;
    for (int i = 0; i < 3; ++i) {
      const client_response got = co_await asks.send({.method = "HEAD", .url = url_at(at)});
      EXPECT_EQ(got.status(), 200);
      EXPECT_EQ(got.body, "");
    }
    EXPECT_EQ(serves.stats().connections_accepted, 1u);
  });
}

task<> redirecting(request& asked, response& answered) {
  const std::string_view path = asked.path();
  if (path == "/loop") {
    answered.header("Location", "/loop");
    co_await answered.send(302);
  } else if (path == "/a/303") {
    answered.header("Location", "../end");
    co_await answered.send(303);
  } else if (path == "/307") {
    answered.header("Location", "/end?x");
    co_await answered.send(307);
  } else {
    const std::string body = co_await asked.read_all(100);
    const std::string all =
        std::string(asked.method()) + " " + std::string(asked.target()) + " " + body;
    co_await answered.send(200, "text/plain", all);
  }
}

WEIR_TEST("redirects are followed when asked for, and only so many") {
  co_await with_server({}, redirecting, [](server&, address at) -> task<> {
    client plain;
    EXPECT_EQ((co_await plain.get(url_at(at, "/loop"))).status(), 302);
    client follows({.redirects_max = 3});
    const auto looped = co_await as_result(follows.get(url_at(at, "/loop")));
    EXPECT_EQ(code_of(looped), errc::invalid_argument);
    const client_response seen =
        co_await follows.send({.method = "POST", .url = url_at(at, "/a/303"), .body = "data"});
    EXPECT_EQ(seen.body, "GET /end ");
    const client_response kept =
        co_await follows.send({.method = "POST", .url = url_at(at, "/307"), .body = "data"});
    EXPECT_EQ(kept.body, "POST /end?x data");
  });
}

WEIR_TEST("a redirect leads where its text means relative to the URL that was asked") {
  static std::string_view location;
  const auto sends_on = [](request& asked, response& answered) -> task<> {
    if (asked.target() == "/a/b") {
      answered.header("Location", location);
      co_await answered.send(302);
    } else {
      co_await answered.send(200, {}, asked.target());
    }
  };
  const struct {
    std::string_view location;
    std::string_view target;
  } cases[] = {
      {"c", "/a/c"},
      {"./c/./d", "/a/c/d"},
      {"../../../c", "/c"},
      {"..", "/"},
      {".", "/a/"},
      {"/x/../y/..?q=../z", "/?q=../z"},
      {"login?next=http://x/", "/a/login?next=http://x/"},
      {"?next=a:b", "/a/b?next=a:b"},
  };
  co_await with_server({}, sends_on, [&](server&, address at) -> task<> {
    client follows({.redirects_max = 1});
    for (const auto& one : cases) {
      location = one.location;
      const auto got = co_await as_result(follows.get(url_at(at, "/a/b")));
      EXPECT_TRUE(got) << one.location;
      if (got) EXPECT_EQ(got->body, one.target) << one.location;
    }
    for (const std::string_view bad : {"gopher://x/", "http://", "//x:y:z/", "c d"}) {
      location = bad;
      EXPECT_EQ(code_of(co_await as_result(follows.get(url_at(at, "/a/b")))), errc::malformed)
          << bad;
    }
  });
}

WEIR_TEST("credentials stay with the host they were meant for") {
  const auto shown = [](request& asked, response& answered) -> task<> {
    co_await answered.send(200, {}, asked.field("Authorization").value_or("none"));
  };
  co_await with_server({}, shown, [](server&, address second) -> task<> {
    scripted first = co_await make_scripted();
    client asks({.redirects_max = 1});
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        talker one = co_await next_client(first);
        const std::string head = co_await hear_request(first, one);
        EXPECT_NE(head.find("Authorization: secret"), std::string::npos);
        co_await one.say("HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: " + url_at(second) +
                         "\r\n\r\n");
      });
      const http_field secret{"Authorization", "secret"};
      const client_response got =
          co_await asks.send({.url = url_at(first.door.local()), .headers = {&secret, 1}});
      EXPECT_EQ(got.body, "none");
    });
  });
}

WEIR_TEST("hosts beyond hosts_max take the place of the one that was idle the longest") {
  const auto body = [](server&, address at) -> task<> {
    client asks({.hosts_max = 1});
    co_await asks.get(url_at(at));
    EXPECT_EQ(asks.stats().connections_idle, 1u);
    const auto refused = co_await as_result(asks.get("http://127.0.0.1:1/"));
    EXPECT_EQ(code_of(refused), errc::refused);
    EXPECT_EQ(asks.stats().connections_idle, 0u);
  };
  co_await with_server({}, echo, body);
}

WEIR_TEST("a cancelled request closes its connection and leaves nothing behind") {
  scripted serves = co_await make_scripted();
  client asks;
  co_await with_scope({.timeout = 1_s}, [&](scope&) -> task<> {
    co_await asks.get(url_at(serves.door.local()));
    ADD_FAILURE() << "nobody answered";
  });
  EXPECT_EQ(asks.stats().connections_live, 0u);
}

}  // namespace
}  // namespace weir::http::client_test
