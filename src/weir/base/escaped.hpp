// Names from outside in a line of text: they can't make lines of their own, nor steer a terminal.
#pragma once

#include <fmt/format.h>

#include <iterator>
#include <string_view>

namespace weir {

/// Adds `text` to a string or a buffer: control bytes as \n or \x1b, in quotes also \" and \\;
/// UTF-8 stays as it is.
template <class Out>
void append_escaped(Out& out, std::string_view text, bool is_quoted) {
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      fmt::format_to(std::back_inserter(out), "\\n");
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(out), "\\x{:02x}", byte);
    } else {
      if (is_quoted && (c == '"' || c == '\\')) out.push_back('\\');
      out.push_back(c);
    }
  }
}

}  // namespace weir
