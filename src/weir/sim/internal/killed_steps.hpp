// The steps of a program that was killed: its frames are taken down by running its loop on, so that
// destructors and cleanups have their tasks around them. The hard idea: a task's first step is no
// part of that. What it would do there nobody has asked for any more, and what it refers to may be
// gone; so its frame is freed as it is.
#pragma once

#include <weir/core/frame.hpp>
#include <weir/core/loop.hpp>

#include <cstdint>

namespace weir::detail {

/// While it exists, tasks that a loop had at its beginning and that have not begun end instead of
/// beginning. It takes the place of the loop's observer, which hears the steps from it.
class killed_steps final : public loop_observer {
 public:
  explicit killed_steps(loop& on, loop_observer* hears = nullptr) noexcept
      : on_(on), hears_(hears), last_(on.stats().tasks_spawned) {
    on.observe(this);
  }
  killed_steps(const killed_steps&) = delete;
  killed_steps& operator=(const killed_steps&) = delete;
  ~killed_steps() override { on_.observe(hears_); }

  void before_step(std::uint64_t id) noexcept override {
    if (hears_) hears_->before_step(id);
    task_header& next = *on_.running();
    if (next.resumes == 0 && id <= last_) next.is_unwinding = true;
  }

 private:
  loop& on_;
  loop_observer* hears_;
  std::uint64_t last_;
};

}  // namespace weir::detail
