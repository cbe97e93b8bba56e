// Memory that fails under the server: each allocation of a talk in turn. It costs one request, or
// its connection; the server serves the next.
#include <weir/core/error_group.hpp>
#include <weir/http/client.hpp>
#include <weir/http/talk_test.hpp>
#include <weir/testing/allocation_points.hpp>

#include <gtest/gtest.h>

#include <new>
#include <string>

namespace weir::http::server_bad_alloc_test {
namespace {

using namespace weir::http::testing;

task<> echo(request& asked, response& answered) {
  const std::string body = co_await asked.read_all(1 << 20);
  co_await answered.send(200, "text/plain", std::string(asked.path()) + body);
}

// Two requests; true when both were answered well.
task<bool> talk(address at) {
  talker client = co_await talker::to(at);
  for (int i = 0; i < 2; ++i) {
    const heard_answer got = co_await client.ask(
        "POST /longer-than-a-short-string HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    if (got.status != 200) {
      EXPECT_TRUE(got.status == 0 || got.status == 500) << got.status;  // 0: the connection ended
      co_return false;
    }
    EXPECT_EQ(got.body, "/longer-than-a-short-stringbody");
  }
  co_return true;
}

// As with_server(), and watches: once it has accepted somebody, a server serves until it is
// drained.
template <class Answer, class Body>
task<> with_lasting_server(server_limits limits, Answer answer, Body body) {
  server one(answer, limits);
  listener door = co_await listen({});
  const address at = door.local();
  co_await with_scope([&](scope& s) -> task<> {
    s.spawn([&]() -> task<> {
      try {
        co_await one.run(std::move(door));
      } catch (const std::exception& e) {
        EXPECT_EQ(one.stats().connections_accepted, 0u) << "the server has ended: " << e.what();
        throw;
      }
    });
    co_await body(one, at);
    one.drain();
  });
}

TEST(ServerWithoutMemory, costs_a_request_or_its_connection_and_no_more) {
  weir::testing::for_each_allocation([]() -> task<> {
    co_await with_lasting_server({}, echo, [](server& serves, address at) -> task<> {
      int failed = 0;
      for (int i = 0; i < 3; ++i) {
        try {
          failed += co_await talk(at) ? 0 : 1;
        } catch (const exception&) {  // a reset on the way
          ++failed;
        } catch (const std::bad_alloc&) {  // the client's
          ++failed;
        }
      }
      // A server that had no memory to begin with serves nobody: its scope ends with that.
      if (serves.stats().connections_accepted == 0) co_return;
      EXPECT_LE(failed, 1) << "one allocation failed";
    });
  });
}

// Who waits for a place hears of it, although the one before could not take it.
TEST(ClientWithoutMemory, hands_on_the_place_that_it_can_not_take) {
  weir::testing::for_each_allocation([]() -> task<> {
    const auto closes = [](request&, response& answered) -> task<> {
      answered.close_after();
      co_await sleep(1_s);
      co_await answered.send(204);
    };
    co_await with_server({}, closes, [](server&, address at) -> task<> {
      client asks({.connections_per_host_max = 1});
      const std::string url = "http://" + at.text() + "/";
      co_await with_scope([&](scope& s) -> task<> {
        for (int i = 0; i < 3; ++i) {
          s.spawn([&]() -> task<> {
            try {
              co_await asks.get(url);
            } catch (const exception& e) {
              EXPECT_NE(e.reason().code(), errc::timed_out) << "nobody woke it";
            } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): the client's own
            }
          });
          co_await sleep(1_ms);
        }
        co_await s.join();
      });
    });
  });
}

// Also while a large body is sent and the answer is listened for beside it.
TEST(ClientWithoutMemory, says_so_and_not_in_a_group) {
  weir::testing::for_each_allocation([]() -> task<> {
    co_await with_server({}, echo, [](server&, address at) -> task<> {
      try {
        client asks;
        const std::string body(10'000, 'x');
        co_await asks.send({.method = "PUT", .url = "http://" + at.text() + "/", .body = body});
      } catch (const error_group& e) {
        ADD_FAILURE() << e.what();
      } catch (const exception&) {       // NOLINT(bugprone-empty-catch): the server had none
      } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): the client had none
      }
    });
  });
}

}  // namespace
}  // namespace weir::http::server_bad_alloc_test
