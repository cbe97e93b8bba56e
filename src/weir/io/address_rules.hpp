// Which addresses a program may call on behalf of strangers: blocks that are denied, but for those
// that are allowed. The hard idea: the address that is asked about is the one that is connected to,
// after the name was resolved; a name that answers differently the second time (DNS rebinding)
// gains nothing.
#pragma once

#include <weir/base/result.hpp>
#include <weir/io/address.hpp>

#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// An IP address as a number; IPv4 addresses are the block ::ffff:0:0/96.
struct ip_number {
  std::uint64_t high = 0;
  std::uint64_t low = 0;

  bool is_ipv4() const noexcept { return high == 0 && low >> 32 == 0xffff; }
  auto operator<=>(const ip_number&) const = default;
};

/// Nothing for Unix sockets.
std::optional<ip_number> ip_number_of(const address& of) noexcept;
/// Where packets to the address end up: the IPv4 address inside of IPv6 ones that only carry one
/// (mapped, NAT64, 6to4), so that a rule for it can't be walked around.
ip_number embedded_ipv4(ip_number number) noexcept;

/// "10.0.0.0/8", "fd00::/8"; a single address is a block of its own.
struct ip_block {
  ip_number base;
  int prefix = 128;  // of 128 bits, also for IPv4

  static result<ip_block> parse(std::string_view text);
  bool contains(ip_number number) const noexcept;
};

/// Denied and allowed blocks.
///
/// Cancel:  plain value, no waits.
/// Order:   what is allowed wins over what is denied.
/// Bound:   rules_max blocks.
/// Errors:  parse() says which rule is none, and what a rule looks like.
/// Threads: immutable; may be used from any thread.
class address_rules {
 public:
  static constexpr std::size_t rules_max = 1'000;

  address_rules() = default;  // denies nothing
  /// Rules are blocks or names of sets: `loopback` (127.0.0.0/8, ::1, and 0.0.0.0/8 and ::, which
  /// lead there), `private` (10/8, 172.16/12, 192.168/16, 100.64/10, fc00::/7, fec0::/10),
  /// `link-local` (169.254/16, fe80::/10), `metadata` (where clouds tell machines their secrets),
  /// `multicast` (224/4, 240/4, ff00::/8), `all`.
  static result<address_rules> parse(std::span<const std::string> denied,
                                     std::span<const std::string> allowed);

  /// The rule that denies it, as it was written; empty: it may be called. Unix sockets are denied
  /// wherever something is.
  std::string_view denying(const address& one) const noexcept;

 private:
  struct rule {
    ip_block block;
    std::string text;
  };
  static result<void> add(std::vector<rule>& to, std::string_view text);

  std::vector<rule> denied_;
  std::vector<rule> allowed_;
};

}  // namespace weir
