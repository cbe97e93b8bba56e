// What every await asks of its scope and its loop: compiled into it, since calls would cost more
// than the answers. Included by wait.hpp, at its end, because scopes have waits of their own.
#pragma once

#include <weir/core/scope.hpp>
#include <weir/core/wait.hpp>

namespace weir::detail {

inline bool may_finish_now(const task_header& task) noexcept { return task.current->on().spend(); }

}  // namespace weir::detail
