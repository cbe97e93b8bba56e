// Where a socket is: an IPv4 or IPv6 address with a port, or the path of a Unix socket.
#pragma once

#include <weir/base/result.hpp>
#include <weir/core/driver.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

enum class address_family : std::uint8_t { none, ipv4, ipv6, unix_path };

/// The address of one end of a connection.
///
/// Cancel:  plain value, no waits.
/// Order:   none.
/// Bound:   132 bytes; Unix paths of at most 107 bytes.
/// Errors:  parse() says what is wrong with a text and shows what a right one looks like.
/// Threads: copies may be used from different threads.
class address {
 public:
  address() = default;
  explicit address(const raw_address& raw) noexcept : raw_(raw) {}

  /// "127.0.0.1:80", "[::1]:80", "localhost:80", "*:80" (every IPv4 interface),
  /// "unix:/run/weir.sock".
  static result<address> parse(std::string_view text);
  /// The same in two parts: a numeric host, "localhost" or a name below it (RFC 6761), or "*";
  /// brackets around IPv6 may be left out.
  static result<address> parse(std::string_view host, std::uint16_t port);
  static address loopback(std::uint16_t port) noexcept;
  /// A path beginning with '@' is in Linux's abstract name space: no file.
  static result<address> unix_path(std::string_view path);

  address_family family() const noexcept;
  /// 0 for Unix sockets.
  std::uint16_t port() const noexcept;
  address with_port(std::uint16_t port) const noexcept;
  /// Reachable from this machine only: 127.0.0.0/8, ::1, Unix sockets.
  bool is_loopback() const noexcept;
  /// What parse() reads: "[::1]:80".
  std::string text() const;

  const raw_address& raw() const noexcept { return raw_; }
  raw_address& raw() noexcept { return raw_; }
  friend bool operator==(const address& a, const address& b) noexcept;

 private:
  raw_address raw_;
};

}  // namespace weir
