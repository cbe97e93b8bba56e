#include <weir/io/address_rules.hpp>

#include <weir/base/text.hpp>

#include <fmt/format.h>
#include <netinet/in.h>

#include <algorithm>
#include <array>
#include <cstring>

namespace weir {

namespace {

constexpr std::uint64_t ipv4_mapped = std::uint64_t{0xffff} << 32;

std::uint64_t big_endian(const unsigned char* from) noexcept {
  std::uint64_t out = 0;
  for (int i = 0; i < 8; ++i) out = out << 8 | from[i];
  return out;
}

struct named_set {
  std::string_view name;
  std::array<std::string_view, 6> blocks;
};

// RFC 6890 and its successors; the addresses of metadata services as their makers document them
// (most clouds; Amazon over IPv6; Alibaba; Oracle).
constexpr std::array<named_set, 6> sets{{
    {"loopback", {"127.0.0.0/8", "::1", "0.0.0.0/8", "::"}},
    {"private",
     {"10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7", "fec0::/10"}},
    {"link-local", {"169.254.0.0/16", "fe80::/10"}},
    {"metadata", {"169.254.169.254", "fd00:ec2::254", "100.100.100.200", "192.0.0.192"}},
    {"multicast", {"224.0.0.0/4", "240.0.0.0/4", "ff00::/8"}},
    {"all", {"0.0.0.0/0", "::/0"}},
}};

}  // namespace

std::optional<ip_number> ip_number_of(const address& of) noexcept {
  const raw_address& raw = of.raw();
  if (of.family() == address_family::ipv4) {
    struct sockaddr_in four;
    std::memcpy(&four, raw.storage, sizeof four);
    return ip_number{.high = 0, .low = ipv4_mapped | ntohl(four.sin_addr.s_addr)};
  }
  if (of.family() == address_family::ipv6) {
    struct sockaddr_in6 six;
    std::memcpy(&six, raw.storage, sizeof six);
    return ip_number{.high = big_endian(six.sin6_addr.s6_addr),
                     .low = big_endian(six.sin6_addr.s6_addr + 8)};
  }
  return std::nullopt;
}

ip_number embedded_ipv4(ip_number number) noexcept {
  constexpr std::uint64_t nat64 = 0x0064'ff9b'0000'0000;  // 64:ff9b::/96, RFC 6052
  const auto four = [](std::uint64_t bits) {
    return ip_number{.high = 0, .low = ipv4_mapped | (bits & 0xffff'ffff)};
  };
  if (number.high == nat64 && number.low >> 32 == 0) return four(number.low);
  if (number.high >> 48 == 0x2002) return four(number.high >> 16);  // 6to4, RFC 3056
  // ::a.b.c.d, RFC 4291, 2.5.5.1: deprecated, and still routed by some.
  if (number.high == 0 && number.low >> 32 == 0 && number.low > 1) return four(number.low);
  return number;
}

result<ip_block> ip_block::parse(std::string_view text) {
  const auto refuse = [&] {
    return fail(
        errc::invalid_argument,
        fmt::format("'{}' is no block of addresses: write 10.0.0.0/8, fd00::/8 or 10.1.2.3", text));
  };
  const std::size_t slash = text.find('/');
  const std::string_view host = text.substr(0, slash);
  const bool is_name =
      host.find(':') == host.npos && (host.empty() || host.back() < '0' || host.back() > '9');
  if (is_name) return refuse();  // "localhost" is none of its addresses, nor is "*"
  const result<address> base = address::parse(host, 0);
  const std::optional<ip_number> number = base ? ip_number_of(*base) : std::nullopt;
  if (!number) return refuse();
  const int width = base->family() == address_family::ipv4 ? 32 : 128;
  ip_block made{.base = *number, .prefix = 128};
  if (slash != text.npos) {
    const result<std::uint64_t> prefix =
        parse_number(text.substr(slash + 1), static_cast<std::uint64_t>(width));
    if (!prefix) return refuse();
    made.prefix = static_cast<int>(*prefix) + 128 - width;
  }
  return made;
}

bool ip_block::contains(ip_number number) const noexcept {
  const auto same = [](std::uint64_t a, std::uint64_t b, int bits) {
    return bits <= 0 || (a ^ b) >> (64 - std::min(bits, 64)) == 0;
  };
  return same(base.high, number.high, prefix) && same(base.low, number.low, prefix - 64);
}

result<void> address_rules::add(std::vector<rule>& to, std::string_view text) {
  const auto append = [&](std::string_view block) -> result<void> {
    const result<ip_block> parsed = ip_block::parse(block);
    if (!parsed) return fail(parsed.error());
    to.push_back({*parsed, std::string(text)});
    return {};
  };
  for (const named_set& one : sets) {
    if (one.name != text) continue;
    for (const std::string_view block : one.blocks) {
      if (block.empty()) continue;
      if (result<void> added = append(block); !added) return added;
    }
    return {};
  }
  const bool is_word = !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || c == '-';
  });
  if (is_word) {
    return fail(errc::invalid_argument,
                fmt::format("'{}' is no set of addresses: loopback, private, link-local, "
                            "metadata, multicast and all are",
                            text));
  }
  return append(text);
}

result<address_rules> address_rules::parse(std::span<const std::string> denied,
                                           std::span<const std::string> allowed) {
  address_rules made;
  if (denied.size() + allowed.size() > rules_max) {
    return fail(errc::too_large, fmt::format("more than {} rules for addresses", rules_max));
  }
  for (const std::string& text : denied) {
    if (result<void> added = add(made.denied_, text); !added) return fail(added.error());
  }
  for (const std::string& text : allowed) {
    if (result<void> added = add(made.allowed_, text); !added) return fail(added.error());
  }
  return made;
}

std::string_view address_rules::denying(const address& one) const noexcept {
  const std::optional<ip_number> given = ip_number_of(one);
  if (!given) return denied_.empty() ? std::string_view() : denied_.front().text;
  const ip_number number = embedded_ipv4(*given);
  const auto holds = [&](const rule& r) {
    return r.block.contains(number) || r.block.contains(*given);
  };
  if (std::ranges::any_of(allowed_, holds)) return {};
  const auto found = std::ranges::find_if(denied_, holds);
  return found == denied_.end() ? std::string_view() : std::string_view(found->text);
}

}  // namespace weir
