#include <weir/core/frame.hpp>

#include <weir/base/assert.hpp>
#include <weir/core/detail/world_text.hpp>
#include <weir/core/error_trace.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/select.hpp>
#include <weir/core/string_sink.hpp>
#include <weir/core/wait.hpp>

#include <exception>

namespace weir::detail {

constinit thread_local task_header* running_task = nullptr;
constinit thread_local std::uintptr_t running_leaf = 0;

std::coroutine_handle<> boundary::resumed() noexcept {
  detail::assertion_failed("this boundary waits by itself", __FILE__, __LINE__, __func__);
}

namespace {

[[noreturn, gnu::cold, gnu::noinline]] void stop_for_wrong_loop(const task_header& task,
                                                                loop* here) noexcept {
  WEIR_ASSERT(here &&
              "a wait ends on its loop's thread; on others use loop::post() or weir::cross");
  string_sink text;  // cut where there is no memory
  text.put("a wait ends on its task's loop; between loops use weir::cross or loop::post(): task ");
  text.put_number(task.id);
  text.put(" of loop '");
  text.put(task.current->on().name());
  text.put("', spawned at ");
  text.put_place(task.here);
  text.put(", is woken on loop '");
  text.put(here->name());
  text.put("'");
  put_worlds("; the one is of", &task.current->on().io(), ", the other of", &here->io(), text);
  assertion_failed(text.text.c_str(), __FILE__, __LINE__, __func__);
}

}  // namespace

void put_worlds(const char* before_one, const driver* one, const char* before_other,
                const driver* other, text_sink& out) noexcept {
  const auto put = put_world.load(std::memory_order_relaxed);
  if (!put) return;
  string_sink first;
  string_sink second;
  put(one, first);
  put(other, second);
  if (first.text.empty() || second.text.empty() || first.text == second.text) return;
  out.put(before_one);
  out.put(" ");
  out.put(first.text.c_str());
  out.put(before_other);
  out.put(" ");
  out.put(second.text.c_str());
}

// Waits end on their loop's own thread. To see that costs a look at the task, whose header may be
// far away in memory; it is written here anyway.
void wait::complete() noexcept {
  loop* const on = loop::current();
  if (&task->current->on() != on) [[unlikely]]
    stop_for_wrong_loop(*task, on);
  if (is_branch()) [[unlikely]]
    return wait_branch::of(*this).end(branch_state::done);
  on->make_ready(*task);
}

void wait::complete_cancelled() noexcept {
  if (is_branch()) [[unlikely]]
    return wait_branch::of(*this).end(branch_state::left);
  task->is_unwinding = true;
  complete();
}

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
