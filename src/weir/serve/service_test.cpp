// The interface in virtual time: waits, leases, retention, tokens, streams, restarts.
#include <weir/serve/service.hpp>

#include <weir/serve/served_test.hpp>

#include <string>
#include <vector>

namespace weir {
namespace {

using namespace weir::testing;

WEIR_TEST("a wait for a message's end lasts as long as it was asked for") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    const std::string id = co_await server.send("q", "x");
    const duration begin = elapsed();
    EXPECT_EQ(co_await server.state(id, "?wait=30s"), "ready");
    EXPECT_GE(elapsed() - begin, 30_s);
    EXPECT_LT(elapsed() - begin, 31_s);
  });
}

WEIR_TEST("a wait is cut at what the server allows") {
  server_config config = config_in();
  config.wait_max = 5_min;
  co_await with_server(config, {}, [](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    const duration begin = elapsed();
    EXPECT_TRUE((co_await server.take("q", "?wait=1d")).is_null());
    EXPECT_GE(elapsed() - begin, 5_min);
    EXPECT_LT(elapsed() - begin, 5_min + 1_s);
  });
}

WEIR_TEST("a lease that runs out comes back as the next attempt, and its receipt is stale") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q", R"({"backoff":{"first":"0s","max":"0s"}})");
    co_await server.send("q", "x");
    const auto first = co_await server.take("q");
    const duration begin = elapsed();
    const auto second = co_await server.take("q");
    EXPECT_GE(elapsed() - begin, 29_s);
    EXPECT_LT(elapsed() - begin, 31_s);
    EXPECT_EQ(second.at("attempt").to_number<int>(), 2);
    const reply stale =
        co_await server.post("/v1/leases/" + reply::text_of(first, "receipt") + "/ack");
    EXPECT_EQ(stale.status(), 409);
    EXPECT_EQ(stale.text("code"), "stale_receipt");
  });
}

WEIR_TEST("a lease may be taken for another time, and be extended") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q", R"({"backoff":{"first":"0s","max":"0s"}})");
    co_await server.send("q", "x");
    const auto first = co_await server.take("q", "?lease=5m");
    co_await sleep(4_min);
    const reply extended = co_await server.post(
        "/v1/leases/" + reply::text_of(first, "receipt") + "/extend", R"({"lease":"10m"})");
    EXPECT_EQ(extended.status(), 200);
    EXPECT_GT(extended.text("deadline"), reply::text_of(first, "deadline"));
    const duration begin = elapsed();
    EXPECT_FALSE((co_await server.take("q", "?wait=5m")).is_object());
    EXPECT_FALSE((co_await server.take("q", "?wait=299s")).is_object());
    EXPECT_TRUE((co_await server.take("q", "?wait=2s")).is_object());
    EXPECT_GE(elapsed() - begin, 599_s);
  });
}

WEIR_TEST("bodies are given as base64 when asked for") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    co_await server.send("q", "hi");
    const auto taken = co_await server.take("q", "?encoding=base64");
    EXPECT_EQ(reply::text_of(taken, "body"), "aGk=");
    EXPECT_EQ(reply::text_of(taken, "encoding"), "base64");
    const reply wrong = co_await server.post("/v1/queues/q/leases?encoding=hex");
    EXPECT_EQ(wrong.text("code"), "invalid_parameter");
  });
}

WEIR_TEST("a result is kept for its retention and then forgotten") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q", R"({"result_ttl":"10m"})");
    const std::string id = co_await server.send("q", "x");
    const auto taken = co_await server.take("q");
    co_await server.post("/v1/leases/" + reply::text_of(taken, "receipt") + "/ack", "r");
    co_await sleep(9_min);
    EXPECT_EQ((co_await server.get("/v1/messages/" + id)).text("result"), "r");
    co_await sleep(2_min);
    const reply gone = co_await server.get("/v1/messages/" + id);
    EXPECT_EQ(gone.status(), 404);
    EXPECT_EQ(gone.text("code"), "message_not_found");
  });
}

WEIR_TEST("a key is known within its window only") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q", R"({"key_window":"1h"})");
    const std::string id = co_await server.send("q", "x", {{"Weir-Key", "k"}});
    EXPECT_EQ(co_await server.send("q", "x", {{"Weir-Key", "k"}}), id);
    co_await sleep(2_h);
    EXPECT_NE(co_await server.send("q", "x", {{"Weir-Key", "k"}}), id);
  });
}

