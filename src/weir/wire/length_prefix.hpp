// Frames whose length stands before them: as 1, 2, 4 or 8 bytes, or as a varint (LEB128, seven bits
// a byte, lowest first, as in protocol buffers). The hard idea: a length is a stranger's word, so
// it is compared with the limit before anything waits for that many bytes.
#pragma once

#include <weir/io/frame_codec.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir {

enum class length_format : std::uint8_t {
  one_byte,
  two_bytes,
  four_bytes,
  eight_bytes,
  varint,  // 1 to 10 bytes; one that could be shorter is malformed
};
enum class byte_order : std::uint8_t { big, little };

/// A codec of frames with their length before them; see frame_codec.
///
/// Cancel:  plain value, no waits.
/// Order:   none.
/// Bound:   frames of at most bytes_max, which is cut to what the format can say.
/// Errors:  `too_large` over bytes_max; `malformed` for a varint over 64 bits or too long.
/// Threads: any.
class length_prefix {
 public:
  static constexpr std::size_t bytes_max_default = 1024 * 1024;

  explicit length_prefix(length_format format, std::size_t bytes_max = bytes_max_default,
                         byte_order order = byte_order::big) noexcept;

  result<frame_place> find(std::string_view have, std::size_t seen = 0) const;
  result<frame_place> find_last(std::string_view have) const { return find(have); }
  result<frame_edges> around(std::string_view frame) const;

  std::size_t bytes_max() const noexcept { return bytes_max_; }

 private:
  struct length {
    std::uint64_t value = 0;
    std::size_t head_size = 0;  // 0: more bytes are needed
  };
  result<length> read_length(std::string_view have) const;
  std::size_t width() const noexcept;

  length_format format_;
  byte_order order_;
  std::size_t bytes_max_;
};

}  // namespace weir
