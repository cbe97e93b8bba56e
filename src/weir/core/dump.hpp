// The task tree as text: every scope and task of a loop, what each waits for, since when and where.
// Reads only pointers and strings that live in the binary, so it also works in a signal handler and
// in a stripped program.
#pragma once

#include <weir/core/frame.hpp>

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

/// Prints the tree of one loop. On the loop's own thread, or while that thread stands still.
void print_task_tree(loop& on, text_sink& out) noexcept;

}  // namespace detail

/// The tree of the loop that runs on this thread, on standard error. Async-signal-safe.
void print_task_tree() noexcept;

}  // namespace weir
