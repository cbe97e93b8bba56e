#include <weir/wire/internal/http_host.hpp>

#include <weir/wire/internal/http1_scan.hpp>

#include <algorithm>
#include <cstddef>

namespace weir::detail {

namespace {
constexpr std::size_t host_field_bytes_max = 255;  // RFC 1035, 2.3.4

bool is_hex(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
}

bool read_port(std::string_view digits, std::uint16_t& port) {
  if (digits.size() > 5) return false;
  unsigned number = 0;
  for (char c : digits) {
    if (c < '0' || c > '9') return false;
    number = number * 10 + static_cast<unsigned>(c - '0');
  }
  port = static_cast<std::uint16_t>(number);
  return number <= 65535;
}
}  // namespace

bool split_host(std::string_view text, host_parts& parts) noexcept {
  std::size_t name_end = 0;
  if (text.starts_with('[')) {
    name_end = text.find(']');
    if (name_end == std::string_view::npos || name_end < 3) return false;
    parts.name = text.substr(1, name_end - 1);
    parts.is_ipv6 = true;
    const bool is_address =
        std::ranges::all_of(parts.name, [](char c) { return is_hex(c) || c == ':' || c == '.'; });
    if (!is_address || std::ranges::count(parts.name, ':') < 2 || parts.name.size() > 45) {
      return false;  // the address itself is read by whoever connects to it
    }
    ++name_end;
  } else {
    const char* begin = text.data();
    name_end = static_cast<std::size_t>(skip_class(in_host, begin, begin + text.size()) - begin);
    if (name_end > host_field_bytes_max) return false;
    parts.name = text.substr(0, name_end);
  }
  if (name_end == text.size()) return true;
  if (text[name_end] != ':') return false;
  const std::string_view digits = text.substr(name_end + 1);
  if (digits.empty()) return true;  // "name:" is legal and means no port
  parts.has_port = true;
  return read_port(digits, parts.port);
}

}  // namespace weir::detail
