#include <weir/io/address.hpp>

#include <weir/base/text.hpp>

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <optional>

namespace weir {

namespace {

template <class Sockaddr>
raw_address raw_of(const Sockaddr& from, std::size_t size = sizeof(Sockaddr)) noexcept {
  static_assert(sizeof(Sockaddr) <= sizeof(raw_address::storage));
  raw_address raw;
  std::memcpy(raw.storage, &from, size);
  raw.size = static_cast<std::uint32_t>(size);
  return raw;
}

template <class Sockaddr>
Sockaddr as(const raw_address& raw) noexcept {
  Sockaddr out;
  std::memcpy(&out, raw.storage, sizeof out);
  return out;
}

raw_address ipv4(std::uint32_t host, std::uint16_t port) noexcept {
  struct sockaddr_in made = {};
  made.sin_family = AF_INET;
  made.sin_port = htons(port);
  made.sin_addr.s_addr = htonl(host);
  return raw_of(made);
}

// inet_pton wants a zero at the end; no numeric address is longer than this.
std::optional<raw_address> numeric(std::string_view host, std::uint16_t port) noexcept {
  char text[INET6_ADDRSTRLEN];
  if (host.empty() || host.size() >= sizeof text) return std::nullopt;
  std::memcpy(text, host.data(), host.size());
  text[host.size()] = '\0';
  struct in_addr four;
  if (::inet_pton(AF_INET, text, &four) == 1) return ipv4(ntohl(four.s_addr), port);
  struct sockaddr_in6 six = {};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  if (::inet_pton(AF_INET6, text, &six.sin6_addr) == 1) return raw_of(six);
  return std::nullopt;
}

// RFC 1035, 2.3.1, and the underscore of services.
bool is_label(std::string_view text) noexcept {
  constexpr std::size_t label_bytes_max = 63;
  return !text.empty() && text.size() <= label_bytes_max && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

// RFC 6761, 6.3: this name and all below it, with the dot of full names or without.
bool is_localhost(std::string_view host) noexcept {
  constexpr std::string_view top = "localhost";
  if (host.ends_with('.')) host.remove_suffix(1);
  if (host.size() < top.size()) return false;
  std::string_view below = host.substr(0, host.size() - top.size());
  if (!equal_ignoring_case(host.substr(below.size()), top)) return false;
  while (!below.empty()) {
    const std::size_t dot = below.find('.');
    if (dot == below.npos || !is_label(below.substr(0, dot))) return false;
    below.remove_prefix(dot + 1);
  }
  return true;
}

constexpr std::string_view unix_scheme = "unix:";

}  // namespace

result<address> address::parse(std::string_view host, std::uint16_t port) {
  if (host.size() > 2 && host.front() == '[' && host.back() == ']')
    host = host.substr(1, host.size() - 2);
  if (host == "*") return address(ipv4(INADDR_ANY, port));
  if (is_localhost(host)) return loopback(port);
  if (const std::optional<raw_address> raw = numeric(host, port)) return address(*raw);
  return fail(errc::invalid_argument, fmt::format("'{}' is no numeric address", host));
}

result<address> address::parse(std::string_view text) {
  if (text.starts_with(unix_scheme)) return unix_path(text.substr(unix_scheme.size()));
  const std::size_t colon = text.rfind(':');
  const std::string_view host = text.substr(0, colon == text.npos ? 0 : colon);
  if (host.empty() || (host.find(':') != host.npos && host.front() != '[')) {
    return fail(errc::invalid_argument,
                fmt::format("'{}' is no address; write HOST:PORT, [IPV6]:PORT or unix:PATH", text));
  }
  const result<std::uint64_t> port = parse_number(text.substr(colon + 1), UINT16_MAX);
  if (!port) {
    return fail(error(errc::invalid_argument, fmt::format("'{}' has no port from 0 to 65535", text))
                    .caused_by(port.error()));
  }
  return parse(host, static_cast<std::uint16_t>(*port));
}

address address::loopback(std::uint16_t port) noexcept {
  return address(ipv4(INADDR_LOOPBACK, port));
}

result<address> address::unix_path(std::string_view path) {
  struct sockaddr_un made = {};
  made.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof made.sun_path || path.find('\0') != path.npos) {
    return fail(errc::invalid_argument,
                fmt::format("the path of a Unix socket has 1 to {} bytes, '{}' has {}",
                            sizeof made.sun_path - 1, path, path.size()));
  }
  std::memcpy(made.sun_path, path.data(), path.size());
  std::size_t size = offsetof(struct sockaddr_un, sun_path) + path.size();
  if (path.front() == '@') {
    made.sun_path[0] = '\0';  // an abstract name ends with its size, not with a zero
  } else {
    ++size;
  }
  return address(raw_of(made, size));
}

address_family address::family() const noexcept {
  if (raw_.size < sizeof(sa_family_t)) return address_family::none;
  sa_family_t family;
  std::memcpy(&family, raw_.storage, sizeof family);
  switch (family) {
    case AF_INET:
      return address_family::ipv4;
    case AF_INET6:
      return address_family::ipv6;
    case AF_UNIX:
      return address_family::unix_path;
    default:
      return address_family::none;
  }
}

std::uint16_t address::port() const noexcept {
  switch (family()) {
    case address_family::ipv4:
      return ntohs(as<struct sockaddr_in>(raw_).sin_port);
    case address_family::ipv6:
      return ntohs(as<struct sockaddr_in6>(raw_).sin6_port);
    default:
      return 0;
  }
}

address address::with_port(std::uint16_t port) const noexcept {
  if (family() == address_family::ipv4) {
    auto changed = as<struct sockaddr_in>(raw_);
    changed.sin_port = htons(port);
    return address(raw_of(changed));
  }
  if (family() == address_family::ipv6) {
    auto changed = as<struct sockaddr_in6>(raw_);
    changed.sin6_port = htons(port);
    return address(raw_of(changed));
  }
  return *this;
}

bool address::is_loopback() const noexcept {
  switch (family()) {
    case address_family::ipv4:
      return ntohl(as<struct sockaddr_in>(raw_).sin_addr.s_addr) >> 24 == 127;
    case address_family::ipv6: {
      const auto six = as<struct sockaddr_in6>(raw_);
      if (IN6_IS_ADDR_V4MAPPED(&six.sin6_addr)) return six.sin6_addr.s6_addr[12] == 127;
      return IN6_IS_ADDR_LOOPBACK(&six.sin6_addr);
    }
    case address_family::unix_path:
      return true;
    case address_family::none:
      return false;
  }
  return false;
}

std::string address::text() const {
  char host[INET6_ADDRSTRLEN];
  switch (family()) {
    case address_family::ipv4: {
      const auto four = as<struct sockaddr_in>(raw_);
      return fmt::format("{}:{}", ::inet_ntop(AF_INET, &four.sin_addr, host, sizeof host), port());
    }
    case address_family::ipv6: {
      const auto six = as<struct sockaddr_in6>(raw_);
      return fmt::format("[{}]:{}", ::inet_ntop(AF_INET6, &six.sin6_addr, host, sizeof host),
                         port());
    }
    case address_family::unix_path: {
      const auto path = as<struct sockaddr_un>(raw_);
      constexpr std::size_t start = offsetof(struct sockaddr_un, sun_path);
      if (raw_.size <= start) return "unix:";
      // The kernel counts a zero behind a path that fills all.
      const std::size_t size = std::min<std::size_t>(raw_.size - start, sizeof path.sun_path);
      if (path.sun_path[0] == '\0')
        return fmt::format("unix:@{}", std::string_view(path.sun_path + 1, size - 1));
      return fmt::format("unix:{}",
                         std::string_view(path.sun_path, ::strnlen(path.sun_path, size)));
    }
    case address_family::none:
      return "none";
  }
  return "none";
}

bool operator==(const address& a, const address& b) noexcept {
  return a.raw_.size == b.raw_.size &&
         std::memcmp(a.raw_.storage, b.raw_.storage, a.raw_.size) == 0;
}

}  // namespace weir
