// Memory that fails under the server: each allocation of a talk in turn. It costs one request, or
// its connection; the server serves the next.
#include <weir/core/error_group.hpp>
#include <weir/http/client.hpp>
#include <weir/http/talk_test.hpp>
#include <weir/testing/allocation_points.hpp>

#include <gtest/gtest.h>

#include <new>
#include <string>

namespace weir::http {
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
    const answer got = co_await client.ask(
        "POST /longer-than-a-short-string HTTP/1.1\r\nHost: x\r\nContent-Length: 4\r\n\r\nbody");
    if (got.status != 200) {
      EXPECT_TRUE(got.status == 0 || got.status == 500) << got.status;  // 0: the connection ended
      co_return false;
    }
    EXPECT_EQ(got.body, "/longer-than-a-short-stringbody");
  }
  co_return true;
}

TEST(ServerWithoutMemory, costs_a_request_or_its_connection_and_no_more) {
  weir::testing::for_each_allocation([]() -> task<> {
    co_await with_server({}, echo, [](server& serves, address at) -> task<> {
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
      } catch (const exception&) {  // the server had none
      } catch (const std::bad_alloc&) {
      }
    });
  });
}

}  // namespace
}  // namespace weir::http
