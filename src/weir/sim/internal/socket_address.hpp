// Reading and writing the socket addresses that drivers pass as bytes.
#pragma once

#include <weir/core/driver.hpp>
#include <weir/sim/packet.hpp>

#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

namespace weir::detail {

inline constexpr std::uint32_t path_offset = offsetof(sockaddr_un, sun_path);

template <class T>
T viewed_as(const raw_address& address) {
  static_assert(sizeof(T) <= sizeof address.storage);
  T out{};
  std::memcpy(&out, address.storage, sizeof out);
  return out;
}
template <class T>
void assign(raw_address& address, const T& from, std::uint32_t size = sizeof(T)) {
  address = {};
  std::memcpy(address.storage, &from, sizeof from);
  address.size = size;
}

inline int family_of(const raw_address& address) {
  return address.size < sizeof(sa_family_t) ? AF_UNSPEC : viewed_as<sockaddr>(address).sa_family;
}
inline int port_of(const raw_address& address) {
  switch (family_of(address)) {
    case AF_INET:
      return ntohs(viewed_as<sockaddr_in>(address).sin_port);
    case AF_INET6:
      return ntohs(viewed_as<sockaddr_in6>(address).sin6_port);
    default:
      return 0;
  }
}
inline void set_port(raw_address& address, int port) {
  const auto bits = htons(static_cast<std::uint16_t>(port));
  if (family_of(address) == AF_INET) {
    auto in = viewed_as<sockaddr_in>(address);
    in.sin_port = bits;
    assign(address, in);
  } else {
    auto in = viewed_as<sockaddr_in6>(address);
    in.sin6_port = bits;
    assign(address, in);
  }
}

// An IPv6 socket may speak IPv4, as on Linux. It has IPv4 addresses as ::ffff:127.0.0.1 then; to
// others, and in what is asked below, they are what they are on the wire.
inline constexpr unsigned char mapped_net[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
inline raw_address on_wire(const raw_address& address) {
  if (family_of(address) != AF_INET6) return address;
  const auto six = viewed_as<sockaddr_in6>(address);
  if (std::memcmp(six.sin6_addr.s6_addr, mapped_net, sizeof mapped_net) != 0) return address;
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_port = six.sin6_port;
  std::memcpy(&in.sin_addr, six.sin6_addr.s6_addr + sizeof mapped_net, sizeof in.sin_addr);
  raw_address plain;
  assign(plain, in);
  return plain;
}
// As a socket of the family has it.
inline raw_address as_seen_by(int family, const raw_address& address) {
  if (family != AF_INET6) return on_wire(address);
  if (family_of(address) != AF_INET) return address;
  const auto in = viewed_as<sockaddr_in>(address);
  sockaddr_in6 six{};
  six.sin6_family = AF_INET6;
  six.sin6_port = in.sin_port;
  std::memcpy(six.sin6_addr.s6_addr, mapped_net, sizeof mapped_net);
  std::memcpy(six.sin6_addr.s6_addr + sizeof mapped_net, &in.sin_addr, sizeof in.sin_addr);
  raw_address mapped;
  assign(mapped, six);
  return mapped;
}
inline int wire_family_of(const raw_address& address) { return family_of(on_wire(address)); }

inline bool is_any(const raw_address& given) {
  const raw_address address = on_wire(given);
  if (family_of(address) == AF_INET) {
    return viewed_as<sockaddr_in>(address).sin_addr.s_addr == htonl(INADDR_ANY);
  }
  const in6_addr host = viewed_as<sockaddr_in6>(address).sin6_addr;
  return IN6_IS_ADDR_UNSPECIFIED(&host);
}
inline bool is_loopback(const raw_address& given) {
  const raw_address address = on_wire(given);
  if (family_of(address) == AF_INET) {
    return ntohl(viewed_as<sockaddr_in>(address).sin_addr.s_addr) >> 24 == IN_LOOPBACKNET;
  }
  const in6_addr host = viewed_as<sockaddr_in6>(address).sin6_addr;
  return IN6_IS_ADDR_LOOPBACK(&host);
}
inline bool is_same_host(const raw_address& one, const raw_address& other) {
  const raw_address a = on_wire(one);
  const raw_address b = on_wire(other);
  if (family_of(a) != family_of(b)) return false;
  if (family_of(a) == AF_INET) {
    return viewed_as<sockaddr_in>(a).sin_addr.s_addr == viewed_as<sockaddr_in>(b).sin_addr.s_addr;
  }
  const in6_addr left = viewed_as<sockaddr_in6>(a).sin6_addr;
  const in6_addr right = viewed_as<sockaddr_in6>(b).sin6_addr;
  return IN6_ARE_ADDR_EQUAL(&left, &right);
}
inline raw_address loopback(int family, int port) {
  raw_address address;
  if (family == AF_INET) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assign(address, in);
  } else {
    sockaddr_in6 in{};
    in.sin6_family = AF_INET6;
    in.sin6_addr = IN6ADDR_LOOPBACK_INIT;
    assign(address, in);
  }
  set_port(address, port);
  return address;
}
inline raw_address any_address(int family) {
  raw_address address = loopback(family, 0);
  if (family == AF_INET) {
    auto in = viewed_as<sockaddr_in>(address);
    in.sin_addr.s_addr = htonl(INADDR_ANY);
    assign(address, in);
  } else {
    auto in = viewed_as<sockaddr_in6>(address);
    in.sin6_addr = IN6ADDR_ANY_INIT;
    assign(address, in);
  }
  return address;
}
inline raw_address unnamed_unix() {
  raw_address address;
  sockaddr_un un{};
  un.sun_family = AF_UNIX;
  assign(address, un, sizeof(sa_family_t));
  return address;
}
// A path, or an abstract name with its leading zero byte.
inline std::string unix_name(const raw_address& address) {
  if (address.size <= path_offset) return {};
  const char* text = reinterpret_cast<const char*>(address.storage) + path_offset;
  const std::size_t size = std::min<std::size_t>(address.size, sizeof address.storage);
  if (*text == '\0') return std::string(text, size - path_offset);
  return std::string(text, strnlen(text, size - path_offset));
}
inline bool is_same(const raw_address& a, const raw_address& b) {
  return port_of(a) == port_of(b) && is_same_host(a, b);
}
// What a socket is bound to. With `ipv6_only`, which is IPV6_V6ONLY, [::] is of one family.
struct bound_address {
  const raw_address& at;
  bool ipv6_only = false;
};
// How well a socket suits what goes to `to`, as Linux has it; 0: not at all. One with that address
// is before one with all of its family, and that one before [::], which has both families.
inline int suits(const bound_address& local, const raw_address& to) {
  if (port_of(local.at) != port_of(to)) return 0;
  const int family = wire_family_of(local.at);
  const bool is_of_family = family == wire_family_of(to);
  if (is_any(local.at)) return is_of_family ? 2 : (family == AF_INET6 && !local.ipv6_only ? 1 : 0);
  return is_same_host(local.at, to) || (is_of_family && is_any(to)) ? 3 : 0;
}
// Both can't be bound, unless they share their port.
inline bool are_in_conflict(const bound_address& a, const bound_address& b) {
  return suits(a, b.at) != 0 || suits(b, a.at) != 0;
}
// Whether a socket may be bound so; it is known to have an address.
inline bool may_be_bound(const bound_address& where) {
  return !where.ipv6_only || wire_family_of(where.at) == AF_INET6;
}
// The machine that has an IPv4 address, or an IPv6 address below fd00::/96, which ends with the
// IPv4 one. 0 for all others.
inline constexpr unsigned char machines_net[12] = {0xfd};
inline host_number host_of(const raw_address& given) {
  const raw_address address = on_wire(given);
  std::uint32_t bits = 0;
  if (family_of(address) == AF_INET) {
    bits = viewed_as<sockaddr_in>(address).sin_addr.s_addr;
  } else if (family_of(address) == AF_INET6) {
    const in6_addr host = viewed_as<sockaddr_in6>(address).sin6_addr;
    if (std::memcmp(host.s6_addr, machines_net, sizeof machines_net) != 0) return 0;
    std::memcpy(&bits, host.s6_addr + sizeof machines_net, sizeof bits);
  }
  return ntohl(bits);
}
inline raw_address machine_address(int family, host_number host, int port) {
  raw_address address = loopback(family, 0);
  const std::uint32_t bits = htonl(host);
  if (family == AF_INET) {
    auto in = viewed_as<sockaddr_in>(address);
    in.sin_addr.s_addr = bits;
    assign(address, in);
  } else {
    auto in = viewed_as<sockaddr_in6>(address);
    std::memcpy(in.sin6_addr.s6_addr, machines_net, sizeof machines_net);
    std::memcpy(in.sin6_addr.s6_addr + sizeof machines_net, &bits, sizeof bits);
    assign(address, in);
  }
  set_port(address, port);
  return address;
}

}  // namespace weir::detail
