// How many connections each client has, so that one of them can't take them all.
#pragma once

#include <weir/io/address_rules.hpp>

#include <cstdint>
#include <map>
#include <optional>

namespace weir::http::detail {

/// Where a client is: an IPv4 address, or an IPv6 network of /64, which one machine may have for
/// itself. All zero: not counted.
struct client_place {
  ip_number network;
  bool is_counted() const noexcept { return network != ip_number(); }
};

class client_counts {
 public:
  /// Counts a connection; false, and not counted, when its client has `most` already.
  bool enter(const address& peer, std::uint32_t most, client_place& from) {
    if (peer.is_loopback()) return true;
    const std::optional<ip_number> number = ip_number_of(peer);
    if (!number) return true;
    const ip_number network =
        number->is_ipv4() ? *number : ip_number{.high = number->high, .low = 0};
    std::uint32_t& count = counts_[network];  // which may find no memory: `from` comes last
    if (count >= most) return false;
    ++count;
    from.network = network;
    return true;
  }
  void leave(const client_place& from) noexcept {
    if (!from.is_counted()) return;
    const auto found = counts_.find(from.network);
    if (--found->second == 0) counts_.erase(found);
  }

 private:
  std::map<ip_number, std::uint32_t> counts_;
};

}  // namespace weir::http::detail
