// Services against a name server in a thread, and the order in which to try their targets.
// Needs the kernel: c-ares has sockets of its own.
#include <weir/io/resolve_service.hpp>

#include <weir/io/contract_test.hpp>
#include <weir/io/name_server_test.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <tuple>
#include <vector>

namespace weir::resolve_service_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;

class resolving_services : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, resolving_services, ::testing::ValuesIn(kernel_drivers()),
                         name_of);

TEST_P(resolving_services, all_targets_are_found_the_best_first) {
  name_server server(true);
  run([&]() -> task<> {
    const auto found = co_await resolve_service("_weir._tcp.test", {.servers = server.where()});
    const service_target one{.host = "one.test", .port = 8081, .priority = 10, .weight = 5};
    const service_target two{.host = "two.test", .port = 8082, .priority = 10, .weight = 5};
    const service_target backup{.host = "backup.test", .port = 8080, .priority = 20, .weight = 0};
    EXPECT_THAT(found, ::testing::UnorderedElementsAre(one, two, backup));
    EXPECT_EQ(found.back(), backup);
  });
}

TEST_P(resolving_services, one_that_is_not_there_or_not_offered_is_not_found) {
  name_server server(true);
  run([&]() -> task<> {
    for (const std::string& name :
         {std::string("_none._tcp.test"), std::string("_weir._tcp.missing"),
          std::string("_other._tcp.test")}) {
      const auto outcome = co_await as_result(resolve_service(name, {.servers = server.where()}));
      EXPECT_FALSE(outcome);
      if (outcome) co_return;
      EXPECT_EQ(outcome.error().code(), errc::not_found) << name;
      EXPECT_THAT(std::string(outcome.error().message()), ::testing::HasSubstr(name));
    }
  });
}

TEST_P(resolving_services, what_cannot_be_a_name_is_refused_without_a_question) {
  name_server server(true);
  run([&]() -> task<> {
    for (const std::string& name : {std::string(), std::string("a b"), std::string("10.0.0.1")})
      EXPECT_EQ(co_await code_of(resolve_service(name, {.servers = server.where()})),
                errc::invalid_argument)
          << name;
  });
  EXPECT_EQ(server.questions(), 0);
}

TEST_P(resolving_services, a_silent_server_times_out) {
  name_server server(false);
  run([&]() -> task<> {
    const resolve_options options{.try_timeout = 20_ms, .tries = 2, .servers = server.where()};
    EXPECT_EQ(co_await code_of(resolve_service("_weir._tcp.test", options)), errc::timed_out);
  });
}

TEST_P(resolving_services, a_cancel_ends_it_at_once) {
  name_server server(false);
  run([&]() -> task<> {
    const scope_end end = co_await with_scope({.timeout = 20_ms}, [&](scope&) -> task<> {
      std::ignore = co_await resolve_service("_weir._tcp.test",
                                             {.try_timeout = 3600_s, .servers = server.where()});
    });
    EXPECT_TRUE(end.was_cut_short());
  });
}

// How often each of the targets comes first, and each comes once.
std::map<std::string, int> firsts(const std::vector<service_target>& targets, int draws) {
  random_source lots(7);
  std::map<std::string, int> count;
  for (int i = 0; i < draws; ++i) {
    const std::vector<service_target> ordered = by_priority_and_lot(targets, lots);
    EXPECT_THAT(ordered, ::testing::UnorderedElementsAreArray(targets));
    ++count[ordered.front().host];
  }
  return count;
}

TEST(ServiceOrder, gives_each_its_weight_among_those_of_one_priority) {
  const std::vector<service_target> targets{{.host = "heavy", .priority = 1, .weight = 75},
                                            {.host = "light", .priority = 1, .weight = 25},
                                            {.host = "later", .priority = 2, .weight = 60'000}};
  auto count = firsts(targets, 10'000);
  EXPECT_NEAR(count["heavy"], 7'500, 300);
  EXPECT_NEAR(count["light"], 2'500, 300);
  EXPECT_EQ(count["later"], 0);
}

TEST(ServiceOrder, hardly_ever_begins_with_one_of_weight_0) {
  const std::vector<service_target> targets{{.host = "light", .weight = 0},
                                            {.host = "heavy", .weight = 99}};
  auto count = firsts(targets, 10'000);
  EXPECT_NEAR(count["light"], 100, 60);
}

TEST(ServiceOrder, of_equals_without_weights_is_some_order) {
  random_source lots(1);
  EXPECT_TRUE(by_priority_and_lot({}, lots).empty());
  const std::vector<service_target> targets{{.host = "a"}, {.host = "b"}};
  EXPECT_THAT(by_priority_and_lot(targets, lots), ::testing::UnorderedElementsAreArray(targets));
}

}  // namespace
}  // namespace weir::resolve_service_test
