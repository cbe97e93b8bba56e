// What watches the server, in virtual time.
#include <weir/serve/service.hpp>

#include <weir/serve/served_test.hpp>

namespace weir::service_health_test {
namespace {

using namespace weir::testing;

WEIR_TEST("the age of a queue's oldest message is never negative, whatever is done to the clock") {
  co_await with_server([](api& server, event&) -> task<> {
    co_await server.put("/v1/queues/q");
    co_await server.send("q", "x");
    world().clock().step_wall(-1_h);
    const reply metrics = co_await server.get("/metrics");
    EXPECT_NE(metrics.response.body.find("\nweir_queue_oldest_age_seconds{queue=\"q\"} 0\n"),
              std::string::npos);
    EXPECT_EQ((co_await server.get("/v1/queues/q")).text("oldest_age"), "0s");
  });
}

}  // namespace
}  // namespace weir::service_health_test
