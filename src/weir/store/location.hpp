// Where a record lies in the journal: enough to read it back, to count a segment's live bytes and
// to ask whether one record was written before another.
#pragma once

#include <compare>
#include <cstdint>

namespace weir {

/// A record's place. Locations of one journal grow in the order of appending, so that "durable up
/// to here" is one comparison. A size of 0 is no place.
struct location {
  std::uint32_t segment = 0;  // number of the segment, counted from 1
  std::uint32_t offset = 0;   // bytes from the segment's start
  std::uint32_t size = 0;     // bytes that the record takes there, its framing included

  constexpr auto operator<=>(const location&) const = default;
  constexpr explicit operator bool() const noexcept { return size != 0; }

  /// Later than every record: the watermark of a journal that has nothing in flight.
  static constexpr location last() noexcept { return {UINT32_MAX, UINT32_MAX, UINT32_MAX}; }
};

}  // namespace weir
