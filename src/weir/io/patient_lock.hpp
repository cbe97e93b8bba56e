// A lock that a process which has just been killed may still hold: the kernel ends what it had in
// flight (a read over io_uring keeps its file open) after its parent has heard of its end.
#pragma once

#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/io/file.hpp>

namespace weir {

/// How long a lock of the dead is waited for.
inline constexpr duration lock_patience = duration::seconds(1);

/// file::try_lock(), again and again for up to `patience`; false when somebody has it still.
task<bool> lock_within(duration patience, file& what);

}  // namespace weir
