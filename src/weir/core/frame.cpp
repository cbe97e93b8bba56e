#include <weir/core/frame.hpp>

#include <weir/base/assert.hpp>
#include <weir/core/error_trace.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/select.hpp>
#include <weir/core/wait.hpp>

#include <exception>

namespace weir::detail {

constinit thread_local task_header* running_task = nullptr;
constinit thread_local std::uintptr_t running_leaf = 0;

std::coroutine_handle<> boundary::resumed() noexcept {
  detail::assertion_failed("this boundary waits by itself", __FILE__, __LINE__, __func__);
}

bool task_header::is_cancelled() const noexcept { return current->is_cancelled(); }

// Waits end on their loop's own thread. The loop is not asked of the task, whose header may be far
// away in memory: so the header is written only, and the misses of many waits that end in one turn
// overlap.
void wait::complete() noexcept {
  if (is_branch()) [[unlikely]]
    return wait_branch::of(*this).end(branch_state::done);
  loop* on = loop::current();
  WEIR_ASSERT(on && "a wait ends on its loop's thread; on others use loop::post() or weir::cross");
  on->make_ready(*task);
}

void wait::complete_cancelled() noexcept {
  if (is_branch()) [[unlikely]]
    return wait_branch::of(*this).end(branch_state::left);
  task->is_unwinding = true;
  complete();
}

bool may_finish_now(task_header& task) noexcept { return task.current->on().spend(); }

std::coroutine_handle<> requeue(task_header& task) noexcept {
  loop& on = task.current->on();
  on.make_ready(task);
  return on.next_step();
}

std::coroutine_handle<> next_step() noexcept { return loop::current()->next_step(); }

namespace {
// Stops the body below the nearest boundary above a frame.
std::coroutine_handle<> stop_body_around(frame_base* frame) noexcept {
  while (!frame->parent_is_boundary()) frame = frame->parent_frame();
  running_leaf = as_parent(frame->parent_boundary());  // (4)
  return frame->parent_boundary()->child_stopped(frame);
}
}  // namespace

std::coroutine_handle<> unwind(task_header& task) noexcept {
  WEIR_ASSERT(task.state != task_state::waiting);  // (2)
  if ((task.leaf & frame_base::boundary_bit) != 0) {
    return reinterpret_cast<boundary*>(task.leaf & ~frame_base::bits)->child_stopped(nullptr);
  }
  // (3): the boundary drops its body; each frame's destruction drops the child that it awaits
  // before its own locals.
  return stop_body_around(reinterpret_cast<frame_base*>(task.leaf));
}

std::coroutine_handle<> unwind_above(inner_boundary& from) noexcept {
  return stop_body_around(from.above);
}

void frame_base::fail() noexcept {
  note_error_crossed(*this);
  ::new (static_cast<void*>(&failure)) std::exception_ptr(std::current_exception());
  parent |= failed_bit;
}

void note_error_crossed(frame_base& frame) noexcept {
  task_header* task = running_task;
  if (!task) return;
  if (!task->trace) task->trace = make_error_trace();
  if (task->trace) task->trace->note(frame, std::current_exception());
}

}  // namespace weir::detail
