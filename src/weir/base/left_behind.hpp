// How a library's object tells a test what its users have left unfinished when it goes: a broker
// its messages that nobody has answered. The hard idea: whoever runs the test hears it, and no
// product pays: outside of a virtual run it is one look at a thread-local pointer that is null.
#pragma once

#include <string_view>

namespace weir::detail {

/// Told when an object goes and somebody has left something with it; null: nobody listens.
inline constinit thread_local void (*tell_left_behind)(std::string_view what) noexcept = nullptr;

}  // namespace weir::detail
