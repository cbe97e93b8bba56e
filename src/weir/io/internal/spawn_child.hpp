// What a command becomes before it is started, why a start failed, and child processes as system
// calls. The hard idea: posix_spawn and nothing of our own between fork and exec: it shares our
// memory instead of copying its page tables, and it tells why an exec has failed.
#pragma once

#include <weir/base/result.hpp>
#include <weir/io/child_host.hpp>

namespace weir::detail {

/// The part of a plan that needs no handles; `invalid_argument` for what can't be passed on.
result<child_plan> plan_of(const child_host& host, const command& what);

/// Why the start failed, in words that name what is missing.
error spawn_failure(driver& io, const child_plan& plan, int number);

/// The children of this process; has no state of its own.
child_host& kernel_children() noexcept;

}  // namespace weir::detail
