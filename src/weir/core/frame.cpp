#include <weir/core/frame.hpp>

#include <weir/base/assert.hpp>
#include <weir/core/error_trace.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/select.hpp>
#include <weir/core/wait.hpp>

#include <exception>

namespace weir::detail {

std::coroutine_handle<> boundary::resumed() noexcept {
  detail::assertion_failed("this boundary waits by itself", __FILE__, __LINE__, __func__);
}

bool task_header::is_cancelled() const noexcept { return current->is_cancelled(); }

void wait::begin() noexcept {
  WEIR_ASSERT(!task->waiting);  // (1)
  task->waiting = this;
  task->state = task_state::waiting;
  task->since = task->current->on().turn_time();
}

// Waits end on their loop's own thread. The loop is not asked of the task, whose header may be far
// away in memory: so the header is written only, and the misses of many waits that end in one turn
// overlap.
void wait::complete() noexcept {
  if (is_branch()) [[unlikely]]
    return wait_branch::of(*this).end(branch_state::done);
  task->waiting = nullptr;
  loop::current()->make_ready(*task);
}

void wait::complete_cancelled() noexcept {
  if (is_branch()) [[unlikely]]
    return wait_branch::of(*this).end(branch_state::left);
  task->is_unwinding = true;
  complete();
}

bool may_finish_now(task_header& task) noexcept { return task.current->on().spend(); }

std::coroutine_handle<> requeue(task_header& task) noexcept {
  task.current->on().make_ready(task);
  return std::noop_coroutine();
}

namespace {
// The nearest boundary above a frame.
boundary* boundary_above(frame_base* frame) noexcept {
  while (!frame->parent_is_boundary()) frame = frame->parent_frame();
  return frame->parent_boundary();
}
}  // namespace

std::coroutine_handle<> unwind(task_header& task) noexcept {
  WEIR_ASSERT(!task.waiting);  // (2)
  if ((task.leaf & 1) != 0) {
    return reinterpret_cast<boundary*>(task.leaf & ~std::uintptr_t{1})->child_stopped();
  }
  // (3): the boundary drops its body; each frame's destruction drops the child that it awaits
  // before its own locals.
  return boundary_above(reinterpret_cast<frame_base*>(task.leaf))->child_stopped();
}

std::coroutine_handle<> unwind_above(boundary& from) noexcept {
  if (from.parent_is_boundary()) return from.parent_boundary()->child_stopped();
  return boundary_above(from.parent_frame())->child_stopped();
}

void note_error_crossed(frame_base& frame) noexcept {
  task_header* task = frame.owner;
  if (!task) return;
  if (!task->trace) task->trace = make_error_trace();
  if (task->trace) task->trace->note(frame, std::current_exception());
}

}  // namespace weir::detail
