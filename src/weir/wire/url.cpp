#include <weir/wire/url.hpp>

#include <weir/base/text.hpp>
#include <weir/wire/internal/http1_scan.hpp>
#include <weir/wire/internal/http_host.hpp>

#include <arpa/inet.h>

#include <algorithm>

namespace weir {

namespace {
constexpr std::size_t name_bytes_max = 253;  // RFC 1035, 2.3.4, as text
constexpr std::size_t label_bytes_max = 63;

bool is_digit(char c) { return c >= '0' && c <= '9'; }
bool is_hex(char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

std::string lowered(std::string_view text) {
  std::string small(text);
  for (char& c : small) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return small;
}

std::unexpected<error> refuse(std::string_view why) {
  return fail(errc::invalid_argument, "URL: " + std::string(why));
}

// A name as DNS has it, with underscores, which container networks use.
bool is_dns_name(std::string_view name) {
  if (name.empty() || name.size() > name_bytes_max) return false;
  if (name.ends_with('.')) name.remove_suffix(1);
  while (true) {
    const std::string_view label = name.substr(0, name.find('.'));
    if (label.empty() || label.size() > label_bytes_max) return false;
    if (label.starts_with('-') || label.ends_with('-')) return false;
    for (char c : label) {
      if (!is_digit(c) && !(c >= 'a' && c <= 'z') && c != '-' && c != '_') return false;
    }
    if (label.size() == name.size()) return true;
    name.remove_prefix(label.size() + 1);
  }
}

// Is the last label a number? Then the host is an IPv4 address or nothing: inet_aton and browsers
// read "0x7f.1" and "2130706433" as addresses too, and a filter that takes them for names is
// fooled.
bool ends_in_number(std::string_view name) {
  if (name.ends_with('.')) name.remove_suffix(1);
  std::string_view label = name.substr(name.rfind('.') + 1);
  if (label.starts_with("0x")) return std::ranges::all_of(label.substr(2), is_hex);
  return !label.empty() && std::ranges::all_of(label, is_digit);
}

template <int Family>
bool is_address(const std::string& text) {
  unsigned char address[16];
  return inet_pton(Family, text.c_str(), address) == 1;
}

result<void> read_host(url& made, const detail::host_parts& parts) {
  made.host = lowered(parts.name);
  if (parts.is_ipv6) {
    made.kind = host_kind::ipv6;
    if (!is_address<AF_INET6>(made.host)) return refuse("the IPv6 address is not one");
  } else if (ends_in_number(made.host)) {
    made.kind = host_kind::ipv4;
    if (!is_address<AF_INET>(made.host)) {
      return refuse("a host that ends in a number must be four decimal numbers with dots");
    }
  } else if (!is_dns_name(made.host)) {
    return refuse("the host must be a DNS name, an IPv4 address or an [IPv6] address");
  }
  return {};
}

result<void> check_target(std::string_view target) {
  for (std::size_t at = 0; at < target.size(); ++at) {
    if (!detail::is_in(detail::in_target, target[at])) {
      return refuse("spaces, quotes, control bytes and non-ASCII must be percent-encoded");
    }
    if (target[at] == '%' &&
        (at + 2 >= target.size() || !is_hex(target[at + 1]) || !is_hex(target[at + 2]))) {
      return refuse("a percent sign must be followed by two hex digits");
    }
  }
  return {};
}
}  // namespace

result<url> parse_url(std::string_view text) {
  if (text.size() > url_text_bytes_max) {
    return fail(errc::too_large, "URL: over " + std::to_string(url_text_bytes_max) + " bytes");
  }
  url made;
  const std::size_t scheme_end = text.find("://");
  const std::string scheme = lowered(text.substr(0, std::min(scheme_end, text.size())));
  if (scheme_end == std::string_view::npos || (scheme != "http" && scheme != "https")) {
    return refuse("must start with http:// or https://");
  }
  made.scheme = scheme == "https" ? url_scheme::https : url_scheme::http;
  std::string_view rest = text.substr(scheme_end + 3);
  if (rest.find('#') != std::string_view::npos) return refuse("must not have a #fragment");
  const std::string_view authority = rest.substr(0, rest.find_first_of("/?"));
  rest.remove_prefix(authority.size());
  if (authority.find('@') != std::string_view::npos) {
    return refuse("must not hold a user name or password");
  }
  detail::host_parts parts;
  if (authority.empty() || !detail::split_host(authority, parts)) {
    return refuse("after the scheme must come a host and an optional port");
  }
  if ((parts.has_port && parts.port == 0) || authority.ends_with(':')) {
    return refuse("the port must be a number from 1 to 65535");
  }
  made.port = parts.has_port ? parts.port : made.is_tls() ? 443 : 80;
  if (auto read = read_host(made, parts); !read) return fail(std::move(read.error()));
  if (auto checked = check_target(rest); !checked) return fail(std::move(checked.error()));
  if (!rest.starts_with('/')) made.target = '/';
  made.target += rest;
  return made;
}

std::string url::authority() const {
  std::string made = kind == host_kind::ipv6 ? '[' + host + ']' : host;
  if (port != (is_tls() ? 443 : 80)) (made += ':') += std::to_string(port);
  return made;
}

std::string url::text() const { return (is_tls() ? "https://" : "http://") + authority() + target; }

}  // namespace weir
