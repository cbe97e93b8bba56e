#include <weir/wire/utf8.hpp>

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace weir {

namespace {
bool is_between(char c, unsigned first, unsigned last) {
  const auto byte = static_cast<unsigned char>(c);
  return byte >= first && byte <= last;
}

// The size of the well-formed sequence at the front of `text`, 0 when there is none: the table of
// RFC 3629, section 4, where only the second byte's range depends on the first.
std::size_t sequence_size(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return 1;
  std::size_t size = 0;
  unsigned second_first = 0x80;
  unsigned second_last = 0xbf;
  if (first >= 0xc2 && first <= 0xdf) {
    size = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    size = 3;
    if (first == 0xe0) second_first = 0xa0;  // overlong below
    if (first == 0xed) second_last = 0x9f;   // surrogates above
  } else if (first >= 0xf0 && first <= 0xf4) {
    size = 4;
    if (first == 0xf0) second_first = 0x90;  // overlong below
    if (first == 0xf4) second_last = 0x8f;   // over U+10FFFF above
  }
  if (size == 0 || text.size() < size || !is_between(text[1], second_first, second_last)) return 0;
  for (std::size_t at = 2; at < size; ++at) {
    if (!is_between(text[at], 0x80, 0xbf)) return 0;
  }
  return size;
}

// The size of the front that is plain ASCII, in steps of eight bytes.
std::size_t ascii_size(std::string_view text) {
  std::size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    std::uint64_t word;
    std::memcpy(&word, text.data() + at, 8);
    if (word & 0x8080808080808080) break;
  }
  return at;
}
}  // namespace

bool is_utf8(std::string_view text) noexcept {
  while (!text.empty()) {
    text.remove_prefix(ascii_size(text));
    if (text.empty()) return true;
    const std::size_t size = sequence_size(text);
    if (size == 0) return false;
    text.remove_prefix(size);
  }
  return true;
}

std::string repair_utf8(std::string_view text) {
  std::string repaired;
  repaired.reserve(text.size());
  while (!text.empty()) {
    const std::size_t size = sequence_size(text);
    repaired += size == 0 ? std::string_view("\xef\xbf\xbd") : text.substr(0, size);
    text.remove_prefix(size == 0 ? 1 : size);
  }
  return repaired;
}

}  // namespace weir
