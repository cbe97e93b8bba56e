// What a server does for clients that keep the rules.
#include <weir/http/server.hpp>

#include <weir/http/talk_test.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::http::server_test {
namespace {

using namespace weir::http::testing;

// Says what it was asked, and reads the body.
task<> echo(request& asked, response& answered) {
  const std::string body = co_await asked.read_all(1 << 20);
  std::string text(asked.method());
  ((text += ' ') += asked.path()) += ' ';
  co_await answered.send(200, "text/plain", text + body);
}

WEIR_TEST("a request is answered with its status, type, length and date") {
  co_await with_server({}, echo, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    const heard_answer got = co_await client.ask("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(got.head,
              "HTTP/1.1 200 OK\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
              "Content-Type: text/plain\r\nContent-Length: 7\r\n\r\n");
    EXPECT_EQ(got.body, "GET /a ");
  });
}

WEIR_TEST("a connection serves one request after the other") {
  co_await with_server({}, echo, [](server& serves, address at) -> task<> {
    talker client = co_await talker::to(at);
    for (int i = 0; i < 20; ++i) {
      const std::string path = "/" + std::to_string(i);
      const heard_answer got = co_await client.ask("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
      EXPECT_EQ(got.body, "GET " + path + " ");
      EXPECT_FALSE(got.closes());
    }
    EXPECT_EQ(serves.stats().requests, 20u);
    EXPECT_EQ(serves.stats().connections_accepted, 1u);
    EXPECT_EQ(serves.stats().responses[2], 20u);
  });
}

WEIR_TEST("a request that comes byte by byte is answered like any other") {
  co_await with_server({}, echo, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    for (int i = 0; i < 2; ++i) {
      co_await client.say_slowly(
          "POST /x HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
          "3;e=1\r\nabc\r\n1\r\nd\r\n0\r\nT: u\r\n\r\n",
          10_ms);
      EXPECT_EQ((co_await client.hear()).body, "POST /x abcd");
    }
  });
}

WEIR_TEST("a burst of pipelined requests is answered in order, with and without bodies") {
  co_await with_server({}, echo, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    std::string burst;
    for (int i = 0; i < 200; ++i) {
      const std::string path = "/" + std::to_string(i);
      if (i % 3 == 0) burst += "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n";
      if (i % 3 == 1) {
        burst += "POST " + path + " HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody";
      }
      if (i % 3 == 2) {
        burst += "PUT " + path +
                 " HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n";
      }
    }
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> { co_await client.say(burst); });
      const char* methods[] = {"GET", "POST", "PUT"};
      for (int i = 0; i < 200; ++i) {
        const std::string want =
            std::string(methods[i % 3]) + " /" + std::to_string(i) + (i % 3 == 0 ? " " : " body");
        EXPECT_EQ((co_await client.hear()).body, want);
      }
    });
  });
}

