// Hashes for tables, not for secrets. The hard idea: a table whose keys come from outside can be
// made quadratic by anyone who can predict the hash, so such tables use SipHash with a secret key;
// keys that we made ourselves (ids, pointers, sequence numbers) take a mix of two multiplications.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace weir {

/// The secret of a keyed hash. Draw it from the environment's random source, once per process.
struct hash_key {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
};

/// SipHash-2-4 (Aumasson and Bernstein 2012): 64 bits that can't be predicted without the key.
std::uint64_t siphash(hash_key key, std::string_view data) noexcept;

/// Spreads an integer over all 64 bits; a bijection, so distinct integers stay distinct
/// (the finaliser "variant 13" of Stafford 2011, as in SplitMix64). Not for hostile keys.
constexpr std::uint64_t mix(std::uint64_t number) noexcept {
  number = (number ^ (number >> 30)) * 0xbf58476d1ce4e5b9;
  number = (number ^ (number >> 27)) * 0x94d049bb133111eb;
  return number ^ (number >> 31);
}

/// For unordered containers with keys of text from outside; looks up string_views without a copy.
struct keyed_hash {
  using is_transparent = void;
  hash_key key;
  std::size_t operator()(std::string_view text) const noexcept { return siphash(key, text); }
};

/// For unordered containers with keys of integers that we made ourselves.
struct mixing_hash {
  std::size_t operator()(std::uint64_t number) const noexcept { return mix(number); }
};

}  // namespace weir
