// A system call as an outcome: its value, or -errno.
#pragma once

#include <cerrno>
#include <cstdint>

namespace weir::detail {

/// Repeats a system call that a signal interrupted.
template <class Call>
std::int64_t outcome_of(Call call) noexcept {
  for (;;) {
    const std::int64_t value = call();
    if (value >= 0) return value;
    if (errno != EINTR) return -errno;
  }
}

}  // namespace weir::detail
