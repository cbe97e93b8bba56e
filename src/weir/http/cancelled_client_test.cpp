// Every wait of the client, cancelled at every point: no connection gives the answer of another
// request, none stays open for nobody, and a body is read on where it was left.
#include <weir/http/client.hpp>
#include <weir/http/server.hpp>
#include <weir/http/talk_test.hpp>
#include <weir/testing/cancel_points.hpp>

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace weir::http::cancelled_client_test {
namespace {

using namespace weir::http::testing;
using weir::testing::cancel_at_every_point;
using weir::testing::elapsed;
using weir::testing::victim;

constexpr std::size_t large_body = 100'000;  // more than a virtual socket takes at once

std::string url_at(address where, std::string_view target = "/") {
  return "http://" + where.text() + std::string(target);
}

task<> echo(request& asked, response& answered) {
  const std::string body = co_await asked.read_all(1 << 20);
  co_await sleep(1_ms);
  co_await answered.send(200, "text/plain", std::string(asked.target()) + body);
}

task<> ask(client* by, address to, std::string_view target) {
  EXPECT_EQ((co_await by->get(url_at(to, target))).body, target);
}

/// Who asks after the victim gets its own answer; no connection is left but idle ones, at both
/// ends, and nobody waits.
task<> expect_order(client& asks, server& serves, address at) {
  co_await ask(&asks, at, "/x");
  co_await ask(&asks, at, "/y");
  co_await sleep(5_s);  // the server lingers for those that were cut off
  EXPECT_EQ(asks.stats().waiting, 0u);
  EXPECT_EQ(asks.stats().connections_live, asks.stats().connections_idle);
  EXPECT_EQ(serves.stats().connections_live, asks.stats().connections_live);
  EXPECT_EQ(asks.stats().failures, 0u) << "a cancelled request is no failure";
}

TEST(CancelledClient, a_request_leaves_no_connection_that_answers_another) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_server({}, echo, [&](server& serves, address at) -> task<> {
      client asks;
      co_await v.run([](client* by, address to) -> task<> {
        co_await ask(by, to, "/1");
        co_await ask(by, to, "/2");
      }(&asks, at));
      co_await expect_order(asks, serves, at);
    });
  });
}

TEST(CancelledClient, a_large_request_leaves_no_connection_that_answers_another) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_server({}, echo, [&](server& serves, address at) -> task<> {
      client asks;
      co_await v.run([](client* by, address to) -> task<> {
        const std::string body(large_body, 'x');
        const client_response got =
            co_await by->send({.method = "POST", .url = url_at(to), .body = body});
        EXPECT_EQ(got.body, "/" + body);
      }(&asks, at));
      co_await expect_order(asks, serves, at);
    });
  });
}

TEST(CancelledClient, a_request_that_waits_for_a_connection_leaves_it_to_those_behind) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_server({}, echo, [&](server& serves, address at) -> task<> {
      client asks({.connections_per_host_max = 1});
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn(&ask, &asks, at, "/before");
        s.spawn(
            [](client* by, address to) -> task<> {
              co_await yield();
              co_await ask(by, to, "/behind");
            },
            &asks, at);
        co_await v.run(ask(&asks, at, "/victim"));
      });
      EXPECT_LT(elapsed(), 1_s) << "a free connection was given to nobody";
      co_await expect_order(asks, serves, at);
    });
  });
}

constexpr std::string_view pieces[] = {"one ", "two ", "three"};

task<> stream_pieces(request&, response& answered) {
  body_writer out = co_await answered.begin(200, "text/plain");
  co_await out.flush();
  co_await sleep(1_ms);
  for (const std::string_view piece : pieces) {
    co_await out.write(piece);
    co_await sleep(1_ms);
  }
}

task<> read_to_end(client_stream* from, std::string* into) {
  while (const bytes piece = co_await from->read()) *into += piece.text();
}

TEST(CancelledClient, a_read_of_a_response_has_taken_what_it_gave_and_no_more) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_server({}, stream_pieces, [&](server&, address at) -> task<> {
      client asks;
      std::string got;
      {
        client_stream from = co_await asks.open({.url = url_at(at)});
        co_await v.run(read_to_end(&from, &got));
        co_await read_to_end(&from, &got);
      }
      EXPECT_EQ(got, "one two three");
      EXPECT_EQ(asks.stats().connections_idle, 1u) << "it can serve the next request";
    });
  });
}

TEST(CancelledClient, an_opened_response_that_nobody_got_is_closed) {
  cancel_at_every_point([](victim& v) -> task<> {
    co_await with_server({}, stream_pieces, [&](server& serves, address at) -> task<> {
      client asks;
      co_await v.run([](client* by, address to) -> task<> {
        EXPECT_EQ((co_await by->open({.url = url_at(to)})).status(), 200);
      }(&asks, at));
      co_await sleep(5_s);
      EXPECT_EQ(asks.stats().connections_live, 0u);
      EXPECT_EQ(serves.stats().connections_live, 0u);
    });
  });
}

}  // namespace
}  // namespace weir::http::cancelled_client_test
