// Watched folders as system calls.
#pragma once

#include <weir/io/watch_host.hpp>

namespace weir::detail {

/// inotify; has no state of its own.
watch_host& kernel_watches() noexcept;

}  // namespace weir::detail
