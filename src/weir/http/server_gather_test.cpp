// Answers to requests that came together: they leave together, and none waits for a later one.
#include <weir/http/talk_test.hpp>

#include <stdexcept>
#include <string>

namespace weir::http::server_gather_test {
namespace {

using namespace testing;
using weir::testing::elapsed;
using weir::testing::run_outcome;
using weir::testing::run_virtual;
using weir::testing::virtual_outcome;
using weir::testing::world;

constexpr int burst_requests = 40;

std::string get(std::string_view path) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: x\r\n\r\n";
}

std::string burst() {
  std::string all;
  for (int i = 0; i < burst_requests; ++i) all += get("/" + std::to_string(i));
  return all;
}

task<> echo_path(request& asked, response& answered) {
  co_await answered.send(200, "text/plain", asked.path());
}

task<> hear_burst(talker& client) {
  for (int i = 0; i < burst_requests; ++i) {
    EXPECT_EQ((co_await client.hear()).body, "/" + std::to_string(i));
  }
}

// In a world where transfers are whole, so that the number of sends is ours alone.
TEST(gathered_answers, leave_in_one_send_for_all_that_came_together) {
  run_virtual([]() -> task<> {
    co_await with_server({}, echo_path, [](server&, address at) -> task<> {
      talker client = co_await talker::to(at);
      const std::uint64_t before = world().count_of(io_op::send);
      co_await client.say(burst());
      co_await hear_burst(client);
      EXPECT_EQ(world().count_of(io_op::send) - before, 2u);
    });
  }());
}

TEST(gathered_answers, leave_when_they_are_many_bytes) {
  run_virtual([]() -> task<> {
    const auto large = [](request&, response& answered) -> task<> {
      co_await answered.send(200, "text/plain", std::string(4'000, 'x'));
    };
    co_await with_server({}, large, [](server&, address at) -> task<> {
      talker client = co_await talker::to(at);
      const std::uint64_t before = world().count_of(io_op::send);
      co_await client.say(burst());
      for (int i = 0; i < burst_requests; ++i) {
        EXPECT_EQ((co_await client.hear()).body.size(), 4'000u);
      }
      const std::uint64_t sends = world().count_of(io_op::send) - before;
      EXPECT_GT(sends, burst_requests / 4u) << "more than a few answers of 4 KB were held";
      EXPECT_LT(sends, burst_requests * 3 / 4u);
    });
  }());
}

WEIR_TEST("an answer does not wait for the handler of the next request") {
  const auto late = [](request& asked, response& answered) -> task<> {
    if (asked.path() == "/late") co_await sleep(1_h);
    co_await echo_path(asked, answered);
  };
  co_await with_server({}, late, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say(get("/a") + get("/b") + get("/late") + get("/c"));
    EXPECT_EQ((co_await client.hear()).body, "/a");
    EXPECT_EQ((co_await client.hear()).body, "/b");
    EXPECT_LT(elapsed(), 1_min);
    EXPECT_EQ((co_await client.hear()).body, "/late");
    EXPECT_EQ((co_await client.hear()).body, "/c");
  });
}

WEIR_TEST("an answer does not wait for the body of the next request") {
  const auto echo_body = [](request& asked, response& answered) -> task<> {
    co_await answered.send(200, "text/plain", co_await asked.read_all(100));
  };
  co_await with_server({}, echo_body, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    const std::string post = "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n";
    co_await client.say(get("/") + post + "\r\nbo");
    EXPECT_EQ((co_await client.hear()).body, "");
    EXPECT_LT(elapsed(), 1_s);
    co_await client.say("dy" + get("/") + post + "Expect: 100-continue\r\n\r\n");
    EXPECT_EQ((co_await client.hear()).body, "body");
    EXPECT_EQ((co_await client.hear()).body, "");
    EXPECT_EQ(co_await client.receive_until("\r\n\r\n"), "HTTP/1.1 100 Continue\r\n\r\n");
    co_await client.say("last");
    EXPECT_EQ((co_await client.hear()).body, "last");
    EXPECT_LT(elapsed(), 1_s);
  });
}

WEIR_TEST("answers that are held leave before a stream, a failure and the end") {
  const auto many = [](request& asked, response& answered) -> task<> {
    if (asked.path() == "/stream") {
      body_writer body = co_await answered.begin(200, "text/plain");
      co_await body.write("piece ");
      co_await body.write("by piece");
    } else if (asked.path() == "/end") {
      answered.close_after();
      co_await answered.send(204);
    } else {
      co_await echo_path(asked, answered);
    }
  };
  co_await with_server({}, many, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say(get("/a") + get("/stream") + get("/b") + get("/end") + get("/never"));
    EXPECT_EQ((co_await client.hear()).body, "/a");
    EXPECT_EQ((co_await client.hear()).body, "piece by piece");
    EXPECT_EQ((co_await client.hear()).body, "/b");
    EXPECT_TRUE((co_await client.hear()).closes());
    EXPECT_EQ(co_await client.rest(), "");
    talker broken = co_await talker::to(at);
    co_await broken.say(get("/a") + get("/b") + "nonsense\r\n\r\n");
    EXPECT_EQ((co_await broken.hear()).body, "/a");
    EXPECT_EQ((co_await broken.hear()).body, "/b");
    EXPECT_EQ((co_await broken.hear()).status, 400);
  });
}

// Its answers were complete when a later handler failed, whatever that one had begun.
TEST(gathered_answers, leave_before_the_connection_is_cut_off_by_a_failing_handler) {
  for (const char* path : {"/none", "/begun", "/done"}) {
    SCOPED_TRACE(path);
    const virtual_outcome outcome = run_outcome([](std::string_view last) -> task<> {
      const auto failing = [](request& asked, response& answered) -> task<> {
        if (asked.path() == "/begun") {
          co_await answered.begin(200, "text/plain");
          throw std::runtime_error("on purpose");
        }
        if (asked.path() != "/none") co_await echo_path(asked, answered);
        if (asked.path().size() > 2) throw std::runtime_error("on purpose");
      };
      co_await with_server({}, failing, [last](server&, address at) -> task<> {
        talker client = co_await talker::to(at);
        co_await client.say(get("/a") + get("/b") + get(last) + get("/never"));
        EXPECT_EQ((co_await client.hear()).body, "/a");
        EXPECT_EQ((co_await client.hear()).body, "/b");
        if (last == "/none") EXPECT_EQ((co_await client.hear()).status, 500);
        if (last == "/done") EXPECT_EQ((co_await client.hear()).body, "/done");
        EXPECT_EQ(co_await client.rest(), "");
      });
    }(path));
    EXPECT_FALSE(outcome.is_failed) << outcome.failure;
    EXPECT_EQ(outcome.reports.size(), 1u);
  }
}

WEIR_TEST("a client that sends requests and reads no answers gets only so many") {
  server_limits limits;
  limits.write_timeout = 10_s;
  co_await with_server(limits, echo_path, [](server& serves, address at) -> task<> {
    talker client = co_await talker::to(at);
    std::string much;
    while (much.size() < 1'000'000) much += get("/path");
    co_await with_scope({.timeout = 5_s},
                        [&](scope&) -> task<> { co_await client.connection().send(much); });
    EXPECT_LT(serves.stats().requests, 2'000u) << "what nobody reads was gathered without end";
    co_await sleep(20_s);
    EXPECT_EQ(serves.stats().clients_gone, 1u);
    EXPECT_EQ(serves.stats().connections_live, 0u);
    client.connection().reset();
  });
}

}  // namespace
}  // namespace weir::http::server_gather_test
