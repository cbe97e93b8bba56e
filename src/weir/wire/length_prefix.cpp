#include <weir/wire/length_prefix.hpp>

#include <weir/base/defect.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace weir {

namespace {

constexpr std::size_t varint_bytes_max = 10;

std::size_t width_of(length_format format) noexcept {
  switch (format) {
    case length_format::one_byte:
      return 1;
    case length_format::two_bytes:
      return 2;
    case length_format::four_bytes:
      return 4;
    case length_format::eight_bytes:
      return 8;
    case length_format::varint:
      break;
  }
  return 0;
}

std::size_t largest_of(length_format format) noexcept {
  const std::size_t width = width_of(format);
  if (width == 0 || width >= sizeof(std::size_t)) return std::numeric_limits<std::size_t>::max();
  return (std::size_t{1} << (8 * width)) - 1;
}

}  // namespace

length_prefix::length_prefix(length_format format, std::size_t bytes_max, byte_order order) noexcept
    : format_(format), order_(order), bytes_max_(std::min(bytes_max, largest_of(format))) {}

std::size_t length_prefix::width() const noexcept { return width_of(format_); }

result<length_prefix::length> length_prefix::read_length(std::string_view have) const {
  length read;
  if (format_ != length_format::varint) {
    const std::size_t size = width();
    if (have.size() < size) return read;
    for (std::size_t i = 0; i < size; ++i) {
      const std::size_t at = order_ == byte_order::big ? i : size - 1 - i;
      read.value = read.value << 8 | static_cast<unsigned char>(have[at]);
    }
    read.head_size = size;
    return read;
  }
  for (std::size_t i = 0; i < std::min(have.size(), varint_bytes_max); ++i) {
    const auto byte = static_cast<unsigned char>(have[i]);
    if (i == varint_bytes_max - 1 && byte > 1) break;  // bit 64 and what is above it
    read.value |= std::uint64_t{byte & 0x7fu} << (7 * i);
    if ((byte & 0x80) != 0) continue;
    if (byte == 0 && i != 0)
      return fail(errc::malformed, "the length of a frame is a varint with more bytes than needed");
    read.head_size = i + 1;
    return read;
  }
  if (have.size() < varint_bytes_max) return length{};
  return fail(errc::malformed, "the length of a frame is a varint of more than 64 bits");
}

result<frame_place> length_prefix::find(std::string_view have, std::size_t) const {
  const result<length> read = read_length(have);
  if (!read) return fail(read.error());
  if (read->head_size == 0) return frame_place{};
  if (read->value > bytes_max_) {
    return fail(errc::too_large, fmt::format("a frame of {} bytes is over the limit of {} bytes",
                                             read->value, bytes_max_));
  }
  const auto size = static_cast<std::size_t>(read->value);
  if (is_planted("wire: a frame is whole when one byte follows") &&
      have.size() - read->head_size == size)
    return frame_place{};
  if (have.size() - read->head_size < size) return frame_place{};
  return frame_place{true, read->head_size, size, read->head_size + size};
}

result<frame_edges> length_prefix::around(std::string_view frame) const {
  if (frame.size() > bytes_max_) {
    return fail(errc::too_large, fmt::format("a frame of {} bytes is over the limit of {} bytes",
                                             frame.size(), bytes_max_));
  }
  frame_edges edges;
  std::uint64_t rest = frame.size();
  if (format_ == length_format::varint) {
    do {
      const auto low = static_cast<unsigned char>(rest & 0x7f);
      rest >>= 7;
      edges.bytes[edges.head_size++] = static_cast<char>(rest != 0 ? low | 0x80 : low);
    } while (rest != 0);
    return edges;
  }
  edges.head_size = width();
  for (std::size_t i = 0; i < edges.head_size; ++i) {
    const std::size_t at = order_ == byte_order::little ? i : edges.head_size - 1 - i;
    edges.bytes[at] = static_cast<char>(rest & 0xff);
    rest >>= 8;
  }
  return edges;
}

}  // namespace weir
