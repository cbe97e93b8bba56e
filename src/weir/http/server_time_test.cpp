// The server's clocks and counts: time-outs, slow readers, the bound on connections, draining.
#include <weir/http/server.hpp>

#include <weir/flow/event.hpp>
#include <weir/http/talk_test.hpp>

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace weir::http::server_time_test {
namespace {

using namespace weir::http::testing;

task<> echo(request& asked, response& answered) {
  co_await answered.send(200, "text/plain", co_await asked.read_all(1 << 20));
}

constexpr std::string_view get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";

duration since(time_point before) { return loop::current()->now() - before; }

WEIR_TEST("a head that comes too slowly is answered 408 when header_timeout is over") {
  co_await with_server({.header_timeout = 10_s}, echo, [](server& serves, address at) -> task<> {
    talker client = co_await talker::to(at);
    const time_point before = loop::current()->now();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {  // a byte a second: a slow loris
        std::ignore = co_await as_result(client.say_slowly(std::string(60, 'A'), 1_s));
      });
      const heard_answer got = co_await client.hear();
      EXPECT_EQ(got.status, 408);
      EXPECT_EQ(got.code(), "head_timeout");
      EXPECT_EQ(since(before), 10_s);
      s.cancel("heard");
    });
    EXPECT_EQ(serves.stats().timeouts, 1u);
  });
}

WEIR_TEST("a connection without a request is closed without a word") {
  co_await with_server({.header_timeout = 10_s, .keep_alive_timeout = 20_s}, echo,
                       [](server&, address at) -> task<> {
                         const time_point before = loop::current()->now();
                         talker silent = co_await talker::to(at);
                         EXPECT_EQ(co_await silent.rest(), "");
                         EXPECT_EQ(since(before), 10_s);
                         talker idle = co_await talker::to(at);
                         EXPECT_EQ((co_await idle.ask(get)).status, 200);
                         EXPECT_EQ(co_await idle.rest(), "");
                         EXPECT_EQ(since(before), 30_s);
                       });
}

WEIR_TEST("a body that stops coming is answered 408, and so is one that comes too slowly") {
  const server_limits limits{.body_idle_timeout = 5_s, .body_timeout = 20_s, .body_rate_min = 0};
  co_await with_server(limits, echo, [](server&, address at) -> task<> {
    const std::string head = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n";
    const time_point before = loop::current()->now();
    talker stops = co_await talker::to(at);
    EXPECT_EQ((co_await stops.ask(head + "abc")).code(), "body_timeout");
    EXPECT_EQ(since(before), 5_s);
    const time_point again = loop::current()->now();
    talker drips = co_await talker::to(at);
    co_await drips.say(head);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        std::ignore = co_await as_result(drips.say_slowly(std::string(100, 'x'), 4_s));
      });
      EXPECT_EQ((co_await drips.hear()).status, 408);
      EXPECT_EQ(since(again), 20_s);
      s.cancel("heard");
    });
  });
}

WEIR_TEST("a body that drips is answered 408 when its grace is over, a slow steady one is not") {
  const server_limits limits{.body_grace = 10_s, .body_rate_min = 100};
  co_await with_server(limits, echo, [](server& serves, address at) -> task<> {
    const std::string head = "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4000\r\n\r\n";
    const time_point before = loop::current()->now();
    talker drips = co_await talker::to(at);
    co_await drips.say(head);
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {  // a byte a second buys 10 ms each
        std::ignore = co_await as_result(drips.say_slowly(std::string(100, 'x'), 1_s));
      });
      EXPECT_EQ((co_await drips.hear()).code(), "body_timeout");
      EXPECT_GE(since(before), 10_s);
      EXPECT_LE(since(before), 11_s);
      s.cancel("heard");
    });
    EXPECT_EQ(serves.stats().timeouts, 1u);
    talker steady = co_await talker::to(at);
    co_await steady.say(head);
    for (int i = 0; i < 40; ++i) {
      co_await sleep(900_ms);
      co_await steady.say(std::string(100, 'x'));
    }
    EXPECT_EQ((co_await steady.hear()).status, 200);
  });
}

