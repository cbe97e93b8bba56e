// A lock on a file that is also read, where the process before may have been killed. A read over
// io_uring that a worker of the kernel makes keeps its file open, and with it the lock, after the
// process's parent has heard of its end: for up to 12 ms in some of a hundred kills (Linux 6.18).
#pragma once

#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/io/file.hpp>

namespace weir {

/// How long a start waits for the lock of the server before.
inline constexpr duration lock_patience = duration::seconds(1);

/// file::try_lock(), again and again for up to `patience`; false when somebody has it still.
task<bool> lock_within(duration patience, file& what);

}  // namespace weir
