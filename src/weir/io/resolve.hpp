// Host names to addresses, by c-ares on the loop: no thread waits for a name server.
#pragma once

#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/io/address.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace weir {

enum class resolved_families : std::uint8_t { both, ipv4, ipv6 };

struct resolve_options {
  duration try_timeout = duration::seconds(2);  // of the first try; the next ones take longer
  int tries = 3;                                // per server
  const char* servers = nullptr;  // "10.0.0.1,10.0.0.2:5353"; null: as resolv.conf says
  // What servers are asked for. With search domains the one family may be that of another name than
  // the other.
  resolved_families families = resolved_families::both;
};

inline constexpr std::size_t host_bytes_max = 253;         // RFC 1035, section 3.1, as text
inline constexpr std::size_t resolved_addresses_max = 64;  // more are left out

/// The addresses of a host, IPv6 and IPv4, best first. Numeric addresses, "localhost" and the names
/// below it ("api.localhost", RFC 6761) ask nobody and are what they are, whatever families are
/// asked for; then come /etc/hosts and the name servers.
/// `not_found` when the name has no address, `timed_out` when no server answers, `refused` when
/// none can be reached or each says that it fails (SERVFAIL; its library does not tell the two
/// apart), `full` without a descriptor to ask with, `invalid_argument` for what can't be a name and
/// for less than one try or a millisecond. A cancellation ends the query at once.
[[nodiscard]] task<std::vector<address>> resolve(std::string host, std::uint16_t port,
                                                 resolve_options options = {});

}  // namespace weir
