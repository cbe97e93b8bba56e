#include <weir/io/resolve.hpp>

#include <weir/core/sleep.hpp>
#include <weir/io/internal/name_query.hpp>

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <utility>

namespace weir {

namespace {

class host_query final : public detail::name_query {
 public:
  host_query(std::string host, std::uint16_t port, resolved_families families)
      : host_(std::move(host)), port_(port), families_(families) {}
  ~host_query() { close(); }

  std::vector<address>& found() noexcept { return found_; }

 private:
  void ask() override {
    found_.clear();
    struct ares_addrinfo_hints hints = {};
    hints.ai_family = families_ == resolved_families::both   ? AF_UNSPEC
                      : families_ == resolved_families::ipv6 ? AF_INET6
                                                             : AF_INET;
    hints.ai_socktype = SOCK_STREAM;
    // c-ares looks for its way to each address with sockets of the kernel.
    if (is_in_world()) hints.ai_flags = ARES_AI_NOSORT;
    ares_getaddrinfo(
        channel(), host_.c_str(), nullptr, &hints,
        [](void* self, int status, int, struct ares_addrinfo* found) {
          static_cast<host_query*>(self)->heard(status, found);
          if (found) ares_freeaddrinfo(found);
        },
        this);
  }
  void heard(int status, const struct ares_addrinfo* found) noexcept {
    answered(status);
    try {
      if (found) keep(*found);
    } catch (...) {
      failed(std::current_exception());
    }
  }
  void keep(const struct ares_addrinfo& answer) {
    for (const ares_addrinfo_node* node = answer.nodes; node; node = node->ai_next) {
      raw_address raw;
      if (found_.size() >= resolved_addresses_max || node->ai_addrlen > sizeof raw.storage)
        continue;
      std::memcpy(raw.storage, node->ai_addr, node->ai_addrlen);
      raw.size = node->ai_addrlen;
      put(address(raw).with_port(port_));
    }
  }
  void put(const address& one) {
    // As RFC 6724 has it where a machine has both families; c-ares has sorted them otherwise.
    const bool goes_first = is_in_world() && one.family() == address_family::ipv6;
    found_.insert(goes_first ? std::ranges::find(found_, address_family::ipv4, &address::family)
                             : found_.end(),
                  one);
  }

  std::string host_;
  std::uint16_t port_ = 0;
  resolved_families families_;
  std::vector<address> found_;
};

}  // namespace

task<std::vector<address>> resolve(std::string host, std::uint16_t port, resolve_options options) {
  if (const result<address> literal = address::parse(host, port); literal && host != "*") {
    co_await checkpoint();
    co_return std::vector<address>{*literal};
  }
  if (!detail::is_plausible_name(host))
    raise(error(errc::invalid_argument, fmt::format("'{}' is no host name", host)));
  host_query query(host, port, options.families);
  co_await query.run(options);
  if (query.found().empty())
    detail::raise_unresolved(host, query.status() == ARES_SUCCESS ? ARES_ENODATA : query.status());
  co_return std::move(query.found());
}

}  // namespace weir
