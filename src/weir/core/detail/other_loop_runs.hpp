// A loop inside of another one's wait.
#pragma once

#include <weir/core/frame.hpp>
#include <weir/core/loop.hpp>

#include <utility>

namespace weir::detail {

/// While it exists, the loop of this thread stands aside and another one may run its turns: for a
/// driver that has whole programs to run while its own loop waits in it.
class other_loop_runs {
 public:
  other_loop_runs() noexcept
      : loop_(std::exchange(loop::current_, nullptr)),
        task_(std::exchange(running_task, nullptr)),
        leaf_(std::exchange(running_leaf, 0)) {}
  other_loop_runs(const other_loop_runs&) = delete;
  other_loop_runs& operator=(const other_loop_runs&) = delete;
  ~other_loop_runs() {
    loop::current_ = loop_;
    running_task = task_;
    running_leaf = leaf_;
  }

 private:
  loop* loop_;
  task_header* task_;
  std::uintptr_t leaf_;
};

}  // namespace weir::detail
