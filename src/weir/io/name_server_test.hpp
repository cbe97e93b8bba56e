// For tests only: a name server in a thread, which answers as the test tells it.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <string_view>
#include <thread>

namespace weir::contract {

/// Speaks just enough of RFC 1035: one question per datagram. "two.test" has two IPv4 addresses,
/// "six.test" one IPv6 address. The service "_weir._tcp.test" has three targets, "_none._tcp.test"
/// says that it is not offered. Other names don't exist.
///
/// Cancel:  no waits.
/// Order:   one question after the other.
/// Bound:   512 bytes a datagram.
/// Errors:  a socket that can't be made fails the test.
/// Threads: one of its own.
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
    using namespace std::literals;
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
    if (name == "_weir._tcp.test." && type == 33) {
      add("\0\x14\0\0\x1f\x90\6backup\4test\0"sv);  // priority 20, port 8080
      add("\0\x0a\0\x05\x1f\x91\3one\4test\0"sv);
      add("\0\x0a\0\x05\x1f\x92\3two\4test\0"sv);
    }
    if (name == "_none._tcp.test." && type == 33) add("\0\0\0\0\0\0\0"sv);
    const bool exists = name == "two.test." || name == "six.test." || name.ends_with("._tcp.test.");
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

}  // namespace weir::contract
