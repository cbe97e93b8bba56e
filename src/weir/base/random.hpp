// Seeded random numbers: the same seed gives the same numbers on every machine and in every build,
// which is what lets a failed simulation be replayed. Not for secrets.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/base/hash.hpp>

#include <cstdint>

namespace weir {

/// A stream of numbers drawn from one seed (xoshiro256**, Blackman and Vigna 2018; period 2^256-1).
///
/// Cancel:  plain value, no waits.
/// Order:   the n-th number depends on the seed and n alone; a copy repeats what it gives.
/// Bound:   32 bytes.
/// Errors:  none; an empty range is a bug of the caller and stops the process.
/// Threads: one at a time; split() gives another thread a stream of its own.
class random_source {
 public:
  explicit constexpr random_source(std::uint64_t seed) noexcept {
    // SplitMix64, as the authors advise: even seed 0 gives a state that is not all zero.
    for (std::uint64_t& word : state_) word = mix(seed += 0x9e3779b97f4a7c15);
  }

  /// 64 bits, each value equally likely.
  constexpr std::uint64_t next() noexcept {
    const std::uint64_t drawn = rotated(state_[1] * 5, 7) * 9;
    const std::uint64_t shifted = state_[1] << 17;
    state_[2] ^= state_[0];
    state_[3] ^= state_[1];
    state_[1] ^= state_[2];
    state_[0] ^= state_[3];
    state_[2] ^= shifted;
    state_[3] = rotated(state_[3], 45);
    return drawn;
  }

  /// A number of [0, n), without bias (Lemire 2019: one multiplication, hardly ever a division).
  constexpr std::uint64_t below(std::uint64_t n) noexcept {
    WEIR_ASSERT(n > 0);
    const unsigned __int128 product = static_cast<unsigned __int128>(next()) * n;
    if (static_cast<std::uint64_t>(product) < n) [[unlikely]]
      return evened(product, n);
    return static_cast<std::uint64_t>(product >> 64);
  }

  /// A number of [first, last], both included.
  constexpr std::int64_t between(std::int64_t first, std::int64_t last) noexcept {
    WEIR_ASSERT(first <= last);
    const auto width = static_cast<std::uint64_t>(last) - static_cast<std::uint64_t>(first);
    const std::uint64_t step = width == UINT64_MAX ? next() : below(width + 1);
    return static_cast<std::int64_t>(static_cast<std::uint64_t>(first) + step);
  }

  /// A number of [0, 1) with all 53 bits of a double's fraction.
  constexpr double unit() noexcept { return static_cast<double>(next() >> 11) * 0x1p-53; }

  /// True with probability `p`: never at 0, always at 1.
  constexpr bool chance(double p) noexcept { return unit() < p; }

  /// Fills `size` bytes.
  constexpr void fill(char* out, std::size_t size) noexcept {
    for (std::size_t at = 0; at < size;) {
      std::uint64_t word = next();
      for (int i = 0; i < 8 && at < size; ++i, ++at, word >>= 8) {
        out[at] = static_cast<char>(word & 0xff);
      }
    }
  }

  /// A stream of its own: what is drawn from it does not move this one, beyond this one draw.
  constexpr random_source split() noexcept { return random_source(next()); }

 private:
  // The numbers that would make some answers likelier than others are drawn again.
  constexpr std::uint64_t evened(unsigned __int128 product, std::uint64_t n) noexcept {
    const std::uint64_t uneven = (0 - n) % n;
    while (static_cast<std::uint64_t>(product) < uneven) {
      product = static_cast<unsigned __int128>(next()) * n;
    }
    return static_cast<std::uint64_t>(product >> 64);
  }
  static constexpr std::uint64_t rotated(std::uint64_t word, int by) noexcept {
    return (word << by) | (word >> (64 - by));
  }

  std::uint64_t state_[4]{};
};

}  // namespace weir
