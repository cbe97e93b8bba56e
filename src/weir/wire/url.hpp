// Absolute http and https URLs (RFC 3986, RFC 9110 section 4.2), as a server stores them to call
// them later. The hard idea: such URLs come from strangers, so a text that two libraries could take
// for two hosts ("http://a@b", "http://0x7f.1", "http://a\b") is refused instead of interpreted.
#pragma once

#include <weir/base/result.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

inline constexpr std::size_t url_text_bytes_max = 4096;

enum class url_scheme : std::uint8_t { http, https };
enum class host_kind : std::uint8_t { name, ipv4, ipv6 };

/// The parts of a URL, checked.
struct url {
  url_scheme scheme = url_scheme::http;
  host_kind kind = host_kind::name;
  std::string host;  // small letters; an IPv6 address without its brackets
  std::uint16_t port = 80;
  std::string target;  // path and query as they go into a request line: "/a?b"

  bool is_tls() const noexcept { return scheme == url_scheme::https; }
  /// What goes into the Host field: the port only when it is not the scheme's own.
  std::string authority() const;
  /// The URL as text; parse_url() reads it back to equal parts.
  std::string text() const;

  bool operator==(const url&) const = default;
};

/// What may go into logs and errors: queries hold secrets.
inline std::string_view url_without_query(std::string_view text) noexcept {
  return text.substr(0, text.find('?'));
}

/// Reads a URL. Errors: `invalid_argument` with the reason, `too_large` over url_text_bytes_max.
result<url> parse_url(std::string_view text);

}  // namespace weir
