// Lines as frames: each ends with "\n" or "\r\n", which is no part of it; the last one need not
// have an end.
#pragma once

#include <weir/io/frame_codec.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir {

enum class line_end : std::uint8_t { lf, crlf };

/// A codec of lines; see frame_codec. Both ends are read, `ends_with` is written.
///
/// Cancel:  plain value, no waits.
/// Order:   none.
/// Bound:   lines of at most bytes_max.
/// Errors:  `too_large` over bytes_max; around() gives `invalid_argument` for a text that would be
///          read as several lines, or lose a "\r" at its end.
/// Threads: any.
class line_frames {
 public:
  static constexpr std::size_t bytes_max_default = 64 * 1024;

  explicit line_frames(std::size_t bytes_max = bytes_max_default,
                       line_end ends_with = line_end::lf) noexcept
      : bytes_max_(bytes_max), ends_with_(ends_with) {}

  result<frame_place> find(std::string_view have, std::size_t seen = 0) const;
  result<frame_place> find_last(std::string_view have) const;
  result<frame_edges> around(std::string_view line) const;

  std::size_t bytes_max() const noexcept { return bytes_max_; }

 private:
  std::unexpected<error> too_large() const;

  std::size_t bytes_max_;
  line_end ends_with_;
};

}  // namespace weir