WEIR_TEST("pipelined requests wait with their client while one is answered slowly") {
  const auto slow = [](request&, response& answered) -> task<> {
    co_await sleep(1_s);
    co_await answered.send(204);
  };
  co_await with_server({}, slow, [](server& serves, address at) -> task<> {
    talker client = co_await talker::to(at);
    std::string burst;
    while (burst.size() < 1'000'000) burst += "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    std::size_t sent = 0;
    co_await with_scope({.timeout = 10_s},
                        [&](scope&) -> task<> { co_await client.connection().send(burst, &sent); });
    EXPECT_LT(sent, 300'000u) << "the server took far more than it could answer";
    EXPECT_LE(serves.stats().requests, 11u);
    client.connection().reset();
  });
}

WEIR_TEST("HEAD is answered with the head of the GET, whichever way the handler answers") {
  const auto both = [](request& asked, response& answered) -> task<> {
    if (asked.path() == "/whole") co_return co_await answered.send(200, "text/plain", "12345");
    body_writer body = co_await answered.begin(200, "text/plain");
    co_await body.write("12345");
  };
  co_await with_server({}, both, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    for (int i = 0; i < 2; ++i) {
      co_await client.say("HEAD /whole HTTP/1.1\r\nHost: x\r\n\r\n");
      const heard_answer whole = co_await client.hear(response_to::head);
      EXPECT_TRUE(whole.has("Content-Length: 5\r\n"));
      co_await client.say("HEAD /stream HTTP/1.1\r\nHost: x\r\n\r\n");
      EXPECT_EQ((co_await client.hear(response_to::head)).status, 200);
    }
    EXPECT_EQ((co_await client.ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")).body, "12345");
  });
}

WEIR_TEST("statuses without a body have neither body nor length") {
  const auto none = [](request&, response& answered) -> task<> {
    co_await answered.send(204, "text/plain", "ignored");
  };
  co_await with_server({}, none, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    const heard_answer got = co_await client.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(got.status, 204);
    EXPECT_FALSE(got.has("Content-Length"));
    EXPECT_EQ((co_await client.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n")).status, 204);
  });
}

WEIR_TEST("OPTIONS * is answered by the server itself") {
  co_await with_server({}, echo, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    const heard_answer got = co_await client.ask("OPTIONS * HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(got.status, 204);
    EXPECT_TRUE(got.has("Allow: GET, HEAD, POST"));
    EXPECT_EQ((co_await client.ask("OPTIONS /x HTTP/1.1\r\nHost: x\r\n\r\n")).body, "OPTIONS /x ");
  });
}

WEIR_TEST("Connection: close and HTTP/1.0 end the connection after the answer") {
  co_await with_server({}, echo, [](server&, address at) -> task<> {
    for (const char* head :
         {"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "GET / HTTP/1.0\r\n\r\n"}) {
      talker client = co_await talker::to(at);
      const heard_answer got = co_await client.ask(head);
      EXPECT_EQ(got.status, 200);
      EXPECT_TRUE(got.closes());
      EXPECT_EQ(co_await client.rest(), "");
      EXPECT_FALSE(client.was_reset());
    }
    talker old = co_await talker::to(at);
    for (int i = 0; i < 2; ++i) {
      const heard_answer got = co_await old.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
      EXPECT_TRUE(got.has("\r\nConnection: keep-alive\r\n"));
    }
  });
}

WEIR_TEST("a stream for a client of HTTP/1.0 ends with the connection") {
  const auto two = [](request&, response& answered) -> task<> {
    body_writer body = co_await answered.begin(200, "text/plain");
    co_await body.write("one ");
    co_await body.write("two");
  };
  co_await with_server({}, two, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    const heard_answer got =
        co_await client.ask("GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n");
    EXPECT_FALSE(got.has("chunked"));
    EXPECT_TRUE(got.closes());
    EXPECT_EQ(got.body, "one two");
  });
}

WEIR_TEST("half a stream for a client of HTTP/1.0 does not look whole when it is cut off") {
  const auto endless = [](request&, response& answered) -> task<> {
    body_writer body = co_await answered.begin(200, "text/plain");
    while (true) {
      co_await body.write("piece");
      co_await sleep(1_s);
    }
  };
  co_await with_server({.drain_timeout = 5_s}, endless, [](server& serves, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say("GET / HTTP/1.0\r\n\r\n");
    co_await sleep(2_s);
    serves.drain();
    co_await client.hear();
    EXPECT_TRUE(client.was_reset());
  });
}

WEIR_TEST("100 Continue is said when the handler first reads, and only then") {
  const auto chooses = [](request& asked, response& answered) -> task<> {
    if (asked.path() == "/no") co_return co_await answered.send(403);
    co_await sleep(1_s);
    co_await answered.send(200, {}, co_await asked.read_all(10));
  };
  co_await with_server({}, chooses, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say(
        "PUT /yes HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(co_await client.receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_EQ((co_await client.ask("abc")).body, "abc");
    // The body is there already: nothing to say.
    const heard_answer both = co_await client.ask(
        "PUT /yes HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\nabc");
    EXPECT_EQ(both.body, "abc");
    const heard_answer refused = co_await client.ask(
        "PUT /no HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
    EXPECT_EQ(refused.status, 403);
    EXPECT_TRUE(refused.closes()) << "the client may send the body or not";
  });
}

WEIR_TEST("a body is read at the handler's pace, not faster") {
  std::string text(2'000'000, 'x');
  std::size_t read = 0;
  const auto slow = [&](request& asked, response& answered) -> task<> {
    while (const bytes piece = co_await asked.read()) {
      read += piece.size();
      co_await sleep(1_s);
    }
    co_await answered.send(204);
  };
  co_await with_server({}, slow, [&](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n");
    std::size_t sent = 0;
    co_await with_scope({.timeout = 5_s},
                        [&](scope&) -> task<> { co_await client.connection().send(text, &sent); });
    EXPECT_LT(sent, read + 200'000);
    co_await client.say(std::string_view(text).substr(sent));
    EXPECT_EQ((co_await client.hear()).status, 204);
    EXPECT_EQ(read, text.size());
  });
}

WEIR_TEST(
    "a body that no handler reads is skipped when short, and costs the connection when long") {
  const auto deaf = [](request&, response& answered) -> task<> { co_await answered.send(204); };
  co_await with_server({.unread_bytes_max = 100'000}, deaf, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    const std::string body(100'000, 'x');
    for (int i = 0; i < 2; ++i) {
      const heard_answer got =
          co_await client.ask("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n" + body);
      EXPECT_FALSE(got.closes());
    }
    const heard_answer chunked = co_await client.ask(
        "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
    EXPECT_EQ(chunked.status, 204);
    const heard_answer got = co_await client.ask(
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100001\r\n\r\n" + body + "y");
    EXPECT_TRUE(got.closes());
    EXPECT_EQ(co_await client.rest(), "");
    EXPECT_FALSE(client.was_reset()) << "the rest was read before the connection was closed";
  });
}

WEIR_TEST("large answers arrive whole, sent at once and as a stream") {
  std::string text(1'000'000, '\0');
  for (std::size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>('a' + i % 23);
  const auto large = [&](request& asked, response& answered) -> task<> {
    if (asked.path() == "/whole") co_return co_await answered.send(200, "text/plain", text);
    body_writer body = co_await answered.begin(200, "text/plain");
    for (std::size_t at = 0; at < text.size(); at += 100'000) {
      co_await body.write(std::string_view(text).substr(at, 100'000));
    }
    co_await body.end();
  };
  co_await with_server({}, large, [&](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    EXPECT_TRUE((co_await client.ask("GET /whole HTTP/1.1\r\nHost: x\r\n\r\n")).body == text);
    EXPECT_TRUE((co_await client.ask("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")).body == text);
  });
}

WEIR_TEST("the head of a stream leaves with flush() before the first piece") {
  const auto hesitates = [](request&, response& answered) -> task<> {
    body_writer body = co_await answered.begin(200, "text/plain");
    co_await body.flush();
    co_await sleep(10_s);
    co_await body.write("late");
  };
  co_await with_server({}, hesitates, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    const time_point before = loop::current()->now();
    co_await client.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    while (client.received().find("\r\n\r\n") == std::string::npos) co_await client.receive();
    EXPECT_EQ(loop::current()->now(), before);
    EXPECT_EQ((co_await client.hear()).body, "late");
  });
}

WEIR_TEST("header fields that would break out of their line or are the server's own are refused") {
  int refused = 0;
  const auto odd = [&](request&, response& answered) -> task<> {
    const http_field bad[] = {{"X", "a\r\nY: b"}, {"X: Y", "a"},        {"", "a"},
                              {"date", "now"},    {"CONNECTION", "no"}, {"Content-Length", "3"}};
    for (const http_field& one : bad) {
      try {
        answered.header(one.name, one.value);
      } catch (const exception& e) {
        if (e.reason() == errc::invalid_argument) ++refused;
      }
    }
    answered.header("X-Fine", "yes");
    co_await answered.send(200, "text/plain", "ok");
  };
  co_await with_server({}, odd, [&](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    const heard_answer got = co_await client.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(refused, 6);
    EXPECT_EQ(got.head,
              "HTTP/1.1 200 OK\r\nDate: Sat, 01 Jan 2000 00:00:00 GMT\r\n"
              "Content-Type: text/plain\r\nContent-Length: 2\r\nX-Fine: yes\r\n\r\n");
    const heard_answer again = co_await client.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ(again.head, got.head) << "fields of one answer are not those of the next";
  });
}

task<> serve_a_thousand() {
  const auto slow = [](request& asked, response& answered) -> task<> {
    const std::string path(asked.path());
    co_await sleep(1_s);
    co_await answered.send(200, {}, path);
  };
  co_await with_server({}, slow, [](server& serves, address at) -> task<> {
    const time_point before = loop::current()->now();
    int right = 0;
    co_await with_scope([&](scope& s) -> task<> {
      for (int i = 0; i < 1000; ++i) {
        s.spawn(
            [](address to, int number, int* good) -> task<> {
              talker client = co_await talker::to(to);
              const std::string path = "/" + std::to_string(number);
              for (int round = 0; round < 2; ++round) {
                const heard_answer got =
                    co_await client.ask("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
                if (got.body == path) ++*good;
              }
            },
            at, i, &right);
      }
      co_await s.join();
    });
    EXPECT_EQ(right, 2000);
    EXPECT_EQ(serves.stats().connections_accepted, 1000u);
    EXPECT_EQ(loop::current()->now() - before, 2_s);
  });
}

// In two orders only: it is the number that is tried here.
TEST(connections, are_served_a_thousand_at_once) {
  weir::testing::run_virtual(serve_a_thousand());
  weir::testing::run_virtual(serve_a_thousand(), {.world = virtual_options::explored(1)});
}

WEIR_TEST("a drain that is asked for before the server has begun ends it at once") {
  const time_point before = loop::current()->now();
  co_await with_server({}, echo, [](server&, address) -> task<> { co_return; });
  EXPECT_EQ(loop::current()->now(), before);
}

}  // namespace
}  // namespace weir::http::server_test
