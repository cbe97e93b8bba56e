// Fuzzes the reader of cron expressions: whatever it takes has a next time, which lies after the
// moment, and the one after it lies later still.
#include <weir/flow/cron.hpp>

#include <weir/base/assert.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto times = weir::cron_times::parse(text);
  if (!times) return 0;
  weir::time_point at(1'767'225'600'000'000'000);  // 2026-01-01
  for (int i = 0; i < 3; ++i) {
    const weir::time_point next = times->next_after(at);
    WEIR_ASSERT(next > at && next != weir::time_point::never());
    at = next;
  }
  return 0;
}
