// Where a line ends in bytes that arrive bit by bit: at "\n", or at "\r\n". Shared by whoever reads
// lines, so that all of them agree about the two ends, the limit, and a line that is not whole yet.
#pragma once

#include <cstddef>
#include <string_view>

namespace weir {

enum class line_state : unsigned char { whole, unfinished, too_long };

/// The first line of some bytes.
struct line_place {
  line_state state = line_state::unfinished;
  std::size_t size = 0;   // without its end
  std::size_t total = 0;  // with its end
};

/// Finds the first line in `have`, of which the first `seen` bytes are known to hold no "\n". A
/// line is too long when it has more than `bytes_max` bytes without its end.
inline line_place find_line(std::string_view have, std::size_t seen,
                            std::size_t bytes_max) noexcept {
  const std::size_t end = have.find('\n', seen);
  if (end == std::string_view::npos) {
    // The last byte may be the '\r' of the end.
    const std::size_t size = have.ends_with('\r') ? have.size() - 1 : have.size();
    return {size > bytes_max ? line_state::too_long : line_state::unfinished, 0, 0};
  }
  const std::size_t size = end != 0 && have[end - 1] == '\r' ? end - 1 : end;
  return {size > bytes_max ? line_state::too_long : line_state::whole, size, end + 1};
}

}  // namespace weir