WEIR_TEST("rates are those of the last minute") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    co_await sleep(6_s);
    for (int i = 0; i < 60; ++i) {
      co_await server.send("q", "x");
      co_await sleep(500_ms);
    }
    const reply shown = co_await server.get("/v1/queues/q");
    EXPECT_NEAR(shown.json.at("rates").at("submitted").to_number<double>(), 2, 0.5);
    EXPECT_EQ(shown.json.at("rates").at("completed").to_number<double>(), 0);
  });
}

WEIR_TEST("without a token only health is told") {
  co_await with_server(config_in(), "0123456789abcdef\n", [](api& server, event&) -> task<> {
    for (const char* path : {"/v1/queues", "/metrics", "/v1/messages/x", "/nowhere"}) {
      const reply refused = co_await server.get(path);
      EXPECT_EQ(refused.status(), 401) << path;
      EXPECT_EQ(refused.text("code"), "unauthorized");
      EXPECT_EQ(refused.field("WWW-Authenticate"), "Bearer");
    }
    EXPECT_EQ((co_await server.get("/healthz")).status(), 200);
    EXPECT_EQ((co_await server.get("/readyz")).status(), 200);
    const reply in = co_await server.call("GET", "/v1/queues", {},
                                          {{"Authorization", "Bearer 0123456789abcdef"}});
    EXPECT_EQ(in.status(), 200);
  });
}

WEIR_TEST("a drain answers whoever waits with what there is, and ends") {
  co_await with_server([](api& server, event& stop) -> task<> {
    co_await server.put("/v1/queues/q");
    const std::string id = co_await server.send("q", "x", {{"Weir-Delay", "1h"}});
    const duration begin = elapsed();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](api* of, std::string name) -> task<> {
            EXPECT_EQ(co_await of->state(name, "?wait=5m"), "delayed");
          },
          &server, id);
      s.spawn(
          [](api* of) -> task<> { EXPECT_TRUE((co_await of->take("q", "?wait=5m")).is_null()); },
          &server);
      co_await sleep(1_s);
      stop.set();
      co_await s.join();
    });
    EXPECT_LT(elapsed() - begin, 11_s);
  });
}

WEIR_TEST("everything that was confirmed is there in the next life of the server") {
  std::string done;
  std::string delayed;
  std::string leased;
  co_await with_server([&](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q", R"({"lease":"1m","backoff":{"first":"0s","max":"0s"}})");
    done = co_await server.send("q", "1");
    const auto taken = co_await server.take("q");
    co_await server.post("/v1/leases/" + reply::text_of(taken, "receipt") + "/ack", "result");
    leased = co_await server.send("q", "2");
    co_await server.take("q");
    delayed = co_await server.send("q", "3", {{"Weir-Delay", "1h"}});
  });
  co_await with_server([&](api& server, event&) -> task<> {
    const reply queue = co_await server.get("/v1/queues/q");
    EXPECT_EQ(queue.json.at("settings").at("lease").as_string(), "1m");
    EXPECT_EQ(queue.count("done"), 1);
    EXPECT_EQ(queue.count("delayed"), 1);
    EXPECT_EQ((co_await server.get("/v1/messages/" + done)).text("result"), "result");
    EXPECT_EQ(co_await server.state(delayed), "delayed");
    const auto again = co_await server.take("q", "?wait=2m");  // the lease goes on over the end
    WEIR_REQUIRE(again.is_object());
    EXPECT_EQ(reply::text_of(again, "id"), leased);
    EXPECT_EQ(again.at("attempt").to_number<int>(), 2);
  });
}

/// The next event of a stream as "kind data".
task<std::string> next_event(http::client_stream& stream, std::string& buffer) {
  for (;;) {
    const std::size_t end = buffer.find("\n\n");
    if (end == std::string::npos) {
      const bytes piece = co_await stream.read();
      if (piece.empty()) co_return "end";
      buffer += piece.text();
      continue;
    }
    const std::string block = buffer.substr(0, end + 1);
    buffer.erase(0, end + 2);
    const std::size_t kind = block.find("event: ");
    const std::size_t data = block.find("data: ");
    if (data == std::string::npos) continue;  // a comment
    co_return block.substr(kind + 7, block.find('\n', kind) - kind - 7) + " " +
        block.substr(data + 6, block.find('\n', data) - data - 6);
  }
}

