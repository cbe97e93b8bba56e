#include <weir/apps/terminal.hpp>

#include <unistd.h>

#include <cstdlib>

namespace weir {

namespace {

const char* code_of(text_style style) noexcept {
  switch (style) {
    case text_style::good:
      return "\x1b[32m";
    case text_style::bad:
      return "\x1b[31m";
    case text_style::faint:
      return "\x1b[2m";
  }
  return "";
}

}  // namespace

bool is_terminal(int descriptor) noexcept {
  const char* kind = std::getenv("TERM");
  return isatty(descriptor) == 1 && kind != nullptr && std::string_view(kind) != "dumb";
}

std::string styled(text_style style, std::string_view text, int descriptor) {
  const char* refused = std::getenv("NO_COLOR");  // https://no-color.org: any text but none
  if (!is_terminal(descriptor) || (refused != nullptr && *refused != '\0')) {
    return std::string(text);
  }
  return std::string(code_of(style)).append(text).append("\x1b[0m");
}

}  // namespace weir
