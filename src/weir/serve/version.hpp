// The version of this build.
#pragma once

#include <string_view>

namespace weir {

/// "0.1.0", as CMakeLists.txt says.
std::string_view version() noexcept;

}  // namespace weir
