// Small helpers for text that std lacks: durations and sizes as people write them, whole-string
// number parsing, and the printed form of an error with its causes.
#pragma once

#include <weir/base/result.hpp>
#include <weir/base/time.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace weir {

/// "timed_out: read header (Connection timed out); because ...": one line, newest first.
std::string describe(const error& what);

/// Parses "250ms", "30s", "5m", "1h", "7d", "1h30m"; units ns us ms s m h d, each at most once,
/// largest first. A bare number, a sign, a fraction or anything over 100 years is refused with a
/// message that names the text.
result<duration> parse_duration(std::string_view text);
/// The shortest text that parse_duration reads back exactly: "1m30s", "250ms", "0s".
std::string format_duration(duration length);

/// A whole decimal number without sign, space or rest; not over `max`.
result<std::uint64_t> parse_number(std::string_view text, std::uint64_t max = UINT64_MAX);

/// ASCII only, as protocols need: independent of any locale.
bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept;
std::string_view trim(std::string_view text) noexcept;

}  // namespace weir
