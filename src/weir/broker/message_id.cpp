#include <weir/broker/message_id.hpp>

#include <weir/base/assert.hpp>

#include <algorithm>
#include <array>
#include <cstddef>

namespace weir {

namespace {

// The digits of RFC 4648 base32 in lower case, reordered so that text sorts as the numbers do.
constexpr std::string_view digits = "234567abcdefghijklmnopqrstuvwxyz";
constexpr std::size_t id_bytes = 16;
constexpr std::size_t receipt_bytes = 20;

constexpr std::size_t text_size(std::size_t bytes) { return (bytes * 8 + 4) / 5; }

void put_big_endian(char* to, std::uint64_t value, std::size_t bytes) noexcept {
  for (std::size_t i = 0; i < bytes; ++i) {
    to[i] = static_cast<char>(static_cast<unsigned char>(value >> (8 * (bytes - 1 - i))));
  }
}

std::uint64_t get_big_endian(const char* from, std::size_t bytes) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < bytes; ++i) {
    value = value << 8 | static_cast<unsigned char>(from[i]);
  }
  return value;
}

template <std::size_t size>
std::string encode(const std::array<char, size>& raw) {
  std::string text;
  text.reserve(text_size(size));
  std::uint32_t bits = 0;
  int held = 0;
  for (const char byte : raw) {
    bits = bits << 8 | static_cast<unsigned char>(byte);
    for (held += 8; held >= 5; held -= 5) text.push_back(digits[(bits >> (held - 5)) & 31]);
  }
  if (held > 0) text.push_back(digits[(bits << (5 - held)) & 31]);
  return text;
}

int digit_value(char c) noexcept {
  if (c >= '2' && c <= '7') return c - '2';
  if (c >= 'a' && c <= 'z') return c - 'a' + 6;
  return -1;
}

template <std::size_t size>
bool decode(std::string_view text, std::array<char, size>& raw) noexcept {
  if (text.size() != text_size(size)) return false;
  std::uint32_t bits = 0;
  int held = 0;
  std::size_t made = 0;
  for (const char c : text) {
    const int value = digit_value(c);
    if (value < 0) return false;
    bits = bits << 5 | static_cast<std::uint32_t>(value);
    held += 5;
    if (held >= 8) {
      held -= 8;
      raw[made++] = static_cast<char>(static_cast<unsigned char>(bits >> held));
    }
  }
  // The last digit's spare bits must be zero, or one id would have several texts.
  return made == size && (bits & ((1u << held) - 1)) == 0;
}

std::uint64_t tag_of(hash_key secret, std::string_view purpose, std::string_view number) noexcept {
  constexpr std::size_t text_max = 32;
  std::array<char, text_max> text;
  WEIR_ASSERT(purpose.size() + number.size() <= text.size());
  char* const end = std::ranges::copy(number, std::ranges::copy(purpose, text.data()).out).out;
  return siphash(secret, {text.data(), static_cast<std::size_t>(end - text.data())});
}

template <std::size_t size>
std::string sealed(hash_key secret, std::string_view purpose, std::array<char, size> raw) {
  const std::uint64_t tag = tag_of(secret, purpose, {raw.data(), size - 8});
  put_big_endian(raw.data() + size - 8, tag, 8);
  return encode(raw);
}

template <std::size_t size>
bool opened(hash_key secret, std::string_view purpose, std::string_view text,
            std::array<char, size>& raw) noexcept {
  if (!decode(text, raw)) return false;
  return tag_of(secret, purpose, {raw.data(), size - 8}) ==
         get_big_endian(raw.data() + size - 8, 8);
}

}  // namespace

std::string id_codec::id_text(std::uint64_t sequence) const {
  std::array<char, id_bytes> raw{};
  put_big_endian(raw.data(), sequence, 8);
  return sealed(secret_, "message", raw);
}

std::string id_codec::receipt_text(receipt lease) const {
  std::array<char, receipt_bytes> raw{};
  put_big_endian(raw.data(), lease.sequence, 8);
  put_big_endian(raw.data() + 8, lease.lease, 4);
  return sealed(secret_, "receipt", raw);
}

std::optional<std::uint64_t> id_codec::parse_id(std::string_view text) const noexcept {
  std::array<char, id_bytes> raw{};
  if (!opened(secret_, "message", text, raw)) return std::nullopt;
  return get_big_endian(raw.data(), 8);
}

std::optional<receipt> id_codec::parse_receipt(std::string_view text) const noexcept {
  std::array<char, receipt_bytes> raw{};
  if (!opened(secret_, "receipt", text, raw)) return std::nullopt;
  return receipt{get_big_endian(raw.data(), 8),
                 static_cast<std::uint32_t>(get_big_endian(raw.data() + 8, 4))};
}

}  // namespace weir
