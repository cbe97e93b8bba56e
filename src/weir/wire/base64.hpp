// Base64 with the standard alphabet and padding (RFC 4648, section 4).
#pragma once

#include <weir/base/result.hpp>

#include <cstddef>
#include <string>
#include <string_view>

namespace weir {

/// Writes the encoding of `data` at the end of `out`.
void append_base64(std::string& out, std::string_view data);
std::string encode_base64(std::string_view data);

/// Strict: a text has one meaning and a meaning one text. Refuses white space, missing padding,
/// other alphabets and bits behind the end (`malformed`), and results over `bytes_max`
/// (`too_large`).
result<std::string> decode_base64(std::string_view text, std::size_t bytes_max);

}  // namespace weir
