// Services to hosts and ports, by SRV records (RFC 2782). The hard idea: the name server says which
// hosts come first and how much each of those beside it should get, and every client draws lots by
// these weights; so the load is shared without anybody who shares it out.
#pragma once

#include <weir/base/random.hpp>
#include <weir/core/task.hpp>
#include <weir/io/resolve.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace weir {

inline constexpr std::size_t service_targets_max = 64;  // the last ones are left out

/// Where a service is offered: give `host` and `port` to connect().
struct service_target {
  std::string host;
  std::uint16_t port = 0;
  std::uint16_t priority = 0;  // lower ones first
  std::uint16_t weight = 0;    // its share among those of one priority

  friend bool operator==(const service_target&, const service_target&) = default;
};

/// The targets of a service, "_amqp._tcp.example.org", in the order in which to try them.
/// `not_found` when there is no such service, or when its record says that it is not offered;
/// `timed_out` when no server answers, `invalid_argument` for what can't be a name and for less
/// than one try or a millisecond. A cancellation ends the query at once.
[[nodiscard]] task<std::vector<service_target>> resolve_service(std::string name,
                                                                resolve_options options = {});

/// Lower priorities first; among equals one after the other by a lot in which each has its weight.
/// Those of weight 0 come last, but for a small chance (RFC 2782, "Weight").
[[nodiscard]] std::vector<service_target> by_priority_and_lot(std::vector<service_target> targets,
                                                              random_source& lots);

}  // namespace weir
