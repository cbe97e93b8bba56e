// Loads an echo server: many connections, each of which sends a message, waits for the whole of it
// to come back, checks it, and goes on. One thread over epoll. The hard idea: a closed loop with a
// fixed number of requests does the same work against every server, so what differs is the server's
// processor time, and the times to answer can be compared.
#include "client_cases.hpp"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <vector>

namespace {

struct load {
  const char* name;
  int connections;
  std::size_t size;
  std::int64_t requests;
  bool is_idle;  // connect, echo once, then stay: memory is measured
};
constexpr load loads[] = {
    {"echo/c=1,b=64", 1, 64, 20'000, false},
    {"echo/c=64,b=64", 64, 64, 100'000, false},
    {"echo/c=1000,b=64", 1000, 64, 100'000, false},
    {"echo/c=10000,b=64", 10'000, 64, 100'000, false},
    {"echo/c=64,b=16384", 64, 16'384, 30'000, false},
    {"echo/c=1000,b=16384", 1000, 16'384, 30'000, false},
    {"idle/c=10000", 10'000, 64, 10'000, true},
};

[[noreturn]] void die(const char* what) {
  std::fprintf(stderr, "echo_client: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

struct connection {
  int handle = -1;
  std::uint64_t sequence = 0;
  std::size_t sent = 0;
  std::size_t received = 0;
  std::int64_t began = 0;
};

class client {
 public:
  client(int port, load what) : what_(what), message_(what.size, 'w'), buffer_(what.size) {
    ring_ = epoll_create1(0);
    connections_.resize(static_cast<std::size_t>(what.connections));
    for (std::size_t i = 0; i < connections_.size(); ++i) open(connections_[i], i, port);
  }

  /// Sends `count` requests over all connections and waits for the answers.
  void run(std::int64_t count) {
    to_begin_ = count;
    to_end_ = count;
    latencies_.clear();
    latencies_.reserve(static_cast<std::size_t>(count));
    for (connection& one : connections_) begin(one);
    epoll_event events[256];
    while (to_end_ > 0) {
      const int found = epoll_wait(ring_, events, 256, 10'000);
      if (found == 0) errno = ETIMEDOUT;
      if (found <= 0) die("no answer");
      for (int i = 0; i < found; ++i) go_on(connections_[events[i].data.u64]);
    }
  }

  /// The latency below which `share` of the requests were, in microseconds.
  double latency_us(double share) {
    const auto at = static_cast<std::size_t>(share * static_cast<double>(latencies_.size() - 1));
    std::nth_element(latencies_.begin(), latencies_.begin() + static_cast<std::ptrdiff_t>(at),
                     latencies_.end());
    return static_cast<double>(latencies_[at]) / 1000;
  }

 private:
  void open(connection& one, std::uint64_t index, int port) const {
    one.handle = socket(AF_INET, SOCK_STREAM, 0);
    sockaddr_in where{};
    where.sin_family = AF_INET;
    where.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    where.sin_port = htons(static_cast<std::uint16_t>(port));
    if (one.handle < 0 || connect(one.handle, reinterpret_cast<sockaddr*>(&where), sizeof where))
      die("connect");
    const int on = 1;
    setsockopt(one.handle, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    const linger at_once{.l_onoff = 1, .l_linger = 0};  // no port is left in TIME_WAIT
    setsockopt(one.handle, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    epoll_event event{.events = EPOLLIN | EPOLLOUT | EPOLLET, .data = {.u64 = index}};
    if (epoll_ctl(ring_, EPOLL_CTL_ADD, one.handle, &event)) die("epoll_ctl");
  }

  void begin(connection& one) {
    if (to_begin_ == 0) return;
    --to_begin_;
    ++one.sequence;
    one.sent = one.received = 0;
    one.began = bench::wall_ns();
    push(one);
  }

  void push(connection& one) {
    std::memcpy(message_.data(), &one.sequence, sizeof one.sequence);
    while (one.sent < what_.size) {
      const ssize_t n = send(one.handle, message_.data() + one.sent, what_.size - one.sent,
                             MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno == EAGAIN) return;
      if (n < 0) die("send");
      one.sent += static_cast<std::size_t>(n);
    }
  }

  void go_on(connection& one) {
    if (one.sequence == 0) return;
    if (one.sent < what_.size) push(one);
    while (one.received < what_.size && one.sent > one.received) {
      const ssize_t n = recv(one.handle, buffer_.data(), what_.size - one.received, MSG_DONTWAIT);
      if (n < 0 && errno == EAGAIN) return;
      if (n == 0) errno = ECONNRESET;
      if (n <= 0) die("receive");
      check(one, static_cast<std::size_t>(n));
      one.received += static_cast<std::size_t>(n);
      if (one.received < what_.size) continue;
      latencies_.push_back(bench::wall_ns() - one.began);
      --to_end_;
      begin(one);
    }
  }

  void check(const connection& one, std::size_t size) {
    std::memcpy(message_.data(), &one.sequence, sizeof one.sequence);
    if (std::memcmp(buffer_.data(), message_.data() + one.received, size) == 0) return;
    errno = EBADMSG;
    die("the echo differs from what was sent");
  }

  load what_;
  std::string message_;
  std::vector<char> buffer_;
  std::vector<connection> connections_;
  std::vector<std::int64_t> latencies_;
  std::int64_t to_begin_ = 0;
  std::int64_t to_end_ = 0;
  int ring_ = -1;
};

load smaller(load what) {
  what.connections = std::min(what.connections, 50);
  what.requests /= 200;
  return what;
}

void run_load(const load& as_listed, int port, bool is_small) {
  const load what = is_small ? smaller(as_listed) : as_listed;
  client one(port, what);
  one.run(what.connections);  // a warm-up: every connection has been served once
  if (what.is_idle) {
    bench::print_row(what.name, what.connections, "connections", 0);
    bench::wait_for_input();
    return;
  }
  bench::begin_charging();
  one.run(what.requests);
  std::string parameters = std::strchr(what.name, '/');
  bench::print_row(("p50" + parameters).c_str(), one.latency_us(0.5), "us", 0);
  bench::print_row(("p99" + parameters).c_str(), one.latency_us(0.99), "us", 0);
  bench::print_row(what.name, static_cast<double>(what.requests), "requests",
                   static_cast<std::uint64_t>(what.requests));
}

}  // namespace

int main(int argc, char** argv) { return bench::run_client(argc, argv, loads, run_load); }
