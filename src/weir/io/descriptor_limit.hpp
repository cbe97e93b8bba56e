// How many descriptors this process may have open.
#pragma once

#include <cstdint>

namespace weir {

/// Raises the limit to the most that the system allows this process (RLIMIT_NOFILE: what is in
/// force is commonly 1,024, for programs that use select()), and gives it.
std::uint64_t raise_descriptor_limit() noexcept;

}  // namespace weir
