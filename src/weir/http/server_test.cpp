// What a server does for clients that keep the rules.
#include <weir/http/server.hpp>

#include <weir/http/talk_test.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::http {
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
    const answer got = co_await client.ask("GET /a?b HTTP/1.1\r\nHost: x\r\n\r\n");
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
      const answer got = co_await client.ask("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n");
      EXPECT_EQ(got.body, "GET " + path + " ");
      EXPECT_FALSE(got.closes());
    }
    EXPECT_EQ(serves.stats().requests, 20u);
    EXPECT_EQ(serves.stats().connections_accepted, 1u);
    EXPECT_EQ(serves.stats().responses[2], 20u);
  });
}

}  // namespace
}  // namespace weir::http
