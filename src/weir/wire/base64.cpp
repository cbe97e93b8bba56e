#include <weir/wire/base64.hpp>

#include <array>
#include <cstdint>

namespace weir {

namespace {
constexpr std::string_view alphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::uint8_t no_value = 0xff;

constexpr auto values = [] {
  std::array<std::uint8_t, 256> made{};
  made.fill(no_value);
  for (std::size_t at = 0; at < alphabet.size(); ++at) {
    made[static_cast<unsigned char>(alphabet[at])] = static_cast<std::uint8_t>(at);
  }
  return made;
}();

unsigned byte_at(std::string_view text, std::size_t at) {
  return at < text.size() ? static_cast<unsigned char>(text[at]) : 0;
}
}  // namespace

void append_base64(std::string& out, std::string_view data) {
  out.reserve(out.size() + (data.size() + 2) / 3 * 4);
  for (std::size_t at = 0; at < data.size(); at += 3) {
    const unsigned group =
        byte_at(data, at) << 16 | byte_at(data, at + 1) << 8 | byte_at(data, at + 2);
    out += alphabet[group >> 18];
    out += alphabet[group >> 12 & 63];
    out += at + 1 < data.size() ? alphabet[group >> 6 & 63] : '=';
    out += at + 2 < data.size() ? alphabet[group & 63] : '=';
  }
}

std::string encode_base64(std::string_view data) {
  std::string out;
  append_base64(out, data);
  return out;
}

result<std::string> decode_base64(std::string_view text, std::size_t bytes_max) {
  if (text.size() % 4 != 0) {
    return fail(errc::malformed, "base64 comes in groups of four characters: padding is missing");
  }
  const std::size_t padding = text.ends_with("==") ? 2 : text.ends_with('=') ? 1 : 0;
  const std::size_t size = text.size() / 4 * 3 - padding;
  if (size > bytes_max) return fail(errc::too_large, "the base64 text decodes to too many bytes");
  const std::size_t characters = text.size() - padding;
  std::string data;
  data.reserve(size);
  unsigned bits = 0;
  int count = 0;
  for (std::size_t at = 0; at < characters; ++at) {
    const std::uint8_t value = values[static_cast<unsigned char>(text[at])];
    if (value == no_value) {
      return fail(errc::malformed,
                  "base64 has a character outside its alphabet at offset " + std::to_string(at));
    }
    bits = bits << 6 | value;
    count += 6;
    if (count >= 8) {
      count -= 8;
      data += static_cast<char>(bits >> count & 0xff);
      bits &= (1u << count) - 1;
    }
  }
  if (bits != 0) return fail(errc::malformed, "base64 has bits behind its end");
  return data;
}

}  // namespace weir
