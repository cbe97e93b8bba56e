// Streams of server-sent events, and clients that leave while the handler waits.
#include <weir/http/server.hpp>

#include <weir/http/client.hpp>
#include <weir/http/talk_test.hpp>

#include <gtest/gtest.h>

#include <string>

namespace weir::http::server_events_test {
namespace {

using namespace weir::http::testing;

constexpr std::string_view get = "GET /events HTTP/1.1\r\nHost: x\r\n\r\n";

duration since(time_point before) { return loop::current()->now() - before; }

WEIR_TEST("events arrive at once, each whole") {
  const auto three = [](request&, response& answered) -> task<> {
    sse_writer events = co_await answered.begin_events();
    co_await events.send_retry(3_s);
    for (const char* text : {"one", "two\nlines", "three"}) {
      co_await events.send({.event = "news", .id = "7", .data = text});
      co_await sleep(1_s);
    }
  };
  co_await with_server({}, three, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    const time_point before = loop::current()->now();
    const heard_answer got = co_await client.ask(get);
    EXPECT_EQ(since(before), 3_s);
    EXPECT_TRUE(got.has("Content-Type: text/event-stream\r\n"));
    EXPECT_TRUE(got.has("Cache-Control: no-store\r\n"));
    EXPECT_NE(got.body.find("data: two\ndata: lines\n\n"), std::string::npos) << got.body;
    EXPECT_NE(got.body.find("retry: 3000\n"), std::string::npos) << got.body;
    EXPECT_EQ((co_await client.ask(get)).status, 200) << "the connection stays usable";
  });
}

WEIR_TEST("a quiet stream is kept alive by comments") {
  const auto quiet = [](request&, response& answered) -> task<> {
    sse_writer events = co_await answered.begin_events();
    co_await sleep(35_s);
    co_await events.send({.data = "x"});
    co_await sleep(14_s);
    co_await events.send({.data = "y"});
  };
  co_await with_server({.heartbeat = 10_s}, quiet, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    const heard_answer got = co_await client.ask(get);
    EXPECT_EQ(got.body, ":\n\n:\n\n:\n\ndata: x\n\n:\n\ndata: y\n\n");
  });
}

WEIR_TEST("a stream that ends when a comment is due ends in order") {
  const auto quiet = [](request&, response& answered) -> task<> {
    sse_writer events = co_await answered.begin_events();
    co_await sleep(10_s);
    co_await events.end();
  };
  co_await with_server({.heartbeat = 10_s}, quiet, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    EXPECT_TRUE((co_await client.ask(get)).is_whole);
    EXPECT_TRUE((co_await client.ask(get)).is_whole) << "the connection stays usable";
  });
}

WEIR_TEST("a handler of events is cancelled as soon as its client leaves") {
  time_point left;
  struct on_end {
    time_point& at;
    explicit on_end(time_point& t) : at(t) {}
    ~on_end() { at = loop::current()->now(); }
  };
  const auto waits = [&](request&, response& answered) -> task<> {
    sse_writer events = co_await answered.begin_events();
    const on_end notes(left);
    co_await sleep(1_h);
    ADD_FAILURE() << "the client had left";
    co_await events.send({.data = "late"});
  };
  co_await with_server({}, waits, [&](server& serves, address at) -> task<> {
    for (const bool in_order : {true, false}) {
      talker client = co_await talker::to(at);
      co_await client.say(get);
      co_await sleep(5_s);
      const time_point before = loop::current()->now();
      if (in_order) {
        client.connection().close();
      } else {
        client.connection().reset();
      }
      co_await sleep(1_s);
      EXPECT_EQ(left, before);
    }
    EXPECT_EQ(serves.stats().clients_gone, 2u);
    EXPECT_EQ(serves.stats().handler_failures, 0u);
  });
}

