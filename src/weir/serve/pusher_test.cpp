// Pushing and replying in virtual time: pace, pauses, retries, time-outs, changes of settings.
#include <weir/serve/pusher.hpp>

#include <weir/base/log.hpp>
#include <weir/serve/served_test.hpp>
#include <weir/sim/memory_watch.hpp>
#include <weir/sim/virtual_run.hpp>

#include <fmt/format.h>

#include <new>
#include <string>
#include <string_view>
#include <vector>

namespace weir::pusher_test {
namespace {

using namespace weir::testing;

std::string push_to(std::string_view url, std::string_view more = "") {
  return fmt::format(R"({{"push":{{"url":"{}"{}}},"backoff":{{"jitter":0}}}})", url, more);
}

WEIR_TEST("a worker is called with the message and its answer is the result") {
  worker shout([](const worker_call& call) { return worker_answer{.body = call.body + "!"}; });
  co_await with_worker(shout, [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event&) -> task<> {
      co_await server.put("/v1/queues/q", push_to(url + "/work?a=b"));
      const std::string id = co_await server.send("q", "hey", {{"Content-Type", "text/x"}});
      const reply done = co_await server.get("/v1/messages/" + id + "?wait=1m");
      EXPECT_EQ(done.text("state"), "done");
      EXPECT_EQ(done.text("result"), "hey!");
      EXPECT_EQ(done.text("result_content_type"), "text/plain");
      WEIR_REQUIRE(shout.calls.size() == 1);
      const worker_call& call = shout.calls[0];
      EXPECT_EQ(call.target, "/work?a=b");
      EXPECT_EQ(call.field("Weir-Id"), id);
      EXPECT_EQ(call.field("Weir-Attempt"), "1");
      EXPECT_EQ(call.field("Weir-Queue"), "q");
      EXPECT_EQ(call.field("Content-Type"), "text/x");
    });
  });
}

WEIR_TEST("failed calls are repeated with growing waits and end as a dead letter") {
  worker broken(
      [](const worker_call&) { return worker_answer{.status = 500, .body = "no paper"}; });
  co_await with_worker(broken, [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event&) -> task<> {
      co_await server.put("/v1/queues/q", push_to(url));
      const std::string id = co_await server.send("q", "x");
      const reply dead = co_await server.get("/v1/messages/" + id + "?wait=5m");
      EXPECT_EQ(dead.text("state"), "dead");
      EXPECT_EQ(dead.text("last_error"), "answered 500 Internal Server Error: no paper");
      WEIR_REQUIRE(broken.calls.size() == 5);
      for (std::size_t i = 1; i < 5; ++i) {
        const duration wait = broken.calls[i].at - broken.calls[i - 1].at;
        const duration least = duration::seconds(std::int64_t(1) << (i - 1));
        EXPECT_GE(wait, least) << i;
        EXPECT_LT(wait, least + 500_ms) << i;
        EXPECT_EQ(broken.calls[i].field("Weir-Attempt"), std::to_string(i + 1));
      }
    });
  });
}

WEIR_TEST("a busy worker is left alone as long as it says, and no attempt is counted") {
  worker busy([&busy](const worker_call&) {
    return busy.calls.size() <= 3 ? worker_answer{.status = 429, .retry_after = "120"}
                                  : worker_answer{};
  });
  co_await with_worker(busy, [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event&) -> task<> {
      co_await server.put("/v1/queues/q", push_to(url, R"(,"concurrency":1)"));
      co_await server.put("/v1/queues/q", R"({"attempts":1})");
      const std::string id = co_await server.send("q", "x");
      co_await server.get("/v1/messages/" + id + "?wait=5m");
      EXPECT_EQ(co_await server.state(id, "?wait=5m"), "done");
      WEIR_REQUIRE(busy.calls.size() == 4);
      for (std::size_t i = 1; i < 4; ++i) {
        EXPECT_GE(busy.calls[i].at - busy.calls[i - 1].at, 120_s);
        EXPECT_LT(busy.calls[i].at - busy.calls[i - 1].at, 125_s);
        EXPECT_EQ(busy.calls[i].field("Weir-Attempt"), "1");
      }
    });
  });
}

