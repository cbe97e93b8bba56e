// The same server asked by c-ares over the virtual world's sockets and over the kernel's.
// Needs the kernel: it is one of the two arms.
#include <weir/testing/fake_name_server.hpp>

#include <weir/core.hpp>
#include <weir/io/datagram_socket.hpp>
#include <weir/io/resolve.hpp>
#include <weir/io/socket.hpp>
#include <weir/testing/two_arms.hpp>

#include <algorithm>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace weir::fake_name_server_test {
namespace {

using namespace weir::literals;
using testing::fake_name_server;
using testing::name_trouble;

// What comes of a question to a server with this trouble: addresses in order of their texts.
task<std::string> ask(fake_name_server* names, std::string host) {
  std::string out;
  co_await with_scope([&](scope& s) -> task<> {
    co_await names->start(s, *address::parse("127.0.0.1:0"));
    const std::string where = names->where().text();
    const auto found = co_await as_result(resolve(host, 80, {.servers = where.c_str()}));
    std::vector<std::string> texts;
    if (found) {
      for (const address& one : *found) texts.push_back(one.text());
    } else {
      texts.emplace_back(name(found.error().code()));
    }
    std::ranges::sort(texts);
    for (const std::string& one : texts) out += one + " ";
    s.cancel();
  });
  co_return out;
}

// [names]
WEIR_TEST("a name server that fails refuses the connection") {
  weir::testing::fake_name_server names;
  names.add("api.test", "127.0.0.1");
  weir::testing::set_name_servers(weir::testing::world(), "127.0.0.1");
  co_await with_scope([&](scope& s) -> task<> {
    co_await names.start(s, *address::parse("127.0.0.1:53"));
    const listener door = co_await listen({.port = 80});
    const socket found = co_await connect("api.test", 80);
    names.set_trouble(weir::testing::name_trouble::server_failure);
    co_await weir::testing::expect_raises<errc::refused>(connect("api.test", 80));
    s.cancel();
  });
}
// [/names]

// [service]
WEIR_TEST("a service leads to the target that is there, though another one comes first") {
  weir::testing::fake_name_server names;
  names.add("main.test", "127.0.0.1");
  names.add("spare.test", "127.0.0.1");
  names.add_service("_shop._tcp.test", {.host = "main.test", .port = 80, .priority = 10});
  names.add_service("_shop._tcp.test", {.host = "spare.test", .port = 81, .priority = 20});
  weir::testing::set_name_servers(weir::testing::world(), "127.0.0.1");
  co_await with_scope([&](scope& s) -> task<> {
    co_await names.start(s, *address::parse("127.0.0.1:53"));
    const listener spare = co_await listen({.port = 81});  // and nobody at 80
    const std::vector<service_target> targets = co_await resolve_service("_shop._tcp.test");
    co_await weir::testing::expect_raises<errc::refused>(
        connect(targets.at(0).host, targets.at(0).port));
    const socket found = co_await connect(targets.at(1).host, targets.at(1).port);
    EXPECT_EQ(found.peer(), spare.local());
    s.cancel();
  });
}
// [/service]

WEIR_TEST("what is no question gets no answer, and the next one gets its own") {
  fake_name_server names;
  names.add("api.test", "127.0.0.1");
  testing::set_name_servers(testing::world(), "127.0.0.1");
  co_await with_scope([&](scope& s) -> task<> {
    co_await names.start(s, *address::parse("127.0.0.1:53"));
    auto box = open_datagrams();
    co_await box.connect(names.where());
    using namespace std::literals;
    const std::string_view head = "\0\1\1\0\0\1\0\0\0\0\0\0"sv;  // of one question
    for (const std::string& text :
         {std::string(), std::string(11, 'x'), std::string(600, '\0'), std::string(head),
          std::string(head) + '\x3f', std::string(head) + "\3api", std::string(head) + '\xc0',
          std::string(head) + std::string(5, '\1')}) {
      co_await box.send(text);
    }
    co_await testing::expect_raises<errc::timed_out>(with_timeout(1_s, box.receive()));
    EXPECT_EQ(names.questions(), 0u);
    EXPECT_EQ((co_await resolve("api.test", 80)).size(), 1u);
    s.cancel();
  });
}

WEIR_TEST("streams beyond the most at once wait for their turn") {
  fake_name_server names;
  std::vector<socket> streams;
  co_await with_scope([&](scope& s) -> task<> {
    co_await names.start(s, *address::parse("127.0.0.1:53"));
    for (std::size_t i = 0; i <= fake_name_server::streams_max + 1; ++i) {
      streams.push_back(co_await connect(names.where()));
    }
    // "api.test", with the length of the question before it
    const std::string question("\0\x1a\0\1\1\0\0\1\0\0\0\0\0\0\3api\4test\0\0\1\0\1", 28);
    co_await streams.back().send(question);
    co_await testing::expect_raises<errc::timed_out>(with_timeout(1_s, streams.back().receive()));
    streams.erase(streams.begin(), streams.begin() + 2);
    EXPECT_TRUE(co_await streams.back().receive());
    s.cancel();
  });
}

WEIR_TEST_ON_BOTH("names are found, or not, as the table says") {
  fake_name_server names;
  names.add("two.test", "127.0.0.2");
  names.add("two.test", "127.0.0.3");
  EXPECT_EQ(co_await ask(&names, "two.test"), "127.0.0.2:80 127.0.0.3:80 ");
}

WEIR_TEST_ON_BOTH("a name that is in no table is not found") {
  fake_name_server names;
  EXPECT_EQ(co_await ask(&names, "none.test"), "not_found ");
}

WEIR_TEST_ON_BOTH("a name server that fails is a refusal") {
  fake_name_server names;
  names.add("two.test", "127.0.0.2");
  names.set_trouble(name_trouble::server_failure);
  EXPECT_EQ(co_await ask(&names, "two.test"), "refused ");
}

WEIR_TEST_ON_BOTH("a garbled answer is an error and no address") {
  fake_name_server names;
  names.add("two.test", "127.0.0.2");
  names.set_trouble(name_trouble::garbled);
  EXPECT_EQ(co_await ask(&names, "two.test"), "io ");
}

WEIR_TEST_ON_BOTH("an answer that is too long for a datagram comes by stream") {
  fake_name_server names;
  names.add("two.test", "127.0.0.2");
  names.set_trouble(name_trouble::truncated);
  EXPECT_EQ(co_await ask(&names, "two.test"), "127.0.0.2:80 ");
  EXPECT_GT(names.questions_by_stream(), 0u);
}

WEIR_TEST_ON_BOTH("answers to other questions and second answers are passed over") {
  for (const name_trouble trouble : {name_trouble::foreign, name_trouble::doubled}) {
    fake_name_server names;
    names.add("two.test", "127.0.0.2");
    names.set_trouble(trouble);
    EXPECT_EQ(co_await ask(&names, "two.test"), "127.0.0.2:80 ");
  }
}

}  // namespace
}  // namespace weir::fake_name_server_test