task<> floods(request&, response& answered) {
  sse_writer events = co_await answered.begin_events();
  const std::string text(10'000, 'x');
  while (true) co_await events.send({.data = text});
}

WEIR_TEST("a client of events that reads nothing is cut off after write_timeout") {
  co_await with_server({.write_timeout = 5_s}, floods, [](server& serves, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say(get);
    co_await sleep(6_s);
    EXPECT_EQ(serves.stats().connections_live, 0u);
    EXPECT_EQ(serves.stats().handler_failures, 0u);
  });
}

WEIR_TEST("a drain ends streams of events at once") {
  const auto endless = [](request&, response& answered) -> task<> {
    sse_writer events = co_await answered.begin_events();
    while (true) {
      co_await events.send({.data = "tick"});
      co_await sleep(1_s);
    }
  };
  co_await with_server({}, endless, [](server& serves, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say(get);
    co_await sleep(3'500_ms);
    const time_point before = loop::current()->now();
    serves.drain();
    const heard_answer got = co_await client.hear();
    EXPECT_EQ(since(before), 0_s);
    EXPECT_NE(got.body.find("tick"), std::string::npos);
    EXPECT_TRUE(got.is_whole) << "in order, with the last chunk";
  });
}

WEIR_TEST("a client of events that reads nothing holds a drain up for linger_timeout at most") {
  co_await with_server({.linger_timeout = 1_s}, floods, [](server& serves, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say(get);
    co_await sleep(3_s);
    serves.drain();
    co_await sleep(1'001_ms);
    EXPECT_EQ(serves.stats().connections_live, 0u);
    EXPECT_FALSE((co_await client.hear()).is_whole);
  });
}

WEIR_TEST("what a handler does after its events is not cut off by a drain") {
  static bool is_done;
  is_done = false;
  const auto then_works = [](request&, response& answered) -> task<> {
    sse_writer events = co_await answered.begin_events();
    co_await events.end();
    co_await sleep(3_s);
    is_done = true;
  };
  co_await with_server({}, then_works, [](server& serves, address at) -> task<> {
    talker client = co_await talker::to(at);
    EXPECT_TRUE((co_await client.ask(get)).is_whole);
    serves.drain();
    co_await client.rest();
    EXPECT_TRUE(is_done);
  });
}

WEIR_TEST("events for HEAD and for HTTP/1.0 keep their rules") {
  const auto one = [](request&, response& answered) -> task<> {
    sse_writer events = co_await answered.begin_events();
    co_await events.send({.data = "x"});
  };
  co_await with_server({}, one, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say("HEAD / HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ((co_await client.hear(response_to::head)).status, 200);
    EXPECT_EQ((co_await client.ask(get)).body, "data: x\n\n");
    talker old = co_await talker::to(at);
    const heard_answer got = co_await old.ask("GET / HTTP/1.0\r\n\r\n");
    EXPECT_EQ(got.body, "data: x\n\n");
    EXPECT_TRUE(got.closes());
  });
}

WEIR_TEST("our client reads events as they are sent") {
  const auto two = [](request&, response& answered) -> task<> {
    sse_writer events = co_await answered.begin_events();
    co_await events.send({.data = "first"});
    co_await sleep(100_s);
    co_await events.send({.data = "second"});
  };
  co_await with_server({}, two, [](server&, address at) -> task<> {
    client asks({.body_idle_timeout = 20_s});  // the comments count as a sign of life
    client_stream from = co_await asks.open({.url = "http://" + at.text() + "/"});
    std::string all;
    while (const bytes piece = co_await from.read()) all += piece.text();
    EXPECT_TRUE(all.starts_with("data: first\n\n:\n\n")) << all;
    EXPECT_TRUE(all.ends_with("data: second\n\n")) << all;
  });
}

// ---- long polls ----

WEIR_TEST("a long poll that asked for it is cancelled when its client leaves") {
  int ended = 0;
  const auto polls = [&](request&, response& answered) -> task<> {
    answered.end_when_client_leaves();
    co_await sleep(30_s);
    ++ended;
    co_await answered.send(204);
  };
  co_await with_server({}, polls, [&](server& serves, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    co_await sleep(5_s);
    client.connection().close();
    co_await sleep(1_s);
    EXPECT_EQ(serves.stats().connections_live, 0u);
    EXPECT_EQ(serves.stats().clients_gone, 1u);
    co_await sleep(1_min);
    EXPECT_EQ(ended, 0);

    talker stays = co_await talker::to(at);
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ((co_await stays.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n")).status, 204);
    }
    EXPECT_EQ(ended, 3);
  });
}

WEIR_TEST("a request that comes during a watched long poll is answered next") {
  const auto polls = [](request& asked, response& answered) -> task<> {
    answered.end_when_client_leaves();
    const std::string path(asked.path());
    co_await sleep(10_s);
    co_await answered.send(200, {}, path);
  };
  co_await with_server({}, polls, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say("GET /1 HTTP/1.1\r\nHost: x\r\n\r\n");
    co_await sleep(5_s);
    co_await client.say("GET /2 HTTP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ((co_await client.hear()).body, "/1");
    EXPECT_EQ((co_await client.hear()).body, "/2");
  });
}

WEIR_TEST("a body can be read by a handler that is watched") {
  const auto reads = [](request& asked, response& answered) -> task<> {
    answered.end_when_client_leaves();
    co_await sleep(1_s);
    const std::string body = co_await asked.read_all(100);
    answered.end_when_client_leaves();
    co_await sleep(1_s);
    co_await answered.send(200, {}, body);
  };
  co_await with_server({}, reads, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n\r\n");
    co_await client.say_slowly("abcdef", 500_ms);
    EXPECT_EQ((co_await client.hear()).body, "abcdef");
  });
}

}  // namespace
}  // namespace weir::http::server_events_test
