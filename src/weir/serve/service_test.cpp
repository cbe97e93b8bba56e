// The interface in virtual time: waits, leases, retention, tokens, streams, restarts.
#include <weir/serve/service.hpp>

#include <weir/serve/served_test.hpp>

#include <string>
#include <vector>

namespace weir::service_test {
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

WEIR_TEST("a wait ends when its client no longer waits, and takes no message with it") {
  co_await with_server([](api& calls, event&) -> task<> {
    co_await calls.put("/v1/queues/q");
    const duration begin = elapsed();
    const reply late =
        co_await calls.post("/v1/queues/q/leases?wait=1m", "", {{http::time_left_field, "500"}});
    EXPECT_EQ(late.status(), 504);
    EXPECT_EQ(late.text("code"), "deadline_exceeded");
    EXPECT_LT(elapsed() - begin, 1_s);
    co_await calls.send("q", "for others");
    EXPECT_EQ(reply::text_of(co_await calls.take("q", "?wait=0s"), "body"), "for others");
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

WEIR_TEST("several leases are acknowledged at once, and a stale one does not stop the others") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    co_await server.send("q", "a");
    co_await server.send("q", "b");
    const auto first = co_await server.take("q");
    const auto second = co_await server.take("q");
    const std::string one = reply::text_of(first, "receipt");
    const std::string two = reply::text_of(second, "receipt");
    const reply acked = co_await server.post(
        "/v1/leases:ack", R"({"acks":[{"receipt":")" + one +
                              R"(","result":"fine"},{"receipt":"nonsense"},{"receipt":")" + two +
                              R"("},{"receipt":")" + two + R"("},{}]})");
    EXPECT_EQ(acked.status(), 200);
    std::vector<std::int64_t> statuses;
    for (const auto& ack : acked.json.at("acks").as_array()) {
      statuses.push_back(ack.at("status").to_number<std::int64_t>());
    }
    EXPECT_EQ(statuses, (std::vector<std::int64_t>{204, 409, 204, 409, 400}));
    const reply done = co_await server.get("/v1/messages/" + reply::text_of(first, "id"));
    EXPECT_EQ(done.text("state"), "done");
    EXPECT_EQ(done.text("result"), "fine");
    EXPECT_EQ((co_await server.get("/v1/queues/q")).count("done"), 2);
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

WEIR_TEST("a reader of a stream that is too slow is told how many events it has missed") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    http::client_stream stream =
        co_await server.client().open({.url = server.url() + "/v1/queues/q/events"});
    std::string batch = R"({"messages":[{"body":"x"})";
    for (int i = 1; i < 1'000; ++i) batch += R"(,{"body":"x"})";
    for (int i = 0; i < 5; ++i) co_await server.post("/v1/queues/q/messages:batch", batch + "]}");
    std::string buffer;
    std::string next;
    int heard = 0;
    while (!next.starts_with("dropped ")) {
      next = co_await next_event(stream, buffer);
      WEIR_REQUIRE(++heard < 5'000);
    }
    EXPECT_TRUE(next.starts_with("dropped {\"count\":")) << next;
  });
}

WEIR_TEST("a message that expires is told to those who follow it") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    const std::string id = co_await server.send("q", "x", {{"Weir-Ttl", "5s"}});
    http::client_stream stream =
        co_await server.client().open({.url = server.url() + "/v1/messages/" + id + "/events"});
    std::string buffer;
    EXPECT_TRUE((co_await next_event(stream, buffer)).starts_with("state "));
    EXPECT_TRUE((co_await next_event(stream, buffer)).starts_with("expired "));
    EXPECT_NE((co_await next_event(stream, buffer)).find("\"state\":\"expired\""),
              std::string::npos);
    EXPECT_EQ(co_await next_event(stream, buffer), "end");
  });
}

