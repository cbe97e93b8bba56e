// Character classes and scans of HTTP/1.1, shared by the parsers of heads and bodies.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

namespace weir::detail {

enum : std::uint8_t {
  in_token = 1,   // 9110, 5.6.2
  in_target = 2,  // see below
  in_host = 8,    // RFC 3986, 3.2.2: a name; without the comma, which would make a list of it
  in_value = 4,   // 9110, 5.5: everything but control bytes; tab is fine, so are bytes over 0x7f
};

inline constexpr auto character_classes = [] {
  std::array<std::uint8_t, 256> made{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool alphanumeric =
        (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    const char as_char = static_cast<char>(c);
    if (alphanumeric || (c != 0 && std::string_view("!#$%&'*+-.^_`|~").contains(as_char))) {
      made[c] |= in_token;
    }
    // A URI's characters (RFC 3986), and of the rest those that browsers leave unencoded in
    // queries. A fragment, a quote, an angle bracket or a backslash (which some proxies take for a
    // slash) is refused.
    if (c > 0x20 && c < 0x7f && !std::string_view("\"#<>\\").contains(as_char))
      made[c] |= in_target;
    if (alphanumeric || (c != 0 && std::string_view("-._~!$&'()*+;=%").contains(as_char))) {
      made[c] |= in_host;
    }
    if ((c >= 0x20 && c != 0x7f) || c == '\t') made[c] |= in_value;
  }
  return made;
}();

inline bool is_in(std::uint8_t classes, char c) noexcept {
  return (character_classes[static_cast<unsigned char>(c)] & classes) != 0;
}

/// The first byte of [at, end) outside the class, or end.
inline const char* skip_class(std::uint8_t classes, const char* at, const char* end) noexcept {
  // Four at a time: the loop's own work is as much as the look-up's.
  for (; end - at >= 4; at += 4) {
    if (!is_in(classes, at[0])) return at;
    if (!is_in(classes, at[1])) return at + 1;
    if (!is_in(classes, at[2])) return at + 2;
    if (!is_in(classes, at[3])) return at + 3;
  }
  while (at != end && is_in(classes, *at)) ++at;
  return at;
}

/// The first byte of [at, end) that can't be part of a field value, or end. Values are most of a
/// head's bytes, hence sixteen at a time.
inline const char* skip_value(const char* at, const char* end) noexcept {
#if defined(__SSE2__)
  const __m128i last_control = _mm_set1_epi8(0x1f);
  const __m128i tab = _mm_set1_epi8('\t');
  const __m128i del = _mm_set1_epi8(0x7f);
  while (end - at >= 16) {
    const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i control = _mm_cmpeq_epi8(_mm_min_epu8(bytes, last_control), bytes);
    const __m128i refused = _mm_or_si128(_mm_andnot_si128(_mm_cmpeq_epi8(bytes, tab), control),
                                         _mm_cmpeq_epi8(bytes, del));
    const int mask = _mm_movemask_epi8(refused);
    if (mask != 0) return at + __builtin_ctz(static_cast<unsigned>(mask));
    at += 16;
  }
#endif
  return skip_class(in_value, at, end);
}

/// Without the optional white space (9110, 5.6.3) around it.
[[gnu::always_inline]] inline std::string_view trim_ows(const char* from, const char* to) noexcept {
  while (from != to && (*from == ' ' || *from == '\t')) ++from;
  while (from != to && (to[-1] == ' ' || to[-1] == '\t')) --to;
  return {from, static_cast<std::size_t>(to - from)};
}

}  // namespace weir::detail
