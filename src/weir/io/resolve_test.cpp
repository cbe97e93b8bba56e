// Host names against a name server in a thread, which answers as the test tells it.
// Needs the kernel: c-ares has sockets of its own.
#include <weir/io/resolve.hpp>

#include <weir/io/contract_test.hpp>
#include <weir/io/readiness.hpp>

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

namespace weir {
namespace {

using namespace weir::literals;
using namespace weir::contract;

// Speaks just enough of RFC 1035: one question per datagram. "two.test" has two IPv4 addresses,
// "six.test" one IPv6 address; other names don't exist.
class name_server {
 public:
  explicit name_server(bool answers)
      : socket_(::socket(AF_INET, SOCK_DGRAM, 0)), answers_(answers) {
    struct sockaddr_in here = {};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof here;
    EXPECT_EQ(::bind(socket_, reinterpret_cast<struct sockaddr*>(&here), size), 0);
    ::getsockname(socket_, reinterpret_cast<struct sockaddr*>(&here), &size);
    where_ = "127.0.0.1:" + std::to_string(ntohs(here.sin_port));
    thread_ = std::thread([this] { serve(); });
  }
  ~name_server() {
    ::shutdown(socket_, SHUT_RDWR);
    is_ending_ = true;
    thread_.join();
    ::close(socket_);
  }
  const char* where() const { return where_.c_str(); }
  int questions() const { return questions_; }

 private:
  void serve() {
    struct pollfd readable{.fd = socket_, .events = POLLIN, .revents = 0};
    while (!is_ending_) {
      if (::poll(&readable, 1, 10) <= 0) continue;
      unsigned char packet[512];
      struct sockaddr_in from = {};
      socklen_t from_size = sizeof from;
      const ssize_t size = ::recvfrom(socket_, packet, sizeof packet, 0,
                                      reinterpret_cast<struct sockaddr*>(&from), &from_size);
      if (size < 12) continue;
      ++questions_;
      if (!answers_) continue;
      const std::string reply = answer(packet, static_cast<std::size_t>(size));
      ::sendto(socket_, reply.data(), reply.size(), 0, reinterpret_cast<struct sockaddr*>(&from),
               from_size);
    }
  }
  static std::string answer(const unsigned char* packet, std::size_t size) {
    std::string name;
    std::size_t at = 12;
    while (at < size && packet[at] != 0) {
      name.append(reinterpret_cast<const char*>(packet) + at + 1, packet[at]).append(".");
      at += packet[at] + 1u;
    }
    const std::size_t question_end = at + 5;
    const int type = packet[at + 2];
    std::string records;
    int count = 0;
    const auto add = [&](std::string_view data) {
      records.append("\xc0\x0c\0", 3).push_back(static_cast<char>(type));
      records.append("\0\1\0\0\0\x3c\0", 7).push_back(static_cast<char>(data.size()));
      records.append(data);
      ++count;
    };
    if (name == "two.test." && type == 1) {
      add(std::string_view("\x7f\0\0\2", 4));
      add(std::string_view("\x7f\0\0\3", 4));
    }
    if (name == "six.test." && type == 28) add(std::string(15, '\0') + '\1');
    const bool exists = name == "two.test." || name == "six.test.";
    std::string reply(reinterpret_cast<const char*>(packet), question_end);
    reply[2] = static_cast<char>(0x81);
    reply[3] = static_cast<char>(exists ? 0x80 : 0x83);
    reply[7] = static_cast<char>(count);
    reply[8] = reply[9] = reply[10] = reply[11] = 0;
    return reply + records;
  }

  int socket_;
  bool answers_;
  std::string where_;
  std::atomic<bool> is_ending_ = false;
  std::atomic<int> questions_ = 0;
  std::thread thread_;
};

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
    EXPECT_THAT(texts(co_await resolve("localhost", 80, options)),
                ::testing::ElementsAre("127.0.0.1:80"));
  });
  EXPECT_EQ(server.questions(), 0);
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
}  // namespace weir