WEIR_TEST("each member of a message in a batch counts") {
  worker told([](const worker_call&) { return worker_answer{}; });
  co_await with_worker(told, [&](const std::string& url) -> task<> {
    co_await with_server([&](api& server, event&) -> task<> {
      co_await server.put("/v1/queues/q");
      const reply sent = co_await server.post("/v1/queues/q/messages:batch",
                                              R"({"messages":[{"body":"last"},
              {"body":"AP8=","encoding":"base64","content_type":"image/x","priority":9,
               "delay":"5s","key":"k","reply_to":")" +
                                                  url + R"(/told","ttl":"1h"},
              {"body":"short","ttl":"1s"},{"body":"again","key":"k"}]})");
      EXPECT_EQ(sent.status(), 202);
      const auto& all = sent.json.at("messages").as_array();
      EXPECT_EQ(all[3].at("id"), all[1].at("id"));
      EXPECT_TRUE(all[3].at("duplicate").as_bool());
      EXPECT_EQ(co_await server.state(reply::text_of(all[1], "id")), "delayed");
      co_await sleep(6_s);
      EXPECT_EQ(co_await server.state(reply::text_of(all[2], "id")), "expired");
      const auto first = co_await server.take("q");
      EXPECT_EQ(reply::text_of(first, "id"), reply::text_of(all[1], "id"));  // by its priority
      EXPECT_EQ(reply::text_of(first, "encoding"), "base64");
      EXPECT_EQ(reply::text_of(first, "body"), "AP8=");
      EXPECT_EQ(reply::text_of(first, "content_type"), "image/x");
      co_await server.post("/v1/leases/" + reply::text_of(first, "receipt") + "/ack", "r");
      co_await told.wait_calls(1);
      EXPECT_EQ(told.calls[0].target, "/told");
      EXPECT_EQ(reply::text_of(co_await server.take("q"), "body"), "last");
    });
  });
}

WEIR_TEST("a body that drips is answered 408 and nothing is taken in") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    const std::string where = server.url().substr(std::string_view("http://").size());
    socket drips = co_await connect(*address::parse(where));
    co_await drips.send(
        std::string_view("POST /v1/queues/q/messages HTTP/1.1\r\nHost: localhost\r\n"
                         "Content-Length: 1000\r\n\r\n"));
    const duration begin = elapsed();
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn([&]() -> task<> {
        for (;;) {
          co_await sleep(1_s);
          if (!co_await as_result(drips.send(std::string_view("x")))) co_return;
        }
      });
      constexpr std::string_view code = "\"code\":\"timed_out\"";
      std::string heard;
      while (!heard.contains(code)) {
        const bytes piece = co_await drips.receive();
        if (!piece) break;
        heard += piece.text();
      }
      EXPECT_TRUE(heard.starts_with("HTTP/1.1 408 ")) << heard;
      EXPECT_TRUE(heard.contains(code)) << heard;
      s.cancel("heard");
    });
    EXPECT_LT(elapsed() - begin, 32_s);
    EXPECT_EQ((co_await server.get("/v1/queues/q")).count("ready"), 0);
  });
}

WEIR_TEST("streams beyond event_streams are refused with a time to come back") {
  server_config config = config_in();
  config.event_streams_max = 1;
  co_await with_server(config, {}, [](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    const std::string id = co_await server.send("q", "x");
    http::client_stream stream =
        co_await server.client().open({.url = server.url() + "/v1/queues/q/events"});
    EXPECT_EQ(stream.status(), 200);
    for (const std::string& path :
         {std::string("/v1/queues/q/events"), "/v1/messages/" + id + "/events"}) {
      const reply refused = co_await server.get(path);
      EXPECT_EQ(refused.status(), 503) << path;
      EXPECT_EQ(refused.text("code"), "too_many_streams") << path;
      EXPECT_EQ(refused.field("Retry-After"), "5") << path;
    }
  });
}

