// Fuzzes the codecs of frames: what is found must be found at every larger part of the same bytes
// and at no smaller one, and must be what is written around the same frame. The first byte of the
// input chooses the codec.
#include <weir/base/assert.hpp>
#include <weir/wire/length_prefix.hpp>
#include <weir/wire/line_frames.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace weir {
namespace {

constexpr std::size_t limit = 300;

template <frame_codec Codec>
void check(const Codec& codec, std::string_view input, bool is_one_text_per_frame) {
  std::string_view rest = input;
  while (!rest.empty()) {
    std::size_t seen = 0;
    result<frame_place> found = frame_place{};
    std::size_t have = 0;
    for (; have <= rest.size(); ++have) {
      // A copy of exactly that size, so that the address sanitizer sees each read beyond it.
      const std::string part(rest.substr(0, have));
      found = codec.find(part, seen);
      seen = have;
      if (!found || found->is_whole) break;
    }
    const result<frame_place> at_once = codec.find(rest, 0);
    WEIR_ASSERT(found.has_value() == at_once.has_value());
    if (!found) {
      WEIR_ASSERT(found.error().code() == errc::too_large ||
                  found.error().code() == errc::malformed);
      return;
    }
    WEIR_ASSERT(found->is_whole == at_once->is_whole);
    if (!found->is_whole) break;
    WEIR_ASSERT(found->total == have && at_once->total == have);
    WEIR_ASSERT(found->offset + found->size <= found->total && found->size <= limit);
    const std::string_view frame = rest.substr(found->offset, found->size);
    const result<frame_edges> edges = codec.around(frame);
    if (is_one_text_per_frame) {
      WEIR_ASSERT(edges &&
                  std::string(edges->head()) + std::string(frame) + std::string(edges->tail()) ==
                      rest.substr(0, found->total));
    } else if (edges) {
      const std::string written = std::string(frame) + std::string(edges->tail());
      WEIR_ASSERT(codec.find(written)->size == frame.size());
    }
    rest.remove_prefix(found->total);
  }
  if (const result<frame_place> last = codec.find_last(rest); last && last->is_whole)
    WEIR_ASSERT(last->total == rest.size());
}

}  // namespace
}  // namespace weir

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const unsigned kind = data[0] % 6;
  if (kind == 5) {
    weir::check(weir::line_frames(weir::limit), input, false);
    return 0;
  }
  const auto order = data[0] % 2 == 0 ? weir::byte_order::big : weir::byte_order::little;
  weir::check(weir::length_prefix(static_cast<weir::length_format>(kind), weir::limit, order),
              input, true);
  return 0;
}
