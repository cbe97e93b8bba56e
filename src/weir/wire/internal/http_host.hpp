// The grammar of a host with an optional port (RFC 3986, 3.2.2), shared by heads and URLs.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir::detail {

enum class port_rule : std::uint8_t { optional, required };

struct host_parts {
  std::string_view name;  // without brackets
  std::uint16_t port = 0;
  bool has_port = false;
  bool is_ipv6 = false;
};

/// Splits "name", "name:80", "192.0.2.1:80" or "[::1]:80"; false when it is none of them. An empty
/// text is an empty name.
bool split_host(std::string_view text, host_parts& parts) noexcept;

inline bool is_host(std::string_view text, port_rule rule) noexcept {
  host_parts parts;
  if (!split_host(text, parts)) return false;
  return rule == port_rule::optional || (parts.has_port && !parts.name.empty());
}

}  // namespace weir::detail
