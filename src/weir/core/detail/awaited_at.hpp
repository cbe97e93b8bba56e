// Where a coroutine of the library is awaited: what it spawns for its caller is told as spawned
// there, and not at a line that the caller has never seen. Read off the frames, which know it
// anyway, since a parameter with a default can't follow a pack.
#pragma once

#include <source_location>

namespace weir::detail {

/// The place at which the coroutine that calls this is awaited, or spawned; frames of
/// with_timeout() and the like are passed over.
std::source_location awaited_at() noexcept;

}  // namespace weir::detail
