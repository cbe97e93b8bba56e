// What a server does for clients that break rules and limits, and when its own handler fails.
#include <weir/http/server.hpp>

#include <weir/core/unhandled.hpp>
#include <weir/flow/event.hpp>
#include <weir/http/talk_test.hpp>

#include <gtest/gtest.h>

#include <cerrno>
#include <string>
#include <tuple>
#include <vector>

namespace weir::http::server_fault_test {
namespace {

using namespace weir::http::testing;

task<> echo(request& asked, response& answered) {
  co_await answered.send(200, "text/plain", co_await asked.read_all(1 << 20));
}

server_limits narrow() {
  server_limits limits;
  limits.message.method_bytes_max = 8;
  limits.message.target_bytes_max = 40;
  limits.message.field_line_bytes_max = 60;
  limits.message.fields_max = 4;
  limits.message.head_bytes_max = 200;
  limits.message.body_bytes_max = 16;
  limits.message.chunk_extension_bytes_max = 8;
  limits.message.trailer_bytes_max = 16;
  return limits;
}

struct bad_request {
  std::string text;
  int status;
  std::string code;
};

std::vector<bad_request> bad_requests() {
  const std::string start = "POST / HTTP/1.1\r\nHost: x\r\n";
  const std::string chunked = start + "Transfer-Encoding: chunked\r\n\r\n";
  return {
      {"\x16\x03\x01\x02", 400, "bad_request_line"},
      {"GET /\r\n\r\n", 400, "bad_request_line"},
      {"GET / HTTP/2.0\r\n\r\n", 505, "unknown_version"},
      {"METHODMETHOD / HTTP/1.1\r\n\r\n", 501, "method_too_long"},
      {"GET /" + std::string(50, 'a') + " HTTP/1.1\r\n\r\n", 414, "target_too_long"},
      {"GET / HTTP/1.1\r\n\r\n", 400, "bad_host"},
      {"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "bad_host"},
      {"GET / HTTP/1.1\nHost: x\n\n", 400, ""},
      {"GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n", 400, ""},
      {"GET / HTTP/1.1\r\nHost : x\r\n\r\n", 400, ""},
      {start + "X: " + std::string(80, 'a') + "\r\n\r\n", 431, ""},
      {start + "A: 1\r\nB: 2\r\nC: 3\r\nD: 4\r\n\r\n", 431, ""},
      {start + "Content-Length: 17\r\n\r\n", 413, "body_too_large"},
      {start + "Content-Length: 3\r\nContent-Length: 3\r\n\r\n", 400, ""},
      {start + "Content-Length: +3\r\n\r\n", 400, ""},
      {start + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400, ""},
      {start + "Transfer-Encoding: gzip, chunked\r\n\r\n", 501, ""},
      {start + "Transfer-Encoding: chunked, chunked\r\n\r\n", 400, ""},
      {start + "Expect: a miracle\r\n\r\n", 417, "unknown_expectation"},
      {"CONNECT x:80 HTTP/1.1\r\nHost: x:80\r\n\r\n", 501, "no_tunnel"},
      {chunked + "x\r\n", 400, "bad_chunk_size"},
      {chunked + "3\r\nabcd\r\n", 400, "bad_chunk_end"},
      {chunked + "11\r\n", 413, "body_too_large"},
      {chunked + "8\r\n12345678\r\n9\r\n", 413, "body_too_large"},
      {chunked + "3;abcdefghijkl\r\n", 400, ""},
      {chunked + "0\r\nT: " + std::string(20, 'a') + "\r\n\r\n", 431, ""},
  };
}

// Each is answered with its status and a problem document, and the connection ends in order.
task<> expect_refused(address at, const bad_request& one, bool is_slow) {
  SCOPED_TRACE(one.text);
  talker client = co_await talker::to(at);
  const result<void> said =
      co_await as_result(is_slow ? client.say_slowly(one.text, 1_us) : client.say(one.text));
  const heard_answer got = co_await client.hear();
  EXPECT_EQ(got.status, one.status);
  EXPECT_TRUE(got.has("Content-Type: application/problem+json\r\n")) << got.head;
  EXPECT_TRUE(got.closes());
  if (!one.code.empty()) {
    EXPECT_EQ(got.code(), one.code);
  }
  EXPECT_FALSE(got.code().empty());
  EXPECT_EQ(co_await client.rest(), "");
  EXPECT_FALSE(client.was_reset());
}

WEIR_TEST("every malformed request gets its status, a problem document and the end") {
  co_await with_server(narrow(), echo, [](server& serves, address at) -> task<> {
    const std::vector<bad_request> all = bad_requests();
    for (const bad_request& one : all) co_await expect_refused(at, one, false);
    EXPECT_EQ(serves.stats().faults, all.size());
    EXPECT_EQ(serves.stats().handler_failures, 0u);
  });
}

WEIR_TEST("malformed requests are refused alike when they come byte by byte") {
  co_await with_server(narrow(), echo, [](server&, address at) -> task<> {
    for (const bad_request& one : bad_requests()) co_await expect_refused(at, one, true);
  });
}

WEIR_TEST("nothing behind a request that could be read in two ways is taken for a request") {
  const std::string hidden = "GET /hidden HTTP/1.1\r\nHost: x\r\n\r\n";
  const std::string starts[] = {
      "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0",
      "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nContent-Length: 33\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\n\n",
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
      "POST / HTTP/1.0\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "GET / HTTP/1.1\r\nHost: x\r\nX: a\rb\r\n\r\n",
  };
  std::vector<std::string> seen;
  const auto notes = [&](request& asked, response& answered) -> task<> {
    seen.emplace_back(asked.path());
    co_await answered.send(200, {}, co_await asked.read_all(100));
  };
  co_await with_server({}, notes, [&](server&, address at) -> task<> {
    for (const std::string& start : starts) {
      SCOPED_TRACE(start);
      talker client = co_await talker::to(at);
      co_await client.say(start + hidden);
      const heard_answer got = co_await client.hear();
      EXPECT_GE(got.status, 400);
      EXPECT_TRUE(got.closes());
      EXPECT_EQ(co_await client.rest(), "");
    }
    for (const std::string& path : seen) EXPECT_EQ(path, "/");
  });
}

WEIR_TEST("good requests before a bad one are answered first") {
  co_await with_server({}, echo, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say(
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\none"
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\ntwo"
        "PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nbad");
    EXPECT_EQ((co_await client.hear()).body, "one");
    EXPECT_EQ((co_await client.hear()).body, "two");
    EXPECT_EQ((co_await client.hear()).status, 400);
    EXPECT_EQ((co_await client.hear()).status, 0);
  });
}

WEIR_TEST("a client that stops inside a request hears 400 when it still listens") {
  co_await with_server({}, echo, [](server&, address at) -> task<> {
    for (const char* text : {"GET / HT", "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nab",
                             "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5"}) {
      SCOPED_TRACE(text);
      talker client = co_await talker::to(at);
      co_await client.say(text);
      co_await client.connection().shutdown_send();
      EXPECT_EQ((co_await client.hear()).status, 400);
    }
  });
}

WEIR_TEST("a client that only ends its sending half still gets its answer") {
  const auto slow = [](request&, response& answered) -> task<> {
    co_await sleep(1_s);
    co_await answered.send(200, {}, "patience");
  };
  co_await with_server({}, slow, [](server&, address at) -> task<> {
    talker client = co_await talker::to(at);
    co_await client.say("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    co_await client.connection().shutdown_send();
    EXPECT_EQ((co_await client.hear()).body, "patience");
  });
}

WEIR_TEST("bodies that together are over the server's memory for them are answered 503") {
  static event is_enough;
  is_enough.reset();
  const auto keep = [](request& asked, response& answered) -> task<> {
    const std::string body = co_await asked.read_all(1 << 20);
    if (asked.path() == "/wait") co_await is_enough.wait();
    co_await answered.send(200, {}, body);
  };
  const auto put = [](std::string_view path, std::size_t size) {
    return "PUT " + std::string(path) +
           " HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n" +
           std::string(size, 'x');
  };
  co_await with_server(
      {.bodies_bytes_max = 100'000}, keep, [&](server& serves, address at) -> task<> {
        talker first = co_await talker::to(at);
        talker announces = co_await talker::to(at);
        talker second = co_await talker::to(at);
        co_await first.say(put("/wait", 60'000));
        // What is only announced takes nothing from others.
        co_await announces.say("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n");
        for (int i = 0; i < 1000 && serves.stats().bodies_bytes < 59'000; ++i) co_await sleep(1_ms);
        EXPECT_LE(serves.stats().bodies_bytes, 60'015u);
        const heard_answer refused = co_await second.ask(put("/", 50'000));
        EXPECT_EQ(refused.status, 503);
        EXPECT_EQ(refused.code(), "busy");
        EXPECT_TRUE(refused.has("\r\nRetry-After: 5\r\n"));
        EXPECT_EQ(serves.stats().bodies_refused, 1u);
        EXPECT_EQ(serves.stats().handler_failures, 0u);
        talker small = co_await talker::to(at);
        EXPECT_EQ((co_await small.ask(put("/", 30'000))).status, 200);
        is_enough.set();
        EXPECT_EQ((co_await first.hear()).body.size(), 60'000u);
        // The last byte of an answer may be heard before the server has put its request away.
        while (serves.stats().bodies_bytes != 0) co_await sleep(1_ms);
        EXPECT_EQ((co_await first.ask(put("/", 90'000))).status, 200);
      });
}

WEIR_TEST("read_all refuses more than it was told to take") {
  const auto small = [](request& asked, response& answered) -> task<> {
    co_await answered.send(200, {}, co_await asked.read_all(3));
  };
  co_await with_server({}, small, [](server& serves, address at) -> task<> {
    talker fits = co_await talker::to(at);
    EXPECT_EQ((co_await fits.ask("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\nabc")).body,
              "abc");
    for (const char* text : {"PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nabcd",
                             "PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: "
                             "chunked\r\n\r\n4\r\nabcd\r\n0\r\n\r\n"}) {
      talker client = co_await talker::to(at);
      const heard_answer got = co_await client.ask(text);
      EXPECT_EQ(got.status, 413);
      EXPECT_EQ(got.code(), "body_too_large");
    }
    EXPECT_EQ(serves.stats().handler_failures, 0u);
  });
}

// Asks in four ways, and takes whatever comes.
task<> ask_for_all(address at) {
  talker client = co_await talker::to(at);
  for (const char* text :
       {"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        "PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n", "abc",
        "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"}) {
    if (!co_await as_result(client.say(text))) break;
    co_await sleep(1_s);
  }
  std::ignore = co_await as_result(client.connection().shutdown_send());
  co_await client.rest();
}

task<> echo_or_stream(request& asked, response& answered) {
  if (asked.path() != "/stream") co_return co_await echo(asked, answered);
  body_writer body = co_await answered.begin(200, "text/plain");
  co_await body.write("one");
  co_await body.write("two");
}

// The first, second, ... n-th operation of a kind breaks, at either end, until nothing is left to
// break. The server hears of each, reports none, and serves the next client.
TEST(server_faults, of_the_network_end_a_connection_and_nothing_else) {
  for (const io_op op : {io_op::accept, io_op::receive, io_op::send, io_op::shutdown}) {
    std::uint64_t nth = 1;
    for (bool has_struck = true; has_struck; ++nth) {
      SCOPED_TRACE(::testing::Message() << "operation " << static_cast<int>(op) << ", " << nth);
      weir::testing::run_virtual([](io_op broken, std::uint64_t at, bool* struck) -> task<> {
        co_await with_server({}, echo_or_stream, [&](server& serves, address where) -> task<> {
          weir::testing::world().add_fault({.op = broken, .nth = at, .code = ECONNRESET});
          std::ignore = co_await as_result(ask_for_all(where));
          *struck = weir::testing::world().faults_struck() != 0;
          if (!*struck) co_return;
          talker next = co_await talker::to(where);
          EXPECT_EQ((co_await next.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n")).status, 200);
          EXPECT_EQ(serves.stats().handler_failures, 0u);
        });
      }(op, nth, &has_struck));
      ASSERT_LT(nth, 100u) << "the faults never end";
    }
    EXPECT_GT(nth, 2u) << "nothing was broken";
  }
}

WEIR_TEST("a body that fails inside a scope of the handler is its client's fault all the same") {
  const auto reads = [](request& asked, response& answered) -> task<> {
    std::string body;
    co_await with_scope([&](scope&) -> task<> { body = co_await asked.read_all(100); });
    co_await answered.send(200, {}, body);
  };
  co_await with_server({}, reads, [](server& serves, address at) -> task<> {
    talker wrong = co_await talker::to(at);
    const heard_answer got =
        co_await wrong.ask("PUT / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n");
    EXPECT_EQ(got.status, 400);
    talker gone = co_await talker::to(at);
    co_await gone.say("PUT / HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nab");
    gone.connection().reset();
    co_await sleep(1_s);
    EXPECT_EQ(serves.stats().handler_failures, 0u);
    EXPECT_EQ(serves.stats().clients_gone, 1u);
  });
}

// ---- handlers that fail ----

// Runs a body whose scopes may report errors, and gives the reports.
std::vector<std::string> reports_of(task<> body) {
  weir::testing::virtual_outcome outcome = weir::testing::run_outcome(std::move(body));
  EXPECT_FALSE(outcome.is_failed) << outcome.failure;
  return outcome.reports;
}

task<> throws_at_once(request&, response&) {
  raise(error(errc::io, "the disk is on fire"));
  co_return;
}
task<> throws_in_stream(request&, response& answered) {
  body_writer body = co_await answered.begin(200, "text/plain");
  co_await body.write("half a tr");
  raise(error(errc::io, "the disk is on fire"));
}
task<> throws_after_answer(request&, response& answered) {
  co_await answered.send(200, "text/plain", "fine");
  raise(error(errc::io, "the disk is on fire"));
}
task<> forgets(request&, response&) { co_return; }

template <class Check>
task<> asked_once(handler what, Check check) {
  co_await with_server({}, what, [&](server& serves, address at) -> task<> {
    talker client = co_await talker::to(at);
    const heard_answer got = co_await client.ask("GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    co_await client.rest();
    check(got, client);
    EXPECT_EQ(serves.stats().handler_failures, 1u);
    talker next = co_await talker::to(at);  // the server goes on
    EXPECT_EQ((co_await next.ask("GET / HTTP/1.1\r\n\r\n")).status, 400);
  });
}

TEST(handler_failure, becomes_500_and_is_reported_with_its_text) {
  const auto reports = reports_of(asked_once(throws_at_once, [](const heard_answer& got, talker&) {
    EXPECT_EQ(got.status, 500);
    EXPECT_EQ(got.code(), "internal");
    EXPECT_EQ(got.body.find("fire"), std::string::npos) << "no internals for strangers";
    EXPECT_TRUE(got.closes());
  }));
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_NE(reports[0].find("the disk is on fire"), std::string::npos) << reports[0];
  EXPECT_NE(reports[0].find("throws_at_once"), std::string::npos) << reports[0];
}

TEST(handler_failure, in_a_stream_breaks_the_stream) {
  const auto reports =
      reports_of(asked_once(throws_in_stream, [](const heard_answer& got, const talker& client) {
        EXPECT_EQ(got.status, 200);
        EXPECT_FALSE(got.is_whole);
        EXPECT_TRUE(client.was_reset());
      }));
  EXPECT_EQ(reports.size(), 1u);
}

TEST(handler_failure, after_the_answer_leaves_the_answer_alone) {
  const auto reports =
      reports_of(asked_once(throws_after_answer, [](const heard_answer& got, const talker& client) {
        EXPECT_EQ(got.body, "fine");
        EXPECT_FALSE(client.was_reset());
      }));
  EXPECT_EQ(reports.size(), 1u);
}

TEST(handler_failure, to_answer_at_all_is_a_failure) {
  const auto reports = reports_of(
      asked_once(forgets, [](const heard_answer& got, talker&) { EXPECT_EQ(got.status, 500); }));
  ASSERT_EQ(reports.size(), 1u);
  EXPECT_NE(reports[0].find("without an answer"), std::string::npos) << reports[0];
}

}  // namespace
}  // namespace weir::http::server_fault_test
