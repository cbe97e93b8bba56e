// A client that holds many conversations with a server at once, one connection each. The hard idea:
// the client must not be what is measured, so it is one epoll loop over requests that are
// ready-made; what share of its core it used is printed with the rows.
#pragma once

#include "measure.hpp"
#include "server_process.hpp"
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bench {

constexpr std::size_t body_bytes = 1'024;

/// One of many conversations: a request, its answer, the next request.
class conversation {
 public:
  virtual ~conversation() = default;
  /// Puts the next request into `out`; false: it is over.
  virtual bool ask(std::string& out) = 0;
  /// The size of the answer at the front of `in`; 0: it is not whole yet. Dies of a wrong one.
  virtual std::size_t hear(std::string_view in) = 0;
  /// Whether the answer just heard confirmed a message.
  virtual bool is_confirmation() const = 0;
};

/// What a load has shown.
struct load_outcome {
  double seconds = 0;
  double server_us = 0;              // processor time of the server
  double client_busy = 0;            // share of its core
  std::vector<double> confirmed_ms;  // sorted

  double percentile(double share) const {
    if (confirmed_ms.empty()) return 0;
    const auto last = static_cast<double>(confirmed_ms.size() - 1);
    return confirmed_ms[static_cast<std::size_t>(share * last)];
  }
};

/// Prints the rows of one load: how many a second, latencies of confirmations, processor time.
inline void print_load(const std::string& name, const std::string& parameters, std::int64_t count,
                       const load_outcome& of, std::uint64_t checksum) {
  const auto n = static_cast<double>(count);
  const auto row = [&](const char* what, double value, const char* unit) {
    print_row((name + what + "/" + parameters).c_str(), value, unit, checksum);
  };
  std::printf("# %s/%s: the client was busy for %.0f %% of the time\n", name.c_str(),
              parameters.c_str(), 100 * of.client_busy);
  row("_rate", n / of.seconds, "messages/s");
  row("_p50", of.percentile(0.5), "ms");
  row("_p99", of.percentile(0.99), "ms");
  row("_cpu", of.server_us / n, "us");
}

namespace detail {

inline int connect_to(int port) {
  const int handle = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(static_cast<std::uint16_t>(port));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (connect(handle, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) die("no connection");
  const int on = 1;
  setsockopt(handle, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return handle;
}

/// A conversation on its connection.
struct line {
  std::unique_ptr<conversation> with;
  int handle = -1;
  std::int64_t asked_at = 0;
  std::string out;
  std::string in;

  /// False: it is over.
  bool ask() {
    out.clear();
    if (!with->ask(out)) return false;
    asked_at = wall_ns();
    // A request is smaller than the room that the kernel has for it.
    if (send(handle, out.data(), out.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(out.size())) {
      die("a request could not be sent at once");
    }
    return true;
  }
  void receive() {
    char room[16'384];
    const ssize_t got = recv(handle, room, sizeof room, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return;
    if (got <= 0) die("the server has closed a connection");
    in.append(room, static_cast<std::size_t>(got));
  }
};

}  // namespace detail

/// Holds all conversations at once until they are over, or until `is_over` says that nothing is
/// left to talk about.
inline load_outcome converse(int port, std::vector<std::unique_ptr<conversation>> all,
                             const bool* is_over = nullptr) {
  const int poll = epoll_create1(EPOLL_CLOEXEC);
  std::vector<detail::line> lines(all.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    lines[i].with = std::move(all[i]);
    lines[i].handle = detail::connect_to(port);
    epoll_event what{.events = EPOLLIN, .data = {.ptr = &lines[i]}};
    epoll_ctl(poll, EPOLL_CTL_ADD, lines[i].handle, &what);
  }
  load_outcome outcome;
  const std::int64_t began = wall_ns();
  const std::int64_t cpu_before = cpu_ns();
  std::size_t open = 0;
  for (detail::line& one : lines) open += one.ask() ? 1 : 0;
  while (open != 0 && !(is_over && *is_over)) {
    epoll_event ready[64];
    const int count = epoll_wait(poll, ready, 64, 60'000);
    if (count == 0) die("the server is silent");
    for (int i = 0; i < count; ++i) {
      auto& one = *static_cast<detail::line*>(ready[i].data.ptr);
      one.receive();
      const std::size_t size = one.with->hear(one.in);
      if (size == 0) continue;
      one.in.erase(0, size);
      if (one.with->is_confirmation()) {
        outcome.confirmed_ms.push_back(static_cast<double>(wall_ns() - one.asked_at) / 1e6);
      }
      if (!one.ask()) --open;
    }
  }
  outcome.seconds = static_cast<double>(wall_ns() - began) / 1e9;
  outcome.client_busy = static_cast<double>(cpu_ns() - cpu_before) / 1e9 / outcome.seconds;
  for (const detail::line& one : lines) close(one.handle);
  close(poll);
  std::sort(outcome.confirmed_ms.begin(), outcome.confirmed_ms.end());
  return outcome;
}

/// How many messages all conversations together still begin.
struct budget {
  std::int64_t left = 0;
  std::int64_t unended = left;  // of them: not ended yet, where somebody counts that
  bool is_over = false;
  bool take() { return left > 0 && left-- > 0; }
  void end(std::int64_t count) { is_over = (unended -= count) <= 0; }
  /// Whose turn it is of `number`: each in turn.
  std::size_t turn(std::size_t number) const { return static_cast<std::size_t>(left) % number; }
};

}  // namespace bench