WEIR_TEST("a slow handler does not use up its client's time") {
  const auto slow = [](request& asked, response& answered) -> task<> {
    std::string all;
    while (const bytes piece = co_await asked.read()) {
      all += piece.text();
      co_await sleep(60_s);
    }
    co_await answered.send(200, {}, all);
  };
  const server_limits limits{.body_idle_timeout = 5_s, .body_timeout = 20_s};
  co_await with_server(limits, slow, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n");
    co_await client.say(std::string(100'000, 'x'));
    EXPECT_EQ((co_await client.hear()).body.size(), 100'000u);
  });
}

WEIR_TEST(
    "a client that reads nothing is cut off after write_timeout, one that reads slowly is not") {
  const auto large = [](request&, response& answered) -> task<> {
    co_await answered.send(200, {}, std::string(1'000'000, 'x'));
  };
  co_await with_server({.write_timeout = 5_s}, large, [](server& serves, address at) -> task<> {
    talker stuck = co_await talker::to(at);
    co_await stuck.say(get);
    co_await sleep(4_s);
    EXPECT_EQ(serves.stats().connections_live, 1u);
    co_await sleep(2_s);
    EXPECT_EQ(serves.stats().connections_live, 0u);
    EXPECT_EQ(serves.stats().timeouts, 1u);
    EXPECT_EQ(serves.stats().handler_failures, 0u);
    co_await stuck.rest();
    EXPECT_TRUE(stuck.was_reset());

    talker slow = co_await talker::to(at);
    co_await slow.say(get);
    while (slow.received().size() < 1'000'000) {
      EXPECT_TRUE(co_await slow.receive());
      co_await sleep(1_s);
    }
  });
}

WEIR_TEST("beyond answers_bytes_max the answer that is on its way for longest is cut off") {
  const auto large = [](request&, response& answered) -> task<> {
    co_await answered.send(200, {}, std::string(1'000'000, 'x'));
  };
  co_await with_server({.answers_bytes_max = 2'500'000}, large,
                       [](server& serves, address at) -> task<> {
                         talker first = co_await talker::to(at);
                         co_await first.say(get);
                         co_await sleep(1_s);
                         talker second = co_await talker::to(at);
                         co_await second.say(get);
                         co_await sleep(1_s);
                         EXPECT_EQ(serves.stats().answers_bytes, 2'000'000u);
                         EXPECT_EQ(serves.stats().answers_cut, 0u);
                         talker third = co_await talker::to(at);
                         EXPECT_EQ((co_await third.ask(get)).body.size(), 1'000'000u);
                         co_await sleep(1_s);
                         EXPECT_EQ(serves.stats().answers_cut, 1u);
                         EXPECT_EQ(serves.stats().answers_bytes, 1'000'000u);
                         EXPECT_EQ(serves.stats().handler_failures, 0u);
                         co_await first.rest();
                         EXPECT_LT(first.received().size(), 1'000'000u);
                         EXPECT_EQ((co_await second.hear()).body.size(), 1'000'000u);
                         co_await sleep(1_s);
                         EXPECT_EQ(serves.stats().answers_bytes, 0u);
                         EXPECT_EQ(serves.stats().connections_live, 2u);
                       });
}

WEIR_TEST("one answer may be larger than answers_bytes_max, and pieces of streams count as well") {
  const auto large = [](request& asked, response& answered) -> task<> {
    const std::string body(1'000'000, 'x');
    if (asked.path() == "/whole") co_return co_await answered.send(200, {}, body);
    auto stream = co_await answered.begin(200, {});
    co_await stream.write(body);
    co_await stream.end();
  };
  co_await with_server(
      {.answers_bytes_max = 10'000}, large, [](server& serves, address at) -> task<> {
        talker fast = co_await talker::to(at);
        const heard_answer whole = co_await fast.ask("GET /whole HTTP/1.1\r\nHost: x\r\n\r\n");
        EXPECT_EQ(whole.body.size(), 1'000'000u);
        talker slow = co_await talker::to(at);
        co_await slow.say("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n");
        co_await sleep(1_s);
        EXPECT_EQ(serves.stats().answers_bytes, 1'000'000u);
        EXPECT_EQ((co_await fast.ask(get)).body.size(), 1'000'000u);
        EXPECT_EQ(serves.stats().answers_cut, 1u);
        co_await slow.rest();
        EXPECT_LT(slow.received().size(), 1'000'000u);
      });
}

WEIR_TEST("a client that reads a part and then nothing is cut off after write_timeout") {
  const auto large = [](request&, response& answered) -> task<> {
    co_await answered.send(200, {}, std::string(1'000'000, 'x'));
  };
  co_await with_server({.write_timeout = 5_s}, large, [](server& serves, address at) -> task<> {
    talker stops = co_await talker::to(at);
    co_await stops.say(get);
    for (int i = 0; i < 10; ++i) {
      co_await sleep(1_s);
      EXPECT_TRUE(co_await stops.receive());
    }
    co_await sleep(4_s);
    EXPECT_EQ(serves.stats().connections_live, 1u);
    co_await sleep(2_s);
    EXPECT_EQ(serves.stats().connections_live, 0u);
    EXPECT_EQ(serves.stats().timeouts, 1u);
  });
}

WEIR_TEST("the last request of a connection is told so") {
  co_await with_server({.requests_per_connection_max = 3}, echo, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    EXPECT_FALSE((co_await client.ask(get)).closes());
    EXPECT_FALSE((co_await client.ask(get)).closes());
    EXPECT_TRUE((co_await client.ask(get)).closes());
    EXPECT_EQ(co_await client.rest(), "");
  });
}

WEIR_TEST("connections beyond connections_max wait until one ends while all are busy") {
  co_await with_server({.connections_max = 2}, echo, [](server& serves, address at) -> task<> {
    std::vector<talker> first;
    for (int i = 0; i < 2; ++i) {
      first.push_back(co_await talker::to(at));
      co_await first.back().say("GET / HT");
    }
    co_await sleep(1_s);
    talker third = co_await talker::to(at);
    co_await third.say(get);
    const auto heard = co_await as_result(with_timeout(5_s, third.receive()));
    EXPECT_FALSE(heard);
    EXPECT_EQ(serves.stats().connections_live, 2u);
    first.pop_back();
    EXPECT_EQ((co_await third.hear()).status, 200);
    EXPECT_GE(serves.stats().connections_full_waits, 1u);
    EXPECT_EQ(serves.stats().connections_displaced, 0u);
  });
}

WEIR_TEST("at connections_max the connection that was idle for the longest time makes room") {
  co_await with_server({.connections_max = 3}, echo, [](server& serves, address at) -> task<> {
    talker busy = co_await talker::to(at);
    co_await busy.say("GET / HT");
    talker quiet = co_await talker::to(at);
    co_await quiet.ask(get);
    talker lively = co_await talker::to(at);
    co_await sleep(1_s);
    co_await lively.ask(get);
    talker late = co_await talker::to(at);
    EXPECT_EQ((co_await late.ask(get)).status, 200);
    EXPECT_EQ(co_await quiet.rest(), "");
    EXPECT_EQ((co_await lively.ask(get)).status, 200);
    co_await busy.say("TP/1.1\r\nHost: x\r\n\r\n");
    EXPECT_EQ((co_await busy.hear()).status, 200);
    EXPECT_EQ(serves.stats().connections_displaced, 1u);
  });
}

WEIR_TEST("a lack of descriptors is waited out") {
  co_await with_server({}, echo, [](server& serves, address at) -> task<> {
    weir::testing::world().add_fault({.op = io_op::accept, .nth = 1, .code = EMFILE, .count = 3});
    talker client = co_await talker::to(at);
    EXPECT_EQ((co_await client.ask(get)).status, 200);
    talker second = co_await talker::to(at);
    EXPECT_EQ((co_await second.ask(get)).status, 200);
    EXPECT_EQ(serves.stats().accept_failures, 3u);
  });
}

// A listener hands on what the network has against a connection that it was to accept (accept(2)).
WEIR_TEST("what the network does to an accept ends no server, and is not asked without a pause") {
  for (const int code : {EPROTO, ENETDOWN, EHOSTUNREACH, EPERM, EOPNOTSUPP}) {
    for (const std::uint64_t times : {1, 20}) {
      co_await with_server({}, echo, [&](server& serves, address at) -> task<> {
        weir::testing::world().add_fault(
            {.op = io_op::accept, .nth = 1, .code = code, .count = times});
        const time_point before = loop::current()->now();
        talker client = co_await talker::to(at);
        EXPECT_EQ((co_await client.ask(get)).status, 200);
        EXPECT_EQ(serves.stats().accept_failures, times);
        EXPECT_EQ(since(before) >= 1_s, times == 20);
      });
    }
  }
}

WEIR_TEST("at connections_max a connection makes room as soon as it becomes idle") {
  const auto slow = [](request&, response& answered) -> task<> {
    co_await sleep(1_s);
    co_await answered.send(204);
  };
  co_await with_server({.connections_max = 2}, slow, [](server& serves, address at) -> task<> {
    talker one = co_await talker::to(at);
    co_await one.say(get);
    talker two = co_await talker::to(at);
    co_await two.say(get);
    co_await sleep(100_ms);
    talker late = co_await talker::to(at);
    const time_point before = loop::current()->now();
    EXPECT_EQ((co_await late.ask(get)).status, 204);
    EXPECT_LT(since(before), 3_s);
    EXPECT_EQ((co_await one.hear()).status, 204);
    EXPECT_EQ((co_await two.hear()).status, 204);
    EXPECT_EQ(serves.stats().connections_displaced, 1u) << "one newcomer, one place";
  });
}

// ---- draining ----

task<> slow(request& asked, response& answered) {
  const std::string path(asked.path());
  co_await sleep(path == "/long" ? 60_s : 3_s);
  co_await answered.send(200, {}, "done");
}

WEIR_TEST("a drain answers what is in flight, closes the idle and accepts no more") {
  server one(slow, {.drain_timeout = 10_s});
  listener door = co_await listen({});
  const address at = door.local();
  const time_point before = loop::current()->now();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](server* serves,
               listener through) -> task<> { co_await serves->run(std::move(through)); },
            &one, std::move(door));
    talker idle = co_await talker::to(at);
    talker busy = co_await talker::to(at);
    co_await busy.say(get);
    co_await sleep(1_s);
    one.drain();
    one.drain();
    EXPECT_EQ(co_await idle.rest(), "");
    EXPECT_EQ(since(before), 1_s);
    EXPECT_TRUE(one.is_draining());
    co_await weir::testing::expect_raises<errc::refused>(connect(at));
    const heard_answer got = co_await busy.hear();
    EXPECT_EQ(got.body, "done");
    EXPECT_TRUE(got.closes());
    busy.connection().close();
    co_await s.join();
  });
  EXPECT_EQ(since(before), 3_s);
}