WEIR_TEST("a pause holds at any concurrency, also for messages that come during it") {
  worker busy([&busy](const worker_call&) {
    return busy.calls.size() == 1 ? worker_answer{.status = 503, .retry_after = "120"}
                                  : worker_answer{};
  });
  co_await with_worker(busy, [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event&) -> task<> {
      co_await server.put("/v1/queues/q", push_to(url, R"(,"concurrency":16)"));
      co_await server.send("q", "refused");
      co_await busy.wait_calls(1);
      for (int i = 0; i < 3; ++i) {
        co_await sleep(20_s);
        co_await server.send("q", "in the pause");
      }
      co_await busy.wait_calls(5);
      for (std::size_t i = 1; i < 5; ++i) {
        EXPECT_GE(busy.calls[i].at - busy.calls[0].at, 120_s) << i;
        EXPECT_LT(busy.calls[i].at - busy.calls[0].at, 125_s) << i;
        EXPECT_EQ(busy.calls[i].field("Weir-Attempt"), "1");
      }
    });
  });
}

WEIR_TEST("a busy worker that says at once is not called in a tight loop") {
  worker busy([](const worker_call&) { return worker_answer{.status = 503, .retry_after = "0"}; });
  co_await with_worker(busy, [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event&) -> task<> {
      co_await server.put("/v1/queues/q", push_to(url));
      co_await server.send("q", "x");
      co_await sleep(10_s);
      EXPECT_GE(busy.calls.size(), 2u);
      EXPECT_LE(busy.calls.size(), 4u);
    });
  });
}

WEIR_TEST("a worker that closed its idle connections is called anew, and no attempt is counted") {
  worker works([](const worker_call&) { return worker_answer{.after = 1_s}; });
  const auto push_twice = [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event&) -> task<> {
      co_await server.put("/v1/queues/q", push_to(url, R"(,"concurrency":2)"));
      for (int i = 0; i < 2; ++i) co_await server.send("q", "x");
      co_await works.wait_calls(2);
      co_await sleep(10_s);
      const std::string id = co_await server.send("q", "y");
      const reply done = co_await server.get("/v1/messages/" + id + "?wait=1m");
      EXPECT_EQ(done.text("state"), "done");
      EXPECT_EQ(done.json.at("attempts").to_number<int>(), 1);
    });
  };
  co_await with_worker(works, push_twice, {.keep_alive_timeout = 5_s});
}

WEIR_TEST("a worker that says gone makes a dead letter at once") {
  worker gone([](const worker_call&) { return worker_answer{.status = 410}; });
  co_await with_worker(gone, [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event&) -> task<> {
      co_await server.put("/v1/queues/q", push_to(url));
      const std::string id = co_await server.send("q", "x");
      EXPECT_EQ(co_await server.state(id, "?wait=1m"), "dead");
      EXPECT_EQ(gone.calls.size(), 1u);
    });
  });
}

WEIR_TEST("a worker that does not answer in time has failed") {
  worker slow([](const worker_call&) { return worker_answer{.after = 1_h}; });
  co_await with_worker(slow, [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event&) -> task<> {
      co_await server.put("/v1/queues/q", push_to(url, R"(,"timeout":"45s")"));
      co_await server.put("/v1/queues/q", R"({"attempts":1})");
      const duration begin = elapsed();
      const std::string id = co_await server.send("q", "x");
      const reply dead = co_await server.get("/v1/messages/" + id + "?wait=2m");
      EXPECT_EQ(dead.text("state"), "dead");
      EXPECT_TRUE(dead.text("last_error").starts_with("timed_out")) << dead.text("last_error");
      EXPECT_GE(elapsed() - begin, 45_s);
      EXPECT_LT(elapsed() - begin, 46_s);
    });
  });
}

