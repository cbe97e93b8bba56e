// What the answer of a worker or a reply address means. Pure, so that the whole table is a test.
#pragma once

#include <weir/base/result.hpp>
#include <weir/base/time.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

enum class call_kind : std::uint8_t {
  delivered,  // 2xx: the body is the result
  busy,       // 429 and 503, or this server can't call now: not an attempt; come back later
  gone,       // 410: never again
  failed,     // everything else: an attempt
};

/// How a call ended. `text` says why for people, bounded by the broker's limit of error texts.
struct call_outcome {
  call_kind kind = call_kind::failed;
  std::string text;
  std::optional<duration> retry_after;

  bool operator==(const call_outcome&) const = default;
};

/// From an answer. `retry_after` is that field's value, absent when it is not there.
call_outcome outcome_of(int status, std::string_view body,
                        std::optional<std::string_view> retry_after, time_point wall_now);
/// From a call without a whole answer `within` its time: a time-out, a refused or broken
/// connection, or a lack of descriptors, memory or hosts here, for which no message pays with an
/// attempt.
call_outcome outcome_of(const error& why, duration within);

}  // namespace weir
