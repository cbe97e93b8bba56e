// Fuzzes the readers of durations, sizes and numbers: what they take must read back equal, and
// whatever is written must be taken.
#include <weir/base/text.hpp>

#include <weir/base/assert.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const auto length = weir::parse_duration(text)) {
    WEIR_ASSERT(weir::parse_duration(weir::format_duration(*length)).value() == *length);
  }
  if (const auto number = weir::parse_number(text)) {
    WEIR_ASSERT(weir::parse_number(std::to_string(*number)).value() == *number);
  }
  std::int64_t drawn = 0;
  if (size >= sizeof drawn) {
    std::memcpy(&drawn, data, sizeof drawn);
    // parse_duration takes up to 100 years.
    const weir::duration length((drawn < 0 ? ~drawn : drawn) % (36'500 * 86'400'000'000'000));
    WEIR_ASSERT(weir::parse_duration(weir::format_duration(length)).value() == length);
  }
  return 0;
}