WEIR_TEST("a queue's stream tells events as they happen and ends with the server") {
  co_await with_server([](api& server, event& stop) -> task<> {
    co_await server.put("/v1/queues/q", R"({"attempts":1})");
    http::client_stream stream =
        co_await server.client().open({.url = server.url() + "/v1/queues/q/events"});
    EXPECT_EQ(stream.status(), 200);
    EXPECT_EQ(stream.head().field("Content-Type"), "text/event-stream");
    std::string buffer;
    const std::string id = co_await server.send("q", "x");
    EXPECT_TRUE((co_await next_event(stream, buffer)).starts_with("submitted {\"id\":\"" + id));
    const auto taken = co_await server.take("q");
    EXPECT_TRUE((co_await next_event(stream, buffer)).starts_with("leased "));
    co_await server.post("/v1/leases/" + reply::text_of(taken, "receipt") + "/nack",
                         R"({"error":"no"})");
    const std::string dead = co_await next_event(stream, buffer);
    EXPECT_TRUE(dead.starts_with("dead ")) << dead;
    EXPECT_NE(dead.find("\"error\":\"no\""), dead.npos);
    stop.set();
    // It is cut off: whoever follows a queue must be ready to connect again.
    const auto end = co_await as_result(next_event(stream, buffer));
    EXPECT_TRUE(!end || *end == "end");
  });
}

WEIR_TEST("a queue's stream ends in order when the queue is deleted") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    http::client_stream stream =
        co_await server.client().open({.url = server.url() + "/v1/queues/q/events"});
    std::string buffer;
    EXPECT_EQ((co_await server.call("DELETE", "/v1/queues/q")).status(), 204);
    EXPECT_EQ(co_await next_event(stream, buffer), "end");
    for (const char* path : {"/v1/queues/q/events", "/v1/messages/none/events"}) {
      EXPECT_EQ((co_await server.get(path)).status(), 404) << path;
    }
  });
}

WEIR_TEST("a message's stream begins and ends with its state") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    const std::string id = co_await server.send("q", "x");
    http::client_stream stream =
        co_await server.client().open({.url = server.url() + "/v1/messages/" + id + "/events"});
    std::string buffer;
    const std::string first = co_await next_event(stream, buffer);
    EXPECT_TRUE(first.starts_with("state ")) << first;
    EXPECT_NE(first.find("\"state\":\"ready\""), first.npos);
    const auto taken = co_await server.take("q");
    EXPECT_TRUE((co_await next_event(stream, buffer)).starts_with("leased "));
    co_await server.post("/v1/leases/" + reply::text_of(taken, "receipt") + "/ack", "done!");
    EXPECT_TRUE((co_await next_event(stream, buffer)).starts_with("completed "));
    const std::string last = co_await next_event(stream, buffer);
    EXPECT_NE(last.find("\"result\":\"done!\""), last.npos);
    EXPECT_EQ(co_await next_event(stream, buffer), "end");
  });
}

WEIR_TEST("a queue's stream ends in order when the queue is deleted") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    http::client_stream stream =
        co_await server.client().open({.url = server.url() + "/v1/queues/q/events"});
    co_await server.call("DELETE", "/v1/queues/q");
    std::string buffer;
    EXPECT_EQ(co_await next_event(stream, buffer), "end");
  });
}

WEIR_TEST("HEAD of a stream is answered at once and leaves the connection free") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    const std::string id = co_await server.send("q", "x");
    const duration begin = elapsed();
    for (const std::string& path :
         {std::string("/v1/queues/q/events"), "/v1/messages/" + id + "/events"}) {
      const reply head = co_await server.call("HEAD", path);
      EXPECT_EQ(head.status(), 200) << path;
      EXPECT_EQ(head.field("Content-Type"), "text/event-stream") << path;
      EXPECT_EQ((co_await server.get("/healthz")).status(), 200) << path;
    }
    EXPECT_LT(elapsed() - begin, 1_s);
  });
}

