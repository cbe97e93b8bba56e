#include <weir/serve/routes.hpp>

#include <gtest/gtest.h>

#include <set>

namespace weir::routes_test {
namespace {

struct row {
  std::string_view method;
  std::string_view path;
  endpoint to;
  std::string_view argument;
};

constexpr row table[] = {
    {"GET", "/v1/queues", endpoint::list_queues, ""},
    {"GET", "/v1/queues/q", endpoint::get_queue, "q"},
    {"PUT", "/v1/queues/a.b-c_D", endpoint::put_queue, "a.b-c_D"},
    {"DELETE", "/v1/queues/q", endpoint::delete_queue, "q"},
    {"POST", "/v1/queues/q/messages", endpoint::submit, "q"},
    {"POST", "/v1/queues/q/messages:batch", endpoint::submit_batch, "q"},
    {"GET", "/v1/queues/q/events", endpoint::queue_events, "q"},
    {"POST", "/v1/queues/q/leases", endpoint::lease, "q"},
    {"POST", "/v1/queues/q/redrive", endpoint::redrive, "q"},
    {"GET", "/v1/messages/m", endpoint::get_message, "m"},
    {"GET", "/v1/messages/m/events", endpoint::message_events, "m"},
    {"POST", "/v1/leases/r/ack", endpoint::ack, "r"},
    {"POST", "/v1/leases:ack", endpoint::ack_batch, ""},
    {"POST", "/v1/leases/r/nack", endpoint::nack, "r"},
    {"POST", "/v1/leases/r/extend", endpoint::extend, "r"},
    {"GET", "/healthz", endpoint::healthz, ""},
    {"GET", "/readyz", endpoint::readyz, ""},
    {"GET", "/metrics", endpoint::metrics, ""},
};

TEST(routes, each_method_and_path_names_its_endpoint) {
  std::set<endpoint> seen;
  for (const row& one : table) {
    const answer<route> found = find_route(one.method, one.path);
    ASSERT_TRUE(found) << one.path;
    EXPECT_EQ(*found, (route{one.to, one.argument})) << one.path;
    seen.insert(one.to);
  }
  EXPECT_EQ(seen.size(), endpoints);
}

TEST(routes, endpoints_have_distinct_names) {
  std::set<std::string_view> names;
  for (const row& one : table) names.insert(name(one.to));
  EXPECT_EQ(names.size(), endpoints);
  EXPECT_EQ(name(endpoint::submit_batch), "submit_batch");
}

TEST(routes, head_goes_where_get_goes) {
  EXPECT_EQ(find_route("HEAD", "/v1/queues/q"), (route{endpoint::get_queue, "q"}));
}

TEST(routes, paths_that_are_none_are_not_found) {
  for (const char* path :
       {"", "/", "*", "/v1", "/v1/", "/v2/queues", "/v1/queues/", "/v1/queues/q/", "/v1/queues//",
        "/v1/queues//messages", "/v1/queues/a/b/messages", "/v1/queues/q/messages:bulk",
        "/v1/messages", "/v1/leases/r", "/v1/leases//ack", "/healthz/", "/Healthz",
        "/v1/queuesq"}) {
    const answer<route> found = find_route("GET", path);
    ASSERT_FALSE(found) << path;
    EXPECT_EQ(found.error().status, 404) << path;
    EXPECT_EQ(found.error().code, "no_such_path");
  }
}

TEST(routes, a_wrong_method_is_refused_with_the_methods_that_exist) {
  const struct {
    std::string_view method;
    std::string_view path;
    std::string_view allow;
  } wrong[] = {{"POST", "/v1/queues", "GET, HEAD"},
               {"PATCH", "/v1/queues/q", "GET, HEAD, PUT, DELETE"},
               {"GET", "/v1/queues/q/messages", "POST"},
               {"HEAD", "/v1/leases/r/ack", "POST"},
               {"get", "/healthz", "GET, HEAD"}};
  for (const auto& one : wrong) {
    const answer<route> found = find_route(one.method, one.path);
    ASSERT_FALSE(found) << one.path;
    EXPECT_EQ(found.error().status, 405);
    EXPECT_EQ(found.error().code, "method_not_allowed");
    EXPECT_EQ(found.error().allow, one.allow);
  }
}

TEST(routes, a_long_path_is_cut_in_the_answer) {
  const answer<route> found = find_route("GET", "/" + std::string(5000, 'x'));
  ASSERT_FALSE(found);
  EXPECT_LT(found.error().detail.size(), 300u);
}

}  // namespace
}  // namespace weir::routes_test
