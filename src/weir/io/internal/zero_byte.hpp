// Paths with a zero byte: the system would take what stands before it for the whole path.
#pragma once

#include <weir/base/error.hpp>

#include <fmt/format.h>

#include <exception>
#include <source_location>
#include <string>
#include <string_view>

namespace weir::detail {

inline bool has_zero(std::string_view text) noexcept { return text.find('\0') != text.npos; }

/// "open '/tmp': a zero byte follows"; without memory for the text, none.
inline error zero_byte(const char* what, const std::string& path,
                       std::source_location place = std::source_location::current()) noexcept {
  try {
    return {errc::invalid_argument, fmt::format("{} '{}': a zero byte follows", what, path.c_str()),
            place};
  } catch (const std::exception&) {
    return {errc::invalid_argument, place};
  }
}

}  // namespace weir::detail