WEIR_TEST("a message that was taken in is never refused because the server drains") {
  for (const std::string query : {"", "?wait=1m"}) {
    for (int turns = 2; turns < 18; turns += 3) {
      std::string id;
      int status = 0;
      co_await with_server([&](api& server, event& stop) -> task<> {
        co_await server.put("/v1/queues/q");
        co_await with_scope({.name = "producer"}, [&](scope& s) -> task<> {
          s.spawn(
              [](api* to, std::string path, int* out) -> task<> {
                const auto sent = co_await as_result(to->post(path, "x"));
                *out = sent ? sent->status() : -1;
              },
              &server, "/v1/queues/q/messages" + query, &status);
          for (int i = 0; i < turns; ++i) co_await yield();
          stop.set();
        });
      });
      // An answer may be lost with its connection; one that came is true.
      co_await with_server([&](api& server, event&) -> task<> {
        const std::int64_t kept = (co_await server.get("/v1/queues/q")).count("ready");
        if (status == 202) EXPECT_EQ(kept, 1) << "after " << turns << query;
        if (status == 503) EXPECT_EQ(kept, 0) << "after " << turns << query;
        co_await server.call("DELETE", "/v1/queues/q");
      });
    }
  }
}

WEIR_TEST("HEAD is answered as GET without a body") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    const reply head = co_await server.call("HEAD", "/v1/queues/q");
    EXPECT_EQ(head.status(), 200);
    EXPECT_EQ(head.response.body, "");
  });
}

TEST(service, an_address_that_others_can_reach_needs_tokens) {
  for (const char* listen : {"0.0.0.0:1", "*:1", "[::]:1", "10.0.0.1:1"}) {
    server_config config = config_in();
    config.listen = listen;
    const result<server_setup> setup = check_setup(config, std::nullopt);
    ASSERT_FALSE(setup) << listen;
    EXPECT_EQ(setup.error().code(), errc::invalid_argument);
    EXPECT_NE(setup.error().message().find("--token-file"), std::string_view::npos);
    EXPECT_TRUE(check_setup(config, "0123456789abcdef")) << listen;
  }
  for (const char* listen : {"127.0.0.1:1", "127.5.0.1:0", "[::1]:1", "localhost:1"}) {
    server_config config = config_in();
    config.listen = listen;
    EXPECT_TRUE(check_setup(config, std::nullopt)) << listen;
  }
}

TEST(service, a_wrong_setup_says_what_is_wrong) {
  server_config config = config_in();
  EXPECT_FALSE(check_setup(config, "short"));
  config.listen = "nonsense";
  EXPECT_FALSE(check_setup(config, std::nullopt));
}

TEST(service, a_message_must_fit_into_half_a_segment) {
  server_config config;
  config.segment_bytes = 1u << 20;
  const result<server_setup> refused = check_setup(config, std::nullopt);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(),
            "messages of up to 8388608 bytes (limits.message_bytes) need a journal.segment_bytes "
            "of at least 16793600");
  config.segment_bytes = 16'793'600;
  EXPECT_TRUE(check_setup(config, std::nullopt));
  config.segment_bytes = 1u << 20;
  config.limits.message_bytes_max = 500'000;
  EXPECT_TRUE(check_setup(config, std::nullopt));
}

TEST(service, the_greeting_says_where_and_gives_three_commands) {
  const server_config config = config_in("/d");
  const result<server_setup> open = check_setup(config, std::nullopt);
  const result<server_setup> closed = check_setup(config, "0123456789abcdef");
  ASSERT_TRUE(open && closed);
  const address at = *address::parse("127.0.0.1:8420");
  EXPECT_EQ(greeting(*open, at, "io_uring"),
            "weir 0.1.0 listening on http://127.0.0.1:8420 (io_uring), data in /d\n"
            "Try:\n"
            "  curl -X PUT http://127.0.0.1:8420/v1/queues/mails\n"
            "  curl -d 'Dear Ada' http://127.0.0.1:8420/v1/queues/mails/messages\n"
            "  curl -X POST 'http://127.0.0.1:8420/v1/queues/mails/leases?wait=5s'\n");
  EXPECT_NE(greeting(*closed, at, "epoll").find("  curl -H 'Authorization: Bearer TOKEN' -X PUT "),
            std::string::npos);
}

}  // namespace
}  // namespace weir
