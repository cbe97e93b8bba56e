// How long a failed message waits before it is tried again: capped exponential back-off with
// jitter. Pure: the spread comes from a number that the caller passes, so a replay gives the same.
#pragma once

#include <weir/base/time.hpp>
#include <weir/broker/queue_settings.hpp>

#include <cstdint>

namespace weir {

/// The wait after the `failures`-th failure (counted from 1), spread evenly over
/// [1 - jitter, 1 + jitter] times min(first * factor^(failures - 1), max) by the bits of `spread`.
/// The jitter comes after the cap: messages that fail for long must not march in step either.
duration retry_delay(const backoff_settings& backoff, std::uint32_t failures,
                     std::uint64_t spread) noexcept;

}  // namespace weir
