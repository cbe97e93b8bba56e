// Connecting to whichever of several addresses answers first (Happy Eyeballs, RFC 8305). The hard
// idea: an address that is dead says nothing, and a time-out for it would be too long for a user
// and too short for a slow network. So the next one is tried beside it before long, the two
// families in turn, and the first connection that stands ends the other tries.
//
//   attempt_delay   |--------|--------|
//   [2001:db8::1]   ?........................ ended by the first that stands
//   192.0.2.1                ? refused: the next one begins at once
//   [2001:db8::2]              ?--------- connected
#pragma once

#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/io/address.hpp>
#include <weir/io/socket.hpp>

#include <vector>

namespace weir {

/// Section 8 of RFC 8305 advises 250 ms, and 10 ms at the least.
inline constexpr duration attempt_delay_default = duration::milliseconds(250);

/// The addresses with their families in turn, beginning with the first one's; within a family the
/// order stays.
[[nodiscard]] std::vector<address> in_turn_by_family(std::vector<address> all);

/// Tries the addresses in their order, each `attempt_delay` after the one before or when that one
/// has failed. The first connection wins; the others are taken back, and one that had stood in the
/// same moment is closed. When none answers, the error of the try that failed last is raised;
/// `invalid_argument` for no address at all.
[[nodiscard]] task<socket> connect_any(std::vector<address> candidates,
                                       duration attempt_delay = attempt_delay_default);

}  // namespace weir
