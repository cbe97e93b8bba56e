// UTF-8 (RFC 3629): what may stand in JSON as it is, and how to make anything fit.
#pragma once

#include <string>
#include <string_view>

namespace weir {

/// True when `text` is well-formed: no overlong forms, no surrogates, nothing over U+10FFFF.
bool is_utf8(std::string_view text) noexcept;

/// A copy with each byte that belongs to no well-formed sequence replaced by U+FFFD.
std::string repair_utf8(std::string_view text);

}  // namespace weir
