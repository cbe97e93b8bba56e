// Work for a task on a thread that is not its loop's: a pool's, or one for what blocks. The hard
// idea: the task waits until the work has ended, so the scopes around it and what they bind stay as
// they are, and another thread may read them.
#pragma once

#include <utility>

namespace weir {
class scope;
}

namespace weir::detail {

/// The scope of the task that waits for what this thread does; null when it works for none.
extern constinit thread_local const scope* worked_for;

/// The innermost scope around the running task, or around the one that waits for this thread's
/// work; null when there is none.
const scope* scope_asking() noexcept;

/// While it exists, this thread works for a task in that scope.
class works_for {
 public:
  explicit works_for(const scope* one) noexcept : former_(std::exchange(worked_for, one)) {}
  works_for(const works_for&) = delete;
  works_for& operator=(const works_for&) = delete;
  ~works_for() { worked_for = former_; }

 private:
  const scope* former_;
};

}  // namespace weir::detail
