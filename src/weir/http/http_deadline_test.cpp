// Deadlines over HTTP: what a client tells, and what a server makes of it.
#include <weir/http.hpp>

#include <weir/http/internal/time_left.hpp>
#include <weir/http/talk_test.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace weir::http::http_deadline_test {
namespace {

using namespace weir::http::testing;

std::string url_at(address where, std::string_view target = "/") {
  return "http://" + where.text() + std::string(target);
}

std::string get_with(std::string_view time_left) {
  return "GET / HTTP/1.1\r\nHost: x\r\nX-Envoy-Expected-Rq-Timeout-Ms:" + std::string(time_left) +
         "\r\n\r\n";
}

duration since(time_point before) { return loop::current()->now() - before; }

// "9000": milliseconds to the deadline around the handler; "none".
std::string left_here() {
  const time_point until = scope::current()->effective_deadline();
  if (until == time_point::never()) return "none";
  return std::to_string((until - loop::current()->now()).ns / 1'000'000);
}

task<> tell_left(request&, response& answered) {
  co_await answered.send(200, "text/plain", left_here());
}

task<> tell_field(request& asked, response& answered) {
  co_await answered.send(200, "text/plain", asked.field(time_left_field).value_or("nothing"));
}

task<> oversleep(request&, response& answered) {
  co_await sleep(1_h);
  co_await answered.send(200);
}

WEIR_TEST("the time that a client still waits is the deadline of the handler") {
  co_await with_server({}, tell_left, [](server&, address at) -> task<> {
    client asks({.timeout = 10_s, .tells_time_left = true});
    EXPECT_EQ((co_await asks.get(url_at(at))).body, "10000");
    EXPECT_EQ((co_await asks.send({.url = url_at(at), .timeout = 3_s})).body, "3000");
    co_await with_scope({.timeout = 2_s}, [&](scope&) -> task<> {
      co_await sleep(500_ms);
      EXPECT_EQ((co_await asks.get(url_at(at))).body, "1500") << "the earliest one counts";
    });
  });
}

WEIR_TEST("what is left of a deadline goes on over a second hop") {
  co_await with_server({}, tell_left, [](server&, address back) -> task<> {
    // [relay]
    client relays({.tells_time_left = true});
    const auto relay = [&](request&, response& answered) -> task<> {
      co_await sleep(1_s);
      const client_response got = co_await relays.get(url_at(back));
      co_await answered.send(200, "text/plain", left_here() + " here, there " + got.body);
    };
    // [/relay]
    co_await with_server({}, relay, [](server&, address front) -> task<> {
      client asks({.timeout = 10_s, .tells_time_left = true});
      EXPECT_EQ((co_await asks.get(url_at(front))).body, "9000 here, there 9000");
    });
  });
}

WEIR_TEST("both hops end when the one who asked no longer waits") {
  co_await with_server({}, oversleep, [](server& last, address back) -> task<> {
    client relays({.tells_time_left = true});
    const auto relay = [&](request&, response& answered) -> task<> {
      co_await relays.get(url_at(back));
      co_await answered.send(200);
    };
    co_await with_server({}, relay, [&](server& first, address front) -> task<> {
      talker asks = co_await talker::to(front);
      const time_point before = loop::current()->now();
      EXPECT_EQ((co_await asks.ask(get_with("4000"))).status, 504);
      EXPECT_EQ(since(before), 4_s);
      EXPECT_EQ(first.stats().handlers_late, 1u);
      co_await sleep(1_ms);
      EXPECT_EQ(last.stats().handlers_late, 1u);
      EXPECT_EQ(first.stats().handler_failures + last.stats().handler_failures, 0u);
    });
  });
}

WEIR_TEST("a handler that is not done at its deadline is cut off, and its client hears 504") {
  co_await with_server({}, oversleep, [](server& serves, address at) -> task<> {
    talker asks = co_await talker::to(at);
    const time_point before = loop::current()->now();
    const heard_answer got = co_await asks.ask(get_with(" 500"));
    EXPECT_EQ(since(before), 500_ms);
    EXPECT_EQ(got.status, 504);
    EXPECT_EQ(got.code(), "deadline_exceeded");
    EXPECT_TRUE(got.closes());
    EXPECT_EQ(serves.stats().handlers_late, 1u);
    EXPECT_EQ(serves.stats().clients_gone, 0u);
  });
}

WEIR_TEST("a server's own limit ends handlers, whatever their clients ask for") {
  const server_limits limits{.handler_timeout = 2_s};
  co_await with_server(limits, oversleep, [](server&, address at) -> task<> {
    for (const std::string_view asked : {"60000", "0", "what"}) {
      talker asks = co_await talker::to(at);
      const time_point before = loop::current()->now();
      EXPECT_EQ((co_await asks.ask(get_with(asked))).code(), "deadline_exceeded");
      EXPECT_EQ(since(before), 2_s) << asked;
    }
  });
}

WEIR_TEST("what is no number of milliseconds sets no deadline") {
  co_await with_server({}, tell_left, [](server&, address at) -> task<> {
    talker asks = co_await talker::to(at);
    for (const std::string_view bad :
         {"", "0", "0000", "-5", "+5", "5s", "1.5", "5, 6", "0x10", "5 5", "12345678901"}) {
      EXPECT_EQ((co_await asks.ask(get_with(bad))).body, "none") << bad;
    }
    EXPECT_EQ((co_await asks.ask(get_with("007"))).body, "7");
    EXPECT_EQ((co_await asks.ask(get_with("9999999999"))).body, "9999999999");
  });
}

WEIR_TEST("a server may be told not to heed its clients' time") {
  co_await with_server({.heeds_time_left = false}, tell_left, [](server&, address at) -> task<> {
    talker asks = co_await talker::to(at);
    EXPECT_EQ((co_await asks.ask(get_with("500"))).body, "none");
  });
}

WEIR_TEST("a client tells nothing unless it is told to, and what its caller says counts") {
  co_await with_server({}, tell_field, [](server&, address at) -> task<> {
    client silent;
    EXPECT_EQ((co_await silent.get(url_at(at))).body, "nothing");
    client asks({.tells_time_left = true});
    const http_field own{"X-Envoy-Expected-Rq-Timeout-Ms", "77"};
    EXPECT_EQ((co_await asks.send({.url = url_at(at), .headers = {&own, 1}})).body, "77");
    EXPECT_EQ((co_await asks.get(url_at(at))).body, "60000");
  });
}

WEIR_TEST("a stream is bound by the deadline around it, and not by the time to its head") {
  co_await with_server({}, tell_field, [](server&, address at) -> task<> {
    client asks({.timeout = 2_s, .tells_time_left = true});
    const auto told = [&]() -> task<std::string> {
      client_stream from = co_await asks.open({.url = url_at(at)});
      std::string all;
      while (const bytes piece = co_await from.read()) all += piece.text();
      co_return all;
    };
    EXPECT_EQ(co_await told(), "nothing");
    co_await with_scope({.timeout = 30_s},
                        [&](scope&) -> task<> { EXPECT_EQ(co_await told(), "30000"); });
  });
}

WEIR_TEST("a stream that is cut off at its deadline does not look as if it had ended") {
  const auto count = [](request&, response& answered) -> task<> {
    body_writer body = co_await answered.begin(200, "text/plain");
    while (true) {
      co_await body.write("piece");
      co_await sleep(1_s);
    }
  };
  co_await with_server({}, count, [](server& serves, address at) -> task<> {
    talker asks = co_await talker::to(at);
    const heard_answer got = co_await asks.ask(get_with("2500"));
    EXPECT_EQ(got.status, 200);
    EXPECT_EQ(got.body, "piecepiecepiece");
    EXPECT_FALSE(got.is_whole);
    EXPECT_EQ(serves.stats().handlers_late, 1u);
  });
}

WEIR_TEST("errors of a handler with a deadline are answered like those of others") {
  const auto read_little = [](request& asked, response& answered) -> task<> {
    co_await answered.send(200, {}, co_await asked.read_all(3));
  };
  co_await with_server(
      {.handler_timeout = 5_s}, read_little, [](server& serves, address at) -> task<> {
        talker asks = co_await talker::to(at);
        const heard_answer got =
            co_await asks.ask("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd");
        EXPECT_EQ(got.code(), "body_too_large");
        EXPECT_EQ(serves.stats().handlers_late, 0u);
      });
}

WEIR_TEST("an answer that was given in time is whole, whatever its handler does then") {
  const auto linger = [](request&, response& answered) -> task<> {
    co_await answered.send(200, "text/plain", "in time");
    co_await sleep(1_h);
  };
  co_await with_server({.handler_timeout = 2_s}, linger, [](server& serves, address at) -> task<> {
    talker asks = co_await talker::to(at);
    for (int i = 0; i < 2; ++i) {
      const heard_answer got = co_await asks.ask(get_with("0"));
      EXPECT_EQ(got.body, "in time");
      EXPECT_FALSE(got.closes());
    }
    EXPECT_EQ(serves.stats().connections_accepted, 1u);
    EXPECT_EQ(serves.stats().handlers_late, 1u) << "the second one is still at it";
  });
}

TEST(time_left, is_told_in_whole_milliseconds_and_at_least_one) {
  const auto told = [](duration left) {
    return std::string(std::string_view(detail::time_left_text(left)));
  };
  EXPECT_EQ(told(1'999'999_ns), "1");
  EXPECT_EQ(told(10_s), "10000");
  EXPECT_EQ(told(duration(0)), "1");
  EXPECT_EQ(told(duration(-5)), "1");
  EXPECT_EQ(told(duration::max()), "9999999999");
}

}  // namespace
}  // namespace weir::http::http_deadline_test
