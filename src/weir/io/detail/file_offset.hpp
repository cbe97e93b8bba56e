// Where a file can be read and written at all.
#pragma once

#include <cstdint>
#include <limits>

namespace weir::detail {

// Systems count offsets in a signed number, and some take -1 for "where the last call ended".
inline constexpr std::uint64_t offset_max = std::numeric_limits<std::int64_t>::max();

/// So many bytes from there on end behind every file.
constexpr bool is_beyond_files(std::uint64_t offset, std::uint64_t size = 0) noexcept {
  return offset > offset_max || size > offset_max - offset;
}

}  // namespace weir::detail