WEIR_TEST("what is still in flight after drain_timeout is cut off") {
  server one(slow, {.drain_timeout = 10_s});
  listener door = co_await listen({});
  const address at = door.local();
  const time_point before = loop::current()->now();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([](server* serves,
               listener through) -> task<> { co_await serves->run(std::move(through)); },
            &one, std::move(door));
    talker busy = co_await talker::to(at);
    co_await busy.say("GET /long HTTP/1.1\r\nHost: x\r\n\r\n");
    co_await sleep(1_s);
    one.drain();
    EXPECT_EQ((co_await busy.hear()).status, 0);
    co_await s.join();
  });
  EXPECT_EQ(since(before), 11_s);
}

// A shutdown from outside drains, any other cancellation cuts off at once.
task<duration> time_to_end(cancel_kind kind) {
  listener door = co_await listen({});
  const address at = door.local();
  const time_point before = loop::current()->now();
  int status = -1;
  co_await with_scope([&](scope& client_side) -> task<> {
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([](listener through) -> task<> { co_await serve(std::move(through), slow); },
              std::move(door));
      client_side.spawn([&]() -> task<> {
        talker busy = co_await talker::to(at);
        status = (co_await busy.ask(get)).status;
      });
      co_await sleep(1_s);
      s.cancel({.kind = kind, .text = "test"});
    });
  });
  EXPECT_EQ(status, kind == cancel_kind::shutdown ? 200 : 0);
  co_return since(before);
}

WEIR_TEST("a cancellation drains the server when it is a shutdown, and only then") {
  EXPECT_EQ(co_await time_to_end(cancel_kind::shutdown), 3_s);
  EXPECT_EQ(co_await time_to_end(cancel_kind::user), 1_s);
}

WEIR_TEST("a long poll can hear that the server drains") {
  const auto polls = [](request& asked, response& answered) -> task<> {
    co_await asked.drain().wait();
    co_await answered.send(204);
  };
  co_await with_server({}, polls, [](server& serves, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say(get);
    co_await sleep(5_s);
    serves.drain();
    EXPECT_EQ((co_await client.hear()).status, 204);
  });
}

}  // namespace
}  // namespace weir::http::server_time_test
