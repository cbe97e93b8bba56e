// Workers and reply addresses that are hostile: each way to hold a call has its limit.
#include <weir/serve/pusher.hpp>
#include <weir/serve/served_test.hpp>

#include <fmt/format.h>

#include <string>
#include <tuple>

namespace weir::call_limits_test {
namespace {

using namespace weir::testing;

/// Reads one whole request, whose body has a Content-Length or none.
task<> read_request(socket& from) {
  constexpr std::string_view head_end = "\r\n\r\n";
  constexpr std::string_view length = "\r\nContent-Length: ";
  std::string text;
  std::size_t size = std::string::npos;
  while (text.size() < size) {
    const bytes piece = co_await from.receive();
    if (!piece) co_return;
    text += piece.text();
    const std::size_t end = text.find(head_end);
    if (end == std::string::npos) continue;
    size = end + head_end.size();
    const std::size_t at = text.find(length);
    if (at < end) size += std::stoul(text.substr(at + length.size()));
  }
}

/// Accepts calls, reads each, and then behaves.
template <class How, class Body>
task<> with_hostile(How how, Body body) {
  listener door = co_await listen({});
  const std::string url = "http://" + door.local().text();
  std::uint32_t calls = 0;
  co_await with_scope({.name = "hostile", .failures = report}, [&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      for (;;) {
        socket peer = co_await door.accept();
        ++calls;
        s.spawn(
            [](How* rude, socket with) -> task<> {
              co_await read_request(with);
              std::ignore = co_await as_result((*rude)(with));
            },
            &how, std::move(peer));
      }
    });
    co_await body(url, calls);
    s.cancel("enough");
  });
}

/// Sends one message to a queue that pushes to `url`, with one attempt; gives what became of it and
/// after how long.
struct end_of_call {
  std::string state;
  std::string error;
  duration after;
};
task<end_of_call> push_once(std::string url, server_config config = config_in()) {
  end_of_call out;
  co_await with_server(config, {}, [&](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q", fmt::format(R"({{"push":{{"url":"{}","timeout":"10s"}},)"
                                                    R"("attempts":1}})",
                                                    url));
    const duration begin = elapsed();
    const std::string id = co_await server.send("q", "x");
    const reply got = co_await server.get("/v1/messages/" + id + "?wait=5m");
    out = {got.text("state"), got.text("last_error"), elapsed() - begin};
  });
  co_return out;
}

WEIR_TEST("a push that its connection did not answer has failed, and is not sent again by itself") {
  const auto answer_once = [](socket& peer) -> task<> {
    co_await peer.send("HTTP/1.1 204 No Content\r\n\r\n");
    co_await read_request(peer);
  };
  co_await with_hostile(answer_once, [](std::string url, std::uint32_t& calls) -> task<> {
    server_config config = config_in();
    config.limits.message_bytes_max = 64 << 10;
    config.segment_bytes = 256 << 10;
    co_await with_server(config, {}, [&](api& server, event&) -> task<> {
      co_await server.put("/v1/queues/q",
                          fmt::format(R"({{"push":{{"url":"{}"}},"attempts":1}})", url));
      const std::string first = co_await server.send("q", "x");
      EXPECT_EQ(co_await server.state(first, "?wait=1m"), "done");
      const std::string second = co_await server.send("q", "y");
      EXPECT_EQ(co_await server.state(second, "?wait=1m"), "dead");
      EXPECT_EQ(calls, 1u) << "connections";
    });
  });
}

WEIR_TEST("a worker that hangs is given up after push.timeout") {
  co_await with_hostile([](socket& peer) -> task<> { std::ignore = co_await peer.receive(); },
                        [](std::string url, std::uint32_t&) -> task<> {
                          const end_of_call end = co_await push_once(url);
                          EXPECT_EQ(end.state, "dead");
                          EXPECT_EQ(end.after, 10_s);
                          EXPECT_EQ(end.error, "timed_out: no whole answer within 10s");
                        });
}

WEIR_TEST("a worker that trickles its answer is given up after push.timeout") {
  const auto trickle = [](socket& peer) -> task<> {
    co_await peer.send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n");
    for (;;) {
      co_await peer.send("x");
      co_await sleep(1_s);
    }
  };
  co_await with_hostile(trickle, [](std::string url, std::uint32_t&) -> task<> {
    const end_of_call end = co_await push_once(url);
    EXPECT_EQ(end.state, "dead");
    EXPECT_EQ(end.after, 10_s);
  });
}

WEIR_TEST("a worker that trickles its header is given up after push.timeout") {
  const auto trickle = [](socket& peer) -> task<> {
    co_await peer.send("HTTP/1.1 200 OK\r\nX: ");
    for (;;) {
      co_await peer.send("x");
      co_await sleep(1_s);
    }
  };
  co_await with_hostile(trickle, [](std::string url, std::uint32_t&) -> task<> {
    const end_of_call end = co_await push_once(url);
    EXPECT_EQ(end.state, "dead");
    EXPECT_EQ(end.after, 10_s);
  });
}

WEIR_TEST("a worker that answers without end is given up at the size of a message") {
  std::size_t sent = 0;
  const auto flood = [&](socket& peer) -> task<> {
    co_await peer.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    const std::string piece = "1000\r\n" + std::string(0x1000, 'x') + "\r\n";
    for (;;) {
      co_await peer.send(piece);
      sent += 0x1000;
    }
  };
  co_await with_hostile(flood, [&](std::string url, std::uint32_t&) -> task<> {
    server_config config = config_in();
    config.limits.message_bytes_max = 64u << 10;
    const end_of_call end = co_await push_once(url, config);
    EXPECT_EQ(end.state, "dead");
    EXPECT_NE(end.error.find("too_large"), std::string::npos) << end.error;
    EXPECT_LT(sent, 512u << 10);
  });
}

WEIR_TEST("a worker that redirects to itself is called once: redirects are not followed") {
  bool was_followed = false;
  const auto redirect = [&](socket& peer) -> task<> {
    co_await peer.send(
        "HTTP/1.1 307 Temporary Redirect\r\nLocation: /again\r\n"
        "Content-Length: 0\r\n\r\n");
    if (co_await peer.receive()) was_followed = true;
  };
  co_await with_hostile(redirect, [&](std::string url, std::uint32_t& calls) -> task<> {
    const end_of_call end = co_await push_once(url);
    EXPECT_EQ(end.state, "dead");
    EXPECT_NE(end.error.find("answered 307"), std::string::npos) << end.error;
    EXPECT_EQ(calls, 1u);
    EXPECT_FALSE(was_followed);
  });
}

WEIR_TEST("a reply address that hangs is given up and called again later") {
  co_await with_hostile(
      [](socket& peer) -> task<> { std::ignore = co_await peer.receive(); },
      [](std::string url, std::uint32_t& calls) -> task<> {
        co_await with_server([&](api& server, event&) -> task<> {
          co_await server.put("/v1/queues/q", R"({"backoff":{"jitter":0}})");
          const std::string id = co_await server.send("q", "x", {{"Weir-Reply-To", url}});
          const boost::json::value taken = co_await server.take("q");
          co_await server.post("/v1/leases/" + reply::text_of(taken, "receipt") + "/ack");
          co_await sleep(reply_sender::call_timeout - 1_s);
          EXPECT_EQ(calls, 1u);
          co_await sleep(4_s);  // the time-out, and the first wait of the back-off
          EXPECT_EQ(calls, 2u);
          EXPECT_EQ(co_await server.state(id), "done");
        });
      });
}

}  // namespace
}  // namespace weir::call_limits_test
