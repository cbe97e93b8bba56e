// The task tree as text: every scope and task of a loop, what each waits for, since when and where.
// Reads only pointers and strings that live in the binary, so it also works in a signal handler and
// in a stripped program.
#pragma once

#include <weir/core/frame.hpp>

#include <cstddef>
#include <cstdint>
#include <source_location>

namespace weir {

class loop;

namespace detail {

/// Writes to standard error in pieces, without allocation; async-signal-safe.
class stderr_sink final : public text_sink {
 public:
  using text_sink::put;
  ~stderr_sink() { flush(); }
  void put(const char* text, std::size_t size) noexcept override;
  void flush() noexcept;

 private:
  char held_[1024];
  std::size_t size_ = 0;
};

inline constexpr std::size_t dump_tasks_max = 10'000;  // more are counted, not printed
inline constexpr int dump_depth_max = 64;  // levels of the tree: handlers have a small stack

/// One line of an async stack: a coroutine and where it waits, or the label of a boundary.
struct stack_line {
  const char* label = nullptr;  // null: a coroutine
  const char* function = "";
  std::source_location here = {};
};
/// Fills `lines` with the stack of a task that does not run, innermost first; how many there are,
/// at most `count`. None before its first step.
std::size_t read_stack(const task_header& task, stack_line* lines, std::size_t count) noexcept;

/// A task as a walk over a loop meets it.
struct met_task {
  const task_header& task;
  std::uint64_t parent;  // the id of the task in whose scope it was spawned; 0: the loop's root
};
/// Calls visit() for every task of a loop. On the loop's own thread only; not for signal handlers.
void visit_tasks(loop& on, void (*visit)(void* context, const met_task& met), void* context);

/// Prints the task that runs on this thread and its async stack; nothing when none does.
void print_running_task(loop& on, text_sink& out) noexcept;

/// Prints the tree of one loop. On the loop's own thread, or while that thread stands still.
void print_task_tree(loop& on, text_sink& out) noexcept;

}  // namespace detail

/// The tree of the loop that runs on this thread, on standard error. Async-signal-safe.
void print_task_tree() noexcept;

}  // namespace weir
