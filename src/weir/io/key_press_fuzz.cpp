// Fuzzes the decoder of keys: any bytes come to their end as keys, and keys do not depend on how
// the bytes were cut on their way: what a beginning gives without waiting, the whole gives too.
#include <weir/io/key_press.hpp>

#include <weir/base/assert.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace {

void check(std::string_view rest) {
  using weir::detail::decode_key;
  while (!rest.empty()) {
    const weir::detail::decoded_key whole = decode_key(rest, true);
    WEIR_ASSERT(whole.size != 0 && whole.size <= rest.size());
    for (std::size_t cut = 0; cut <= rest.size() && cut <= weir::detail::sequence_bytes_max;
         ++cut) {
      const weir::detail::decoded_key part = decode_key(rest.substr(0, cut), false);
      WEIR_ASSERT(part.size == 0 || (part.size == whole.size && part.press == whole.press));
    }
    rest.remove_prefix(whole.size);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  check({reinterpret_cast<const char*>(data), size});
  return 0;
}