WEIR_TEST("calls keep to the queue's concurrency and rate") {
  worker steady([](const worker_call&) { return worker_answer{.after = 3_s}; });
  co_await with_worker(steady, [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event&) -> task<> {
      co_await server.put("/v1/queues/q", push_to(url, R"(,"concurrency":2)"));
      for (int i = 0; i < 6; ++i) co_await server.send("q", "x");
      co_await steady.wait_calls(6);
      EXPECT_EQ(steady.most_at_once, 2);
      EXPECT_GE(steady.calls[5].at - steady.calls[0].at, 6_s);
      co_await server.put("/v1/queues/q", R"({"push":{"concurrency":100,"rate":1}})");
      co_await sleep(10_s);
      const std::size_t before = steady.calls.size();
      for (int i = 0; i < 5; ++i) co_await server.send("q", "x");
      co_await steady.wait_calls(before + 5);
      EXPECT_GE(steady.calls[before + 4].at - steady.calls[before].at, 3900_ms);
      EXPECT_LT(steady.calls[before + 4].at - steady.calls[before].at, 5_s);
    });
  });
}

WEIR_TEST("a queue may begin, change and end to push at any time") {
  worker first([](const worker_call&) { return worker_answer{}; });
  worker second([](const worker_call&) { return worker_answer{}; });
  co_await with_worker(first, [&](std::string one) -> task<> {
    co_await with_worker(second, [&](std::string two) -> task<> {
      co_await with_server([&](api& server, event&) -> task<> {
        co_await server.put("/v1/queues/q");
        co_await server.send("q", "a");
        co_await sleep(1_s);
        co_await server.put("/v1/queues/q", push_to(one));
        co_await first.wait_calls(1);
        co_await server.put("/v1/queues/q", push_to(two));
        co_await server.send("q", "b");
        co_await second.wait_calls(1);
        co_await server.put("/v1/queues/q", R"({"push":null})");
        const std::string kept = co_await server.send("q", "c");
        EXPECT_EQ(co_await server.state(kept, "?wait=1m"), "ready");
        co_await server.put("/v1/queues/q", push_to(one));
        co_await first.wait_calls(2);
        co_await server.call("DELETE", "/v1/queues/q");
        co_await server.put("/v1/queues/q", push_to(two));
        co_await server.send("q", "d");
        co_await second.wait_calls(2);
        EXPECT_EQ(first.calls.size(), 2u);
      });
    });
  });
}

WEIR_TEST("a new worker is called at once, however long the one before is to be left alone") {
  // The second answer comes after the change.
  worker busy([&busy](const worker_call&) {
    const duration after = busy.calls.size() == 1 ? 0_s : 5_s;
    return worker_answer{.status = 503, .retry_after = "3600", .after = after};
  });
  worker second([](const worker_call&) { return worker_answer{}; });
  co_await with_worker(busy, [&](std::string one) -> task<> {
    co_await with_worker(second, [&](std::string two) -> task<> {
      co_await with_server([&](api& server, event&) -> task<> {
        for (const std::size_t calls : {1u, 2u}) {
          co_await server.put("/v1/queues/q", push_to(one));
          co_await server.send("q", "x");
          co_await busy.wait_calls(calls);
          co_await sleep(1_s);
          co_await server.put("/v1/queues/q", push_to(two));
          co_await sleep(10_s);
          EXPECT_EQ(second.calls.size(), calls);
          EXPECT_EQ(busy.calls.size(), calls);
        }
      });
    });
  });
}

WEIR_TEST("a queue that takes the name of a deleted one does not wait for the calls of that one") {
  worker hangs([](const worker_call&) { return worker_answer{.after = 1_h}; });
  worker second([](const worker_call&) { return worker_answer{}; });
  co_await with_worker(hangs, [&](std::string one) -> task<> {
    co_await with_worker(second, [&](std::string two) -> task<> {
      co_await with_server([&](api& server, event&) -> task<> {
        co_await server.put("/v1/queues/q", push_to(one, R"(,"timeout":"30m")"));
        co_await server.send("q", "x");
        co_await hangs.wait_calls(1);
        co_await server.call("DELETE", "/v1/queues/q");
        co_await server.put("/v1/queues/q", push_to(two));
        co_await server.send("q", "y");
        co_await sleep(5_s);
        EXPECT_EQ(second.calls.size(), 1u);
      });
    });
  });
}

