// The Retry-After field (RFC 9110, section 10.2.3): seconds, or a date.
#pragma once

#include <weir/base/time.hpp>

#include <optional>
#include <string_view>

namespace weir {

/// Nobody is obeyed for longer: a worker's clock may be years off.
constexpr duration retry_after_max = duration::seconds(86'400);

/// How long to wait from `wall_now` on; a date that has passed is 0. Nothing for text that is
/// neither form. Dates are read in the one form that RFC 9110 lets servers send:
/// "Sun, 06 Nov 1994 08:49:37 GMT".
std::optional<duration> parse_retry_after(std::string_view text, time_point wall_now) noexcept;

}  // namespace weir
