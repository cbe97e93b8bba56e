// What a codec of frames is to readers and writers: where the next frame lies in the bytes that are
// there, and what to write around one. Codecs hold no bytes and wait for nothing, so each is tested
// by tables; <weir/wire/length_prefix.hpp> and <weir/wire/line_frames.hpp> are two.
#pragma once

#include <weir/base/result.hpp>

#include <array>
#include <concepts>
#include <cstddef>
#include <string_view>

namespace weir {

/// A frame's place in the bytes of a stream: `[head][frame][tail]`.
struct frame_place {
  bool is_whole = false;   // false: more bytes are needed, and the rest says nothing
  std::size_t offset = 0;  // of the frame itself
  std::size_t size = 0;    // of the frame itself
  std::size_t total = 0;   // with what is around it
};

/// What is written around a frame.
struct frame_edges {
  static constexpr std::size_t edge_bytes_max = 16;

  std::array<char, edge_bytes_max> bytes{};
  std::size_t head_size = 0;  // the first of `bytes`; then the tail
  std::size_t tail_size = 0;

  std::string_view head() const noexcept { return {bytes.data(), head_size}; }
  std::string_view tail() const noexcept { return {bytes.data() + head_size, tail_size}; }
};

/// find(have) looks for a frame at the beginning of `have`; `seen` bytes of it were there when it
/// was last asked. find_last(have) is asked when nothing more will come. Both give `too_large` for
/// a frame over the codec's limit and `malformed` for bytes that can't be one. around(frame) gives
/// `too_large` or `invalid_argument` for what can't be written as a frame.
template <class C>
concept frame_codec = requires(const C& codec, std::string_view have, std::size_t seen) {
  { codec.find(have, seen) } -> std::same_as<result<frame_place>>;
  { codec.find_last(have) } -> std::same_as<result<frame_place>>;
  { codec.around(have) } -> std::same_as<result<frame_edges>>;
};

}  // namespace weir
