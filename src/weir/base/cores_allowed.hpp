// How many processors this thread and those that it starts may use: what taskset, containers and
// cgroup cpusets leave of the machine's.
#pragma once

namespace weir::detail {

/// At least 1.
unsigned cores_allowed() noexcept;

}  // namespace weir::detail
