#include <weir/base/hash.hpp>

#include <bit>
#include <cstring>

namespace weir {

namespace {
struct sip_state {
  std::uint64_t v0, v1, v2, v3;

  void round() noexcept {
    v0 += v1, v1 = std::rotl(v1, 13), v1 ^= v0, v0 = std::rotl(v0, 32);
    v2 += v3, v3 = std::rotl(v3, 16), v3 ^= v2;
    v0 += v3, v3 = std::rotl(v3, 21), v3 ^= v0;
    v2 += v1, v1 = std::rotl(v1, 17), v1 ^= v2, v2 = std::rotl(v2, 32);
  }
  void take(std::uint64_t word) noexcept {
    v3 ^= word;
    round();
    round();
    v0 ^= word;
  }
};
}  // namespace

std::uint64_t siphash(hash_key key, std::string_view data) noexcept {
  // The constants spell "somepseudorandomlygeneratedbytes".
  sip_state state{key.low ^ 0x736f6d6570736575, key.high ^ 0x646f72616e646f6d,
                  key.low ^ 0x6c7967656e657261, key.high ^ 0x7465646279746573};
  const char* at = data.data();
  std::size_t left = data.size();
  for (; left >= 8; at += 8, left -= 8) {
    std::uint64_t word;
    std::memcpy(&word, at, 8);
    state.take(word);
  }
  std::uint64_t last = 0;
  if (left != 0) std::memcpy(&last, at, left);
  state.take(last | static_cast<std::uint64_t>(data.size()) << 56);
  state.v2 ^= 0xff;
  for (int i = 0; i < 4; ++i) state.round();
  return state.v0 ^ state.v1 ^ state.v2 ^ state.v3;
}

}  // namespace weir
