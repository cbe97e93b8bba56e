// Any bytes as a journal: records that a damaged or foreign file could hold must be refused or
// applied, never break the state. Each record is: kind, 2 bytes of length, payload.
#include <weir/broker/broker_record.hpp>

#include <weir/base/assert.hpp>
#include <weir/broker/broker_state.hpp>

#include <cstddef>
#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  constexpr std::size_t head = 3;
  std::string_view rest(reinterpret_cast<const char*>(data), size);
  weir::broker_state state({1, 2}, {});
  weir::record_batch batch;
  weir::location where{1, 0, 0};
  weir::time_point now(1'000'000);
  while (rest.size() >= head) {
    const auto kind = static_cast<weir::record_kind>(rest[0] & 15);
    std::size_t length = static_cast<unsigned char>(rest[1]) | (rest[2] & 1) << 8;
    rest.remove_prefix(head);
    if (length > rest.size()) length = rest.size();
    where.offset += where.size;
    where.size = static_cast<std::uint32_t>(length + head);
    static_cast<void>(state.apply({kind, rest.substr(0, length)}, where));
    rest.remove_prefix(length);
    now = now + weir::duration::milliseconds(1);
    batch.clear();
    static_cast<void>(state.tick(now, 10, batch));
  }
  WEIR_ASSERT(state.audit().empty());
  return 0;
}