WEIR_TEST("a drain lets a call on its way end, and its result is kept") {
  worker slow([](const worker_call&) { return worker_answer{.body = "late", .after = 5_s}; });
  std::string id;
  co_await with_worker(slow, [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event& stop) -> task<> {
      co_await server.put("/v1/queues/q", push_to(url));
      id = co_await server.send("q", "x");
      co_await slow.wait_calls(1);
      stop.set();
    });
    co_await with_server([&](api& server, event&) -> task<> {
      EXPECT_EQ((co_await server.get("/v1/messages/" + id)).text("result"), "late");
    });
  });
  EXPECT_EQ(slow.calls.size(), 1u);
}

WEIR_TEST("a drain takes drain_timeout at most, whatever hangs") {
  worker hangs([](const worker_call&) { return worker_answer{.after = 1_h}; });
  duration stopped;
  co_await with_worker(hangs, [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event& stop) -> task<> {
      co_await server.put("/v1/queues/q", push_to(url, R"(,"timeout":"30m")"));
      co_await server.send("q", "x");
      co_await hangs.wait_calls(1);
      stopped = elapsed();
      stop.set();
    });
    EXPECT_GE(elapsed() - stopped, server_config().drain_timeout);
    EXPECT_LT(elapsed() - stopped, server_config().drain_timeout + 100_ms);
  });
}

WEIR_TEST("a drain cuts off a call that takes too long, and it is made again in the next life") {
  worker slow([&slow](const worker_call&) {
    return worker_answer{.after = slow.calls.size() == 1 ? 1_h : 0_s};
  });
  std::string id;
  co_await with_worker(slow, [&](std::string url) -> task<> {
    const duration begin = elapsed();
    co_await with_server([&](api& server, event& stop) -> task<> {
      co_await server.put("/v1/queues/q", push_to(url));
      id = co_await server.send("q", "x");
      co_await slow.wait_calls(1);
      stop.set();
    });
    EXPECT_LT(elapsed() - begin, 15_s);
    co_await with_server([&](api& server, event&) -> task<> {
      EXPECT_EQ(co_await server.state(id, "?wait=5m"), "done");
    });
  });
  EXPECT_EQ(slow.calls.size(), 2u);
}

WEIR_TEST("a reply address hears the result, again and again until it takes it") {
  worker hears([&hears](const worker_call&) {
    return worker_answer{.status = hears.calls.size() < 3 ? 500 : 204};
  });
  co_await with_worker(hears, [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event&) -> task<> {
      co_await server.put("/v1/queues/q", R"({"backoff":{"jitter":0}})");
      const std::string to = url + "/done";
      const std::string id = co_await server.send("q", "x", {{"Weir-Reply-To", to}});
      const auto taken = co_await server.take("q");
      co_await server.post("/v1/leases/" + reply::text_of(taken, "receipt") + "/ack", "yes");
      co_await hears.wait_calls(3);
      EXPECT_GE(hears.calls[1].at - hears.calls[0].at, 1_s);
      EXPECT_GE(hears.calls[2].at - hears.calls[1].at, 2_s);
      const auto heard = boost::json::parse(hears.calls[2].body);
      EXPECT_EQ(hears.calls[2].target, "/done");
      EXPECT_EQ(reply::text_of(heard, "id"), id);
      EXPECT_EQ(reply::text_of(heard, "state"), "done");
      EXPECT_EQ(reply::text_of(heard, "result"), "yes");
      EXPECT_TRUE(heard.at("error").is_null());
      co_await sleep(1_h);
      EXPECT_EQ(hears.calls.size(), 3u);
    });
  });
}

