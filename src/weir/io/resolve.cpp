#include <weir/io/resolve.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/address_rules.hpp>
#include <weir/io/blocking.hpp>
#include <weir/io/readiness.hpp>
#include <weir/io/socket.hpp>

#include <ares.h>
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cstring>

namespace weir {

namespace {

// One question with a channel of its own: its sockets live exactly as long as the wait for it.
class name_query {
 public:
  name_query() = default;
  name_query(const name_query&) = delete;
  name_query& operator=(const name_query&) = delete;
  ~name_query() {
    if (channel_) ares_destroy(channel_);  // calls heard() with ARES_EDESTRUCTION
  }

  // Reads the system's configuration: files, so it may block.
  int open(const resolve_options& options) {
    struct ares_options settings = {};
    settings.timeout = static_cast<int>(options.try_timeout.ns / 1'000'000);
    settings.tries = options.tries;
    const int outcome =
        ares_init_options(&channel_, &settings, ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES);
    if (outcome != ARES_SUCCESS || !options.servers) return outcome;
    return ares_set_servers_ports_csv(channel_, options.servers);
  }

  void ask(const std::string& host, std::uint16_t port) {
    port_ = port;
    struct ares_addrinfo_hints hints = {};
    hints.ai_family = AF_UNSPEC;
    hints.ai_socktype = SOCK_STREAM;
    ares_getaddrinfo(
        channel_, host.c_str(), nullptr, &hints,
        [](void* self, int status, int, struct ares_addrinfo* found) {
          static_cast<name_query*>(self)->heard(status, found);
        },
        this);
  }

  bool is_done() const noexcept { return is_done_; }
  int status() const noexcept { return status_; }
  std::vector<address>& found() noexcept { return found_; }

  // What c-ares waits for.
  struct watched {
    int descriptor;
    int flags;
    int ready = 0;
  };
  std::vector<watched> watches() {
    ares_socket_t sockets[ARES_GETSOCK_MAXNUM];
    const auto bits = static_cast<unsigned>(ares_getsock(channel_, sockets, ARES_GETSOCK_MAXNUM));
    std::vector<watched> all;
    for (unsigned i = 0; i < ARES_GETSOCK_MAXNUM; ++i) {
      int flags = 0;
      if (ARES_GETSOCK_READABLE(bits, i)) flags |= POLLIN;
      if (ARES_GETSOCK_WRITABLE(bits, i)) flags |= POLLOUT;
      if (flags != 0) all.push_back({sockets[i], flags});
    }
    return all;
  }
  duration patience() noexcept {
    struct timeval longest = {.tv_sec = 1, .tv_usec = 0};
    struct timeval left = {};
    const struct timeval* chosen = ares_timeout(channel_, &longest, &left);
    return duration(chosen->tv_sec * 1'000'000'000 + chosen->tv_usec * 1'000);
  }
  void go_on(const std::vector<watched>& watches) noexcept {
    ares_process_fd(channel_, ARES_SOCKET_BAD, ARES_SOCKET_BAD);  // time-outs
    constexpr int troubles = POLLERR | POLLHUP;
    for (const watched& one : watches) {
      const bool reads = (one.ready & (POLLIN | troubles)) != 0;
      const bool writes = (one.ready & POLLOUT) != 0;
      if (!reads && !writes) continue;
      ares_process_fd(channel_, reads ? one.descriptor : ARES_SOCKET_BAD,
                      writes ? one.descriptor : ARES_SOCKET_BAD);
    }
  }

 private:
  void heard(int status, struct ares_addrinfo* found) {
    is_done_ = true;
    status_ = status;
    if (!found) return;
    for (const ares_addrinfo_node* node = found->nodes; node; node = node->ai_next) {
      raw_address raw;
      if (found_.size() >= resolved_addresses_max || node->ai_addrlen > sizeof raw.storage)
        continue;
      std::memcpy(raw.storage, node->ai_addr, node->ai_addrlen);
      raw.size = node->ai_addrlen;
      found_.push_back(address(raw).with_port(port_));
    }
    ares_freeaddrinfo(found);
  }