WEIR_TEST("a full disk refuses messages with 507, /readyz says so, and room ends it") {
  server_config config = config_in();
  config.segment_bytes = 1u << 20;  // a segment that was there before is filled first
  config.limits.message_bytes_max = 300'000;
  co_await with_server(config, {}, [](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    const std::string body(250'000, 'x');
    world().disk().set_quota(world().disk().used());
    reply sent;
    int taken_in = -1;
    do {
      sent = co_await server.post("/v1/queues/q/messages", body);
      WEIR_REQUIRE(++taken_in < 100);
    } while (sent.status() == 202);
    EXPECT_EQ(sent.status(), 507);
    EXPECT_EQ(sent.text("code"), "no_space");
    EXPECT_EQ(sent.field("Retry-After"), "30");
    const reply not_ready = co_await server.get("/readyz");
    EXPECT_EQ(not_ready.status(), 503);
    EXPECT_EQ(not_ready.text("code"), "not_ready");
    EXPECT_EQ(not_ready.text("detail"), "the disk is full");
    const reply metrics = co_await server.get("/metrics");
    EXPECT_NE(metrics.response.body.find("\nweir_ready 0\n"), std::string::npos);
    const auto taken = co_await server.take("q");
    WEIR_REQUIRE(taken.is_object());
    const reply acked =
        co_await server.post("/v1/leases/" + reply::text_of(taken, "receipt") + "/ack", "small");
    EXPECT_EQ(acked.status(), 204) << acked.response.body;
    world().disk().set_quota(std::uint64_t{1} << 40);
    co_await sleep(5_s);
    EXPECT_EQ((co_await server.post("/v1/queues/q/messages", body)).status(), 202);
    EXPECT_EQ((co_await server.get("/readyz")).status(), 200);
  });
}

WEIR_TEST("whoever waits for room when the server drains hears that it is stopping") {
  co_await with_server([](api& server, event& stop) -> task<> {
    co_await server.put("/v1/queues/q", R"({"capacity":{"messages":1}})");
    co_await server.send("q", "x");
    co_await with_scope([&](scope& s) -> task<> {
      s.spawn(
          [](api* of) -> task<> {
            const reply refused = co_await of->post("/v1/queues/q/messages?wait=5m", "y");
            EXPECT_EQ(refused.status(), 503);
            EXPECT_EQ(refused.text("code"), "stopping");
            EXPECT_EQ(refused.field("Retry-After"), "5");
          },
          &server);
      co_await sleep(1_s);
      stop.set();
      co_await s.join();
    });
  });
}

WEIR_TEST("after a failed sync nothing is confirmed and the server ends") {
  const auto errors = co_await errors_of(with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    world().add_fault({.op = io_op::sync, .count = 1'000});
    const auto sent = co_await as_result(server.post("/v1/queues/q/messages", "x"));
    if (sent) EXPECT_GE(sent->status(), 500);
    co_await sleep(1_h);
  }));
  WEIR_REQUIRE(!errors.empty());
  EXPECT_NE(errors[0].find("writing '/data/journal-0000000001.seg' failed"), std::string::npos)
      << errors[0];
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
    // When the drain begins is drawn: two lives of a server a run are all that many schedules
    // afford.
    const std::uint32_t turns = 2 + 3 * loop::current()->lot(6);
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
        for (std::uint32_t i = 0; i < turns; ++i) co_await yield();
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
    const result<server_setup> setup = check_setup(config);
    ASSERT_FALSE(setup) << listen;
    EXPECT_EQ(setup.error().code(), errc::invalid_argument);
    EXPECT_NE(setup.error().message().find("--token-file"), std::string_view::npos);
    EXPECT_TRUE(check_setup(config, {.tokens = "0123456789abcdef"})) << listen;
  }
  for (const char* listen : {"127.0.0.1:1", "127.5.0.1:0", "[::1]:1", "localhost:1"}) {
    server_config config = config_in();
    config.listen = listen;
    EXPECT_TRUE(check_setup(config)) << listen;
  }
}

TEST(service, a_wrong_setup_says_what_is_wrong) {
  server_config config = config_in();
  EXPECT_FALSE(check_setup(config, {.tokens = "short"}));
  config.listen = "nonsense";
  EXPECT_FALSE(check_setup(config));
}

TEST(service, a_message_must_fit_into_half_a_segment) {
  server_config config;
  config.segment_bytes = 1u << 20;
  const result<server_setup> refused = check_setup(config);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message(),
            "messages of up to 8388608 bytes (limits.message_bytes) need a journal.segment_bytes "
            "of at least 16793600");
  config.segment_bytes = 16'793'600;
  EXPECT_TRUE(check_setup(config));
  config.segment_bytes = 1u << 20;
  config.limits.message_bytes_max = 500'000;
  EXPECT_TRUE(check_setup(config));
}

}  // namespace
}  // namespace weir::service_test
