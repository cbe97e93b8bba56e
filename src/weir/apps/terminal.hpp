// What can be shown where: colours and moving lines belong on terminals only.
#pragma once

#include <string>
#include <string_view>

namespace weir {

enum class text_style : unsigned char { good, bad, faint };

/// True when the descriptor is a terminal that understands escape sequences (TERM is not `dumb`).
bool is_terminal(int descriptor) noexcept;
/// `text` in a colour when `descriptor` is a terminal and NO_COLOR is not set; else `text`.
std::string styled(text_style style, std::string_view text, int descriptor);

}  // namespace weir
