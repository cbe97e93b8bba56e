// What becomes of connections that the client keeps: what servers do to them while they are idle.
#include <weir/http/client.hpp>

#include <weir/http/talk_test.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace weir::http::client_reuse_test {
namespace {

using namespace weir::http::testing;

std::string url_at(address where) { return "http://" + where.text() + "/"; }

task<> done(request& asked, response& answered) {
  co_await asked.read_all(1 << 20);
  co_await answered.send(200);
}

WEIR_TEST("an idle connection that the server has closed is replaced without a word") {
  co_await with_server({.keep_alive_timeout = 5_s}, done, [](server& serves, address at) -> task<> {
    client asks;
    co_await asks.get(url_at(at));
    co_await sleep(6_s);
    EXPECT_EQ((co_await asks.get(url_at(at))).status(), 200);
    EXPECT_EQ((co_await asks.send({.method = "POST", .url = url_at(at)})).status(), 200);
    EXPECT_EQ(serves.stats().connections_accepted, 2u);
    EXPECT_EQ(asks.stats().connects, 2u);
    EXPECT_EQ(asks.stats().reuses, 1u);
    EXPECT_EQ(asks.stats().resends, 0u) << "the end was seen before the request left";
  });
}

constexpr std::string_view end_of_head = "\r\n\r\n";
constexpr std::string_view answer_hi = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi";
constexpr std::string_view answer_created = "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n";

// A server that answers one request on each connection and says `late` when nobody asks.
task<int> status_after(std::string_view late, bool closes) {
  listener door = co_await listen({});
  client asks;
  int status = 0;
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      for (int served = 0;; ++served) {
        talker one(co_await door.accept());
        co_await one.receive_until(end_of_head);
        co_await one.say(served == 0 ? answer_hi : answer_created);
        co_await sleep(1_s);
        co_await one.say(late);
        if (closes) one.connection().close();
        co_await one.rest();
      }
    });
    const std::string url = url_at(door.local());
    EXPECT_EQ((co_await asks.get(url)).body, "hi");
    co_await sleep(5_s);
    status = (co_await asks.send({.method = "POST", .url = url, .body = "x"})).status();
    s.cancel("enough");
  });
  EXPECT_EQ(asks.stats().resends, 0u);
  EXPECT_EQ(asks.stats().connects, 2u);
  co_return status;
}

WEIR_TEST("what a server says on an idle connection answers nothing that is asked later") {
  constexpr std::string_view tired =
      "HTTP/1.1 408 Request Timeout\r\nConnection: close\r\nContent-Length: 0\r\n\r\n";
  EXPECT_EQ(co_await status_after(tired, true), 201);
  EXPECT_EQ(co_await status_after(answer_hi, false), 201) << "a false acknowledgement";
  EXPECT_EQ(co_await status_after("H", false), 201);
}

// A server that closes the connection when the second request is there already.
task<result<client_response>> outcome_of_second(client& asks, client_request second) {
  listener door = co_await listen({});
  result<client_response> got = fail(errc::internal);
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      for (int i = 0; i < 2; ++i) {
        talker one(co_await door.accept());
        co_await one.receive_until(end_of_head);
        co_await one.say(answer_hi);
        co_await one.receive_until(end_of_head);
      }
    });
    const std::string url = url_at(door.local());
    co_await asks.get(url);
    second.url = url;
    got = co_await as_result(asks.send(second));
    s.cancel("enough");
  });
  co_return got;
}

WEIR_TEST("a POST that meets the end of its connection fails, unless it may be sent again") {
  client asks;
  const auto once = co_await outcome_of_second(asks, {.method = "POST"});
  EXPECT_FALSE(once);
  if (!once) EXPECT_EQ(once.error().code(), errc::broken);
  EXPECT_EQ(asks.stats().resends, 0u);
  EXPECT_TRUE(co_await outcome_of_second(asks, {.method = "POST", .may_resend = true}));
  EXPECT_TRUE(co_await outcome_of_second(asks, {.method = "PUT"}));
  EXPECT_EQ(asks.stats().resends, 2u);
}

}  // namespace
}  // namespace weir::http::client_reuse_test
