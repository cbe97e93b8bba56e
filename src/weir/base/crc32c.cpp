#include <weir/base/crc32c.hpp>

#include <weir/base/assert.hpp>

#include <array>
#include <bit>
#include <cstring>

#if defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace weir {

namespace {
constexpr std::uint32_t polynomial_reflected = 0x82f63b78;

// Slicing-by-8 (Kounavis and Berry 2005): tables[k][b] is the sum of byte b followed by k zero
// bytes, so that eight bytes cost eight independent look-ups instead of a chain of eight.
constexpr auto tables = [] {
  std::array<std::array<std::uint32_t, 256>, 8> made{};
  for (std::uint32_t byte = 0; byte < 256; ++byte) {
    std::uint32_t sum = byte;
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1) ^ ((sum & 1) ? polynomial_reflected : 0);
    made[0][byte] = sum;
  }
  for (std::size_t k = 1; k < 8; ++k) {
    for (std::size_t byte = 0; byte < 256; ++byte) {
      const std::uint32_t before = made[k - 1][byte];
      made[k][byte] = (before >> 8) ^ made[0][before & 0xff];
    }
  }
  return made;
}();

// What `count` zero bytes (a power of two) do to a sum is a linear map of its 32 bits, so it is a
// table per byte of the sum: [k][b] is the map of byte b at place k.
using zeros_map = std::array<std::array<std::uint32_t, 256>, 4>;

constexpr std::uint32_t mapped(const std::array<std::uint32_t, 32>& by_bit, std::uint32_t sum) {
  std::uint32_t result = 0;
  for (std::size_t bit = 0; bit < 32; ++bit) result ^= ((sum >> bit) & 1) ? by_bit[bit] : 0;
  return result;
}

constexpr zeros_map map_of_zeros(std::size_t count) {
  std::array<std::uint32_t, 32> by_bit{};
  for (std::size_t bit = 0; bit < 32; ++bit) {
    const std::uint32_t sum = std::uint32_t{1} << bit;
    by_bit[bit] = (sum >> 8) ^ tables[0][sum & 0xff];
  }
  for (; count > 1; count /= 2) {
    std::array<std::uint32_t, 32> twice{};
    for (std::size_t bit = 0; bit < 32; ++bit) twice[bit] = mapped(by_bit, by_bit[bit]);
    by_bit = twice;
  }
  zeros_map made{};
  for (std::size_t k = 0; k < 4; ++k) {
    for (std::uint32_t byte = 0; byte < 256; ++byte)
      made[k][byte] = mapped(by_bit, byte << (8 * k));
  }
  return made;
}

constexpr std::size_t long_part = 2048;
constexpr std::size_t short_part = 256;
constexpr zeros_map over_long_part = map_of_zeros(long_part);
constexpr zeros_map over_short_part = map_of_zeros(short_part);

static_assert(std::endian::native == std::endian::little,
              "the eight-byte steps read little-endian");
}  // namespace

std::uint32_t crc32c(std::string_view data, std::uint32_t seed) noexcept {
  return detail::has_crc32c_instruction() ? detail::crc32c_hardware(data, seed)
                                          : detail::crc32c_software(data, seed);
}

namespace detail {

std::uint32_t crc32c_software(std::string_view data, std::uint32_t seed) noexcept {
  std::uint32_t sum = ~seed;
  const char* at = data.data();
  std::size_t left = data.size();
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    word ^= sum;
    sum = tables[7][word & 0xff] ^ tables[6][(word >> 8) & 0xff] ^ tables[5][(word >> 16) & 0xff] ^
          tables[4][(word >> 24) & 0xff] ^ tables[3][(word >> 32) & 0xff] ^
          tables[2][(word >> 40) & 0xff] ^ tables[1][(word >> 48) & 0xff] ^ tables[0][word >> 56];
  }
  for (; left > 0; ++at, --left) {
    sum = (sum >> 8) ^ tables[0][(sum ^ static_cast<unsigned char>(*at)) & 0xff];
  }
  return ~sum;
}

#if defined(__x86_64__)
bool has_crc32c_instruction() noexcept { return __builtin_cpu_supports("sse4.2"); }

namespace {

std::uint32_t moved_over(const zeros_map& zeros, std::uint64_t sum) noexcept {
  return zeros[0][sum & 0xff] ^ zeros[1][(sum >> 8) & 0xff] ^ zeros[2][(sum >> 16) & 0xff] ^
         zeros[3][(sum >> 24) & 0xff];
}

std::uint64_t word_at(const char* at) noexcept {
  std::uint64_t word;
  std::memcpy(&word, at, sizeof word);
  return word;
}

// The instruction takes 3 cycles but one can be started in each, so one chain does a third of what
// is possible. Three chains run side by side over neighbouring parts; each of the first two is then
// moved over what the next one read (Gopal et al., "Fast CRC Computation for iSCSI Polynomial Using
// CRC32 Instruction", 2011).
template <std::size_t Part>
__attribute__((target("sse4.2"))) void sum_in_threes(const char*& at, std::size_t& left,
                                                     std::uint64_t& sum,
                                                     const zeros_map& over_part) noexcept {
  for (; left >= 3 * Part; left -= 3 * Part) {
    std::uint64_t second = 0;
    std::uint64_t third = 0;
    for (const char* end = at + Part; at != end; at += 8) {
      sum = _mm_crc32_u64(sum, word_at(at));
      second = _mm_crc32_u64(second, word_at(at + Part));
      third = _mm_crc32_u64(third, word_at(at + 2 * Part));
    }
    sum = moved_over(over_part, sum) ^ second;
    sum = moved_over(over_part, sum) ^ third;
    at += 2 * Part;
  }
}

}  // namespace

__attribute__((target("sse4.2"))) std::uint32_t crc32c_hardware(std::string_view data,
                                                                std::uint32_t seed) noexcept {
  std::uint64_t sum = ~seed;
  const char* at = data.data();
  std::size_t left = data.size();
  sum_in_threes<long_part>(at, left, sum, over_long_part);
  sum_in_threes<short_part>(at, left, sum, over_short_part);
  for (; left >= 8; at += 8, left -= 8) sum = _mm_crc32_u64(sum, word_at(at));
  auto rest = static_cast<std::uint32_t>(sum);
  for (; left > 0; ++at, --left) rest = _mm_crc32_u8(rest, static_cast<unsigned char>(*at));
  return ~rest;
}
#else
bool has_crc32c_instruction() noexcept { return false; }

std::uint32_t crc32c_hardware(std::string_view, std::uint32_t) noexcept {
  WEIR_ASSERT(has_crc32c_instruction());
  return 0;
}
#endif

}  // namespace detail
}  // namespace weir
