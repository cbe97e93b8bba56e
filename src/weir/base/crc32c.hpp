// CRC-32C (Castagnoli polynomial 0x1EDC6F41, reflected), the checksum of iSCSI (RFC 3720, section
// B.4), ext4 and our journal: x86-64 computes eight bytes of it in one instruction.
#pragma once

#include <cstdint>
#include <string_view>

namespace weir {

/// The checksum of `data`. To go on over several pieces pass the sum so far as `seed`:
/// crc32c(b, crc32c(a)) equals the sum of a followed by b.
std::uint32_t crc32c(std::string_view data, std::uint32_t seed = 0) noexcept;

namespace detail {
/// True when this processor has the instruction (SSE 4.2).
bool has_crc32c_instruction() noexcept;
/// The two ways to compute it; the first may only be called when the question above says true.
std::uint32_t crc32c_hardware(std::string_view data, std::uint32_t seed) noexcept;
std::uint32_t crc32c_software(std::string_view data, std::uint32_t seed) noexcept;
}  // namespace detail

}  // namespace weir