WEIR_TEST("a reply address that is busy is called when it says, and no attempt is counted") {
  worker hears([&hears](const worker_call&) {
    return hears.calls.size() < 6 ? worker_answer{.status = 429, .retry_after = "60"}
                                  : worker_answer{.status = 204};
  });
  co_await with_worker(hears, [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event&) -> task<> {
      co_await server.put("/v1/queues/q", R"({"attempts":2})");
      co_await server.send("q", "x", {{"Weir-Reply-To", url}});
      const auto taken = co_await server.take("q");
      co_await server.post("/v1/leases/" + reply::text_of(taken, "receipt") + "/ack", "yes");
      co_await hears.wait_calls(6);
      for (std::size_t i = 1; i < 6; ++i) {
        EXPECT_GE(hears.calls[i].at - hears.calls[i - 1].at, 60_s);
        EXPECT_LT(hears.calls[i].at - hears.calls[i - 1].at, 65_s);
      }
      co_await sleep(1_h);
      EXPECT_EQ(hears.calls.size(), 6u);
    });
  });
}

task<> reply_to_two(worker* hangs, worker* hears) {
  constexpr std::size_t own = 80;  // more than calls go on at once
  co_await with_worker(*hangs, [&](std::string slow) -> task<> {
    co_await with_worker(*hears, [&](std::string quick) -> task<> {
      co_await with_server([&](api& server, event&) -> task<> {
        co_await server.put("/v1/queues/q", "{}");
        for (std::size_t i = 0; i < own + 1; ++i) {
          // Nobody takes them: each ends with its time to live.
          co_await server.send("q", "x",
                               {{"Weir-Reply-To", i < own ? slow : quick}, {"Weir-Ttl", "1s"}});
        }
        co_await hears->wait_calls(1);
        EXPECT_LE(hears->calls[0].at, 5_s);
        co_await hangs->wait_calls(own);
        EXPECT_EQ(hangs->most_at_once, static_cast<int>(reply_lines::host_calls_max));
        co_await sleep(1_h);
        EXPECT_EQ(hangs->calls.size(), own) << "each is called once";
      });
    });
  });
}

// In order only: there are many calls, and their order is that of reply_lines.
TEST(pusher, a_reply_address_that_hangs_holds_up_its_own_replies_only) {
  virtual_world world;
  worker hangs([](const worker_call&) { return worker_answer{.after = 20_s}; });
  worker hears([](const worker_call&) { return worker_answer{}; });
  EXPECT_EQ(run_outcome_in(world, reply_to_two(&hangs, &hears)).failure, "");
}

WEIR_TEST("a reply that was not delivered survives the end of the server") {
  worker hears([&hears](const worker_call&) {
    return worker_answer{.status = hears.calls.size() < 2 ? 503 : 200, .retry_after = "60"};
  });
  co_await with_worker(hears, [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event&) -> task<> {
      co_await server.put("/v1/queues/q", R"({"attempts":2})");
      co_await server.send("q", "x", {{"Weir-Reply-To", url}});
      for (int i = 0; i < 2; ++i) {
        const auto taken = co_await server.take("q");
        co_await server.post("/v1/leases/" + reply::text_of(taken, "receipt") + "/nack",
                             R"({"error":"no"})");
      }
      co_await hears.wait_calls(1);
    });
    co_await with_server([&](api&, event&) -> task<> { co_await hears.wait_calls(2); });
  });
  EXPECT_GE(hears.calls[1].at - hears.calls[0].at, 60_s);
  const auto heard = boost::json::parse(hears.calls[1].body);
  EXPECT_EQ(reply::text_of(heard, "state"), "dead");
  EXPECT_EQ(reply::text_of(heard, "error"), "no");
  EXPECT_TRUE(heard.at("result").is_null());
}

task<> put_too_late(virtual_world* world, worker* works) {
  co_await with_worker(*works, [&](std::string url) -> task<> {
    co_await with_server([&](api& server, event&) -> task<> {
      world->set_latency(300_ms, 300_ms);  // also of the disk: it is written, but not confirmed
      const reply late = co_await server.call("PUT", "/v1/queues/q", push_to(url),
                                              {{http::time_left_field, "100"}});
      EXPECT_EQ(late.status(), 504);
      world->set_latency({}, {});
      co_await server.send("q", "x");
      co_await sleep(1_s);
      EXPECT_EQ(works->calls.size(), 1u);
    });
  });
}

