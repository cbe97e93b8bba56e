// Host names against a name server in a thread, which answers as the test tells it.
// Needs the kernel: c-ares has sockets of its own.
#include <weir/io/resolve.hpp>

#include <weir/io/contract_test.hpp>
#include <weir/io/internal/name_query.hpp>
#include <weir/io/name_server_test.hpp>
#include <weir/io/readiness.hpp>
#include <weir/io/resolve_service.hpp>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

namespace weir::resolve_test {
namespace {

using namespace weir::literals;
using namespace weir::contract;

class resolving : public contract::fixture {};
INSTANTIATE_TEST_SUITE_P(drivers, resolving, ::testing::ValuesIn(kernel_drivers()), name_of);

std::vector<std::string> texts(const std::vector<address>& all) {
  std::vector<std::string> out;
  for (const address& one : all) out.push_back(one.text());
  return out;
}

TEST_P(resolving, numbers_and_localhost_ask_nobody) {
  name_server server(true);
  run([&]() -> task<> {
    const resolve_options options{.servers = server.where()};
    EXPECT_THAT(texts(co_await resolve("10.1.2.3", 80, options)),
                ::testing::ElementsAre("10.1.2.3:80"));
    EXPECT_THAT(texts(co_await resolve("::1", 80, options)), ::testing::ElementsAre("[::1]:80"));
    for (const char* here : {"localhost", "localhost.", "LocalHost.", "api.localhost"}) {
      EXPECT_THAT(texts(co_await resolve(here, 80, options)),
                  ::testing::ElementsAre("127.0.0.1:80"));
    }
  });
  EXPECT_EQ(server.questions(), 0);
}

TEST_P(resolving, one_family_can_be_asked_for) {
  name_server server(true);
  run([&]() -> task<> {
    const auto ask = [&](const char* host, resolved_families families) -> task<std::string> {
      const auto found =
          co_await as_result(resolve(host, 80, {.servers = server.where(), .families = families}));
      co_return found ? found->front().text() : std::string(name(found.error().code()));
    };
    EXPECT_THAT(co_await ask("two.test", resolved_families::ipv4),
                ::testing::StartsWith("127.0.0."));
    EXPECT_EQ(co_await ask("two.test", resolved_families::ipv6), "not_found");
    EXPECT_EQ(co_await ask("six.test", resolved_families::ipv6), "[::1]:80");
    EXPECT_EQ(co_await ask("six.test", resolved_families::ipv4), "not_found");
    EXPECT_EQ(server.questions(), 4);
  });
}

TEST_P(resolving, the_families_of_a_name_are_not_asked_for_apart_where_they_could_be_two_hosts) {
  ASSERT_EQ(::setenv("LOCALDOMAIN", "prod.test", 1), 0);
  run([]() -> task<> {
    const std::string relative = "db";
    const std::string dotted = "api.shop.test";
    const std::string whole = "api.shop.test.";
    EXPECT_FALSE(co_await detail::is_asked_as_it_is(&relative));
    EXPECT_FALSE(co_await detail::is_asked_as_it_is(&dotted));
    EXPECT_TRUE(co_await detail::is_asked_as_it_is(&whole));
  });
  ::unsetenv("LOCALDOMAIN");
}

TEST_P(resolving, all_addresses_of_a_name_are_found) {
  name_server server(true);
  run([&]() -> task<> {
    const resolve_options options{.servers = server.where()};
    EXPECT_THAT(texts(co_await resolve("two.test", 80, options)),
                ::testing::UnorderedElementsAre("127.0.0.2:80", "127.0.0.3:80"));
    EXPECT_THAT(texts(co_await resolve("six.test", 81, options)),
                ::testing::ElementsAre("[::1]:81"));
  });
}

TEST_P(resolving, a_name_without_address_is_not_found) {
  name_server server(true);
  run([&]() -> task<> {
    const auto outcome =
        co_await as_result(resolve("missing.test", 80, {.servers = server.where()}));
    EXPECT_FALSE(outcome);
    if (outcome) co_return;
    EXPECT_EQ(outcome.error().code(), errc::not_found);
    EXPECT_THAT(std::string(outcome.error().message()), ::testing::HasSubstr("missing.test"));
  });
}

TEST_P(resolving, a_silent_server_times_out) {
  name_server server(false);
  run([&]() -> task<> {
    const resolve_options options{.try_timeout = 20_ms, .tries = 2, .servers = server.where()};
    EXPECT_EQ(co_await code_of(resolve("two.test", 80, options)), errc::timed_out);
    // The server's thread may hear of the last one later than we of its time-out.
    for (int i = 0; i < 10'000 && server.questions() < 2; ++i) co_await sleep(1_ms);
  });
  EXPECT_GE(server.questions(), 2);
}

TEST_P(resolving, a_cancel_ends_it_at_once) {
  name_server server(false);
  run([&]() -> task<> {
    co_await with_scope({.timeout = 20_ms}, [&](scope&) -> task<> {
      std::ignore =
          co_await resolve("two.test", 80, {.try_timeout = 3600_s, .servers = server.where()});
    });
  });
}

TEST_P(resolving, without_a_try_or_time_for_one_is_refused_and_says_nothing_of_the_name) {
  name_server server(true);
  run([&]() -> task<> {
    for (const resolve_options& none :
         {resolve_options{.tries = 0, .servers = server.where()},
          resolve_options{.try_timeout = 999_us, .servers = server.where()},
          resolve_options{.try_timeout = -1_s, .servers = server.where()},
          resolve_options{.servers = ""}}) {
      EXPECT_EQ(co_await code_of(resolve("two.test", 80, none)), errc::invalid_argument);
      EXPECT_EQ(co_await code_of(resolve_service("_two._tcp.test", none)), errc::invalid_argument);
    }
  });
  EXPECT_EQ(server.questions(), 0);
}

TEST_P(resolving, what_cannot_be_a_name_is_refused_without_a_question) {
  name_server server(true);
  run([&]() -> task<> {
    for (const std::string& host :
         {std::string(), std::string(254, 'a'), std::string("a b"), std::string("a\0b", 3),
          std::string("1.2.3"), std::string("::x"), std::string("*")})
      EXPECT_EQ(co_await code_of(resolve(host, 80, {.servers = server.where()})),
                errc::invalid_argument)
          << host;
  });
  EXPECT_EQ(server.questions(), 0);
}

TEST_P(resolving, connect_takes_a_host_name) {
  run([]() -> task<> {
    listener door = co_await listen({});
    socket client = co_await connect("localhost", door.local().port());
    EXPECT_EQ(client.peer(), door.local());
  });
}

TEST_P(resolving, readiness_of_a_foreign_descriptor_is_told) {
  run([]() -> task<> {
    for (int round = 0; round < 3; ++round) {  // the same numbers again and again
      int ends[2];
      if (::pipe(ends) != 0) co_return;
      EXPECT_EQ(co_await wait_ready(ends[1], POLLOUT), POLLOUT);
      co_await with_scope([&](scope& s) -> task<> {
        s.spawn([&]() -> task<> { EXPECT_EQ(co_await wait_ready(ends[0], POLLIN), POLLIN); });
        co_await yield();
        EXPECT_EQ(::write(ends[1], "x", 1), 1);
      });
      co_await with_scope({.timeout = 1_ms}, [&](scope&) -> task<> {
        std::ignore = co_await wait_ready(ends[0], POLLPRI);
        ADD_FAILURE() << "a pipe has no urgent data";
      });
      ::close(ends[0]);
      ::close(ends[1]);
    }
  });
}

}  // namespace
}  // namespace weir::resolve_test