  ares_channel channel_ = nullptr;
  std::uint16_t port_ = 0;
  bool is_done_ = false;
  int status_ = ARES_SUCCESS;
  std::vector<address> found_;
};

task<> watch_one(name_query::watched* one, scope* around) {
  one->ready = co_await wait_ready(one->descriptor, one->flags);
  around->cancel("ready");
}

// Until a socket is ready or c-ares wants to look at its time-outs.
task<> wait_for_any(std::vector<name_query::watched>* watches, duration patience) {
  co_await with_scope({.name = "name servers", .timeout = patience}, [&](scope& s) -> task<> {
    for (name_query::watched& one : *watches) s.spawn(watch_one, &one, &s);
    if (watches->empty()) co_await sleep(patience);
    co_await s.join();
  });
}

[[noreturn]] void raise_unresolved(const std::string& host, int status) {
  errc code = errc::io;
  if (status == ARES_ENOTFOUND || status == ARES_ENODATA) code = errc::not_found;
  if (status == ARES_ETIMEOUT) code = errc::timed_out;
  if (status == ARES_ECONNREFUSED) code = errc::refused;
  if (status == ARES_EBADNAME || status == ARES_EBADSTR) code = errc::invalid_argument;
  raise(error(code, fmt::format("can't resolve '{}': {}", host, ares_strerror(status))));
}

// A host that is made of digits and dots, or has a colon, is a mistyped number: no server knows it.
bool is_plausible(const std::string& host) {
  if (host.empty() || host.size() > host_bytes_max) return false;
  const auto is_fine = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '.' || c == '_';
  };
  const auto is_number = [](char c) { return (c >= '0' && c <= '9') || c == '.'; };
  return std::all_of(host.begin(), host.end(), is_fine) &&
         !std::all_of(host.begin(), host.end(), is_number);
}

// The addresses themselves are not told: whoever asked may be a stranger who looks for them.
void leave_out_denied(std::vector<address>& candidates, const std::string& host,
                      const address_rules& rules) {
  std::string rule;
  std::erase_if(candidates, [&](const address& one) {
    const std::string_view denying = rules.denying(one);
    if (!denying.empty()) rule = denying;
    return !denying.empty();
  });
  if (!candidates.empty()) return;
  raise(error(errc::permission_denied,
              fmt::format("'{}' is at an address that may not be called: it is denied by the rule "
                          "'{}'",
                          host, rule)));
}

}  // namespace

task<std::vector<address>> resolve(std::string host, std::uint16_t port, resolve_options options) {
  if (const result<address> literal = address::parse(host, port); literal && host != "*") {
    co_await checkpoint();
    co_return std::vector<address>{*literal};
  }
  if (!is_plausible(host))
    raise(error(errc::invalid_argument, fmt::format("'{}' is no host name", host)));
  name_query query;
  const int opened = co_await blocking([&] { return query.open(options); });
  if (opened != ARES_SUCCESS) raise_unresolved(host, opened);
  query.ask(host, port);
  while (!query.is_done()) {
    std::vector<name_query::watched> watches = query.watches();
    co_await wait_for_any(&watches, query.patience());
    query.go_on(watches);
  }
  if (query.found().empty())
    raise_unresolved(host, query.status() == ARES_SUCCESS ? ARES_ENODATA : query.status());
  co_return std::move(query.found());
}

task<socket> connect(std::string host, std::uint16_t port, const address_rules* rules) {
  std::vector<address> candidates = co_await resolve(host, port);
  if (rules) leave_out_denied(candidates, host, *rules);
  for (std::size_t i = 0; i + 1 < candidates.size(); ++i) {
    result<socket> made = co_await as_result(connect(candidates[i]));
    if (made) co_return std::move(*made);
    co_await checkpoint();  // the error was a cancellation, perhaps
  }
  co_return co_await connect(candidates.back());
}

}  // namespace weir