// In order only: where the request comes in pieces, it is cut off before it is done.
TEST(pusher, a_queue_whose_put_was_done_but_cut_off_at_its_deadline_pushes) {
  virtual_world world;
  worker works([](const worker_call&) { return worker_answer{}; });
  EXPECT_EQ(run_outcome_in(world, put_too_late(&world, &works)).failure, "");
}

/// The test's own calls find no memory either, and are made again.
task<reply> call_until_answered(api* server, std::string_view method, std::string path,
                                std::string_view body, std::vector<http_field> fields) {
  for (;;) {
    try {
      reply got = co_await server->call(method, path, std::string(body), fields);
      if (got.status() < 500) co_return got;
    } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): once more
    } catch (const exception&) {       // NOLINT(bugprone-empty-catch): the server had none
    }
    co_await sleep(1_s);
  }
}

/// Counts what the log says of reply addresses that refused.
void count_refusal(void* context, log::level, std::string_view line) noexcept {
  if (line.starts_with("a reply address did not")) ++*static_cast<std::size_t*>(context);
}

task<> push_and_reply(worker* works, worker* hears, std::string_view body, std::size_t* done) {
  co_await with_worker(*works, [&](std::string work) -> task<> {
    co_await with_worker(*hears, [&](std::string hear) -> task<> {
      co_await with_server([&](api& server, event&) -> task<> {
        const std::string settings = push_to(work, R"(,"concurrency":4)");
        co_await call_until_answered(&server, "PUT", "/v1/queues/q", settings, {});
        co_await call_until_answered(&server, "PUT", "/v1/queues/q", R"({"attempts":1})", {});
        std::vector<std::string> ids;
        for (int i = 0; i < 3; ++i) {
          const reply sent = co_await call_until_answered(&server, "POST", "/v1/queues/q/messages",
                                                          body, {{"Weir-Reply-To", hear}});
          ids.push_back(sent.text("id"));
        }
        for (const std::string& id : ids) {
          const reply ended = co_await call_until_answered(
              &server, "GET", "/v1/messages/" + id + "?wait=1m", {}, {});
          const bool is_done = ended.text("state") == "done";
          // One request fails, ours or the worker's: then it answers so.
          EXPECT_TRUE(is_done || ended.text("last_error").starts_with("answered 500"))
              << "an attempt was counted: " << ended.response.body;
          if (is_done) ++*done;
        }
        co_await sleep(1_min);
      });
    });
  });
}

// Each large request of a life in turn: the server goes on, and what it was about to do is done.
TEST(PusherWithoutMemory, calls_and_replies_go_on_whichever_large_request_fails) {
  const std::string body(6'000, 'x');
  std::uint64_t struck = 0;
  std::size_t refused = 0;
  log::set_level(log::level::info);
  const log::sink before = log::set_sink({.write = &count_refusal, .context = &refused});
  for (std::uint64_t nth = 1;; ++nth) {
    virtual_world world;
    memory_watch memory(world);
    worker works([](const worker_call&) { return worker_answer{.body = std::string(6'000, 'y')}; });
    worker hears([](const worker_call&) { return worker_answer{.status = 204}; });
    std::size_t done = 0;
    refused = 0;
    memory.fail_large(nth);
    const virtual_outcome outcome =
        run_outcome_in(world, push_and_reply(&works, &hears, body, &done));
    if (memory.refused() == 0) break;
    if (works.calls.empty() && outcome.is_failed) continue;  // it could not even start
    EXPECT_EQ(outcome.failure, "") << nth;
    EXPECT_GE(done, 2u) << nth;
    EXPECT_GE(hears.calls.size() + refused, 3u) << "a reply is lost: " << nth;
    ++struck;
  }
  log::set_sink(before);
  EXPECT_GT(struck, 10u);
}

}  // namespace
}  // namespace weir::pusher_test
