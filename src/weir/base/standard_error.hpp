// Writing to standard error where nothing else may be trusted: in signal handlers, failed
// assertions, crashes.
#pragma once

#include <cstddef>

namespace weir {

/// Writes all of it, retrying when interrupted; gives up silently when standard error is gone.
/// Async-signal-safe.
void write_standard_error(const char* text, std::size_t size) noexcept;

}  // namespace weir
