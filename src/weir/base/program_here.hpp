// Whose code runs on this thread: that of a program in a virtual world, or that of the world and of
// the test around it. The hard idea: both are on one stack (the program asks its driver, the driver
// completes what the program asked for), so each side says so where it calls the other. Test tools
// need it: memory fails and calls of the system are refused for the program only.
#pragma once

#include <utility>

namespace weir::detail {

/// What is known of a program that runs in a virtual world.
struct simulated_program {
  bool may_have_threads = false;  // virtual_options::threads: not all of it is simulated
  void* memory = nullptr;         // whoever counts it: sim/memory_watch.hpp
};

/// The program whose code runs on this thread now; null: nobody's.
inline constinit thread_local const simulated_program* program_here = nullptr;

/// While it exists, the code that runs on this thread is a program's.
class program_runs {
 public:
  explicit program_runs(const simulated_program* whose) noexcept
      : before_(std::exchange(program_here, whose)) {}
  program_runs(const program_runs&) = delete;
  program_runs& operator=(const program_runs&) = delete;
  ~program_runs() { program_here = before_; }

  /// Who was interrupted.
  const simulated_program* before() const noexcept { return before_; }

 private:
  const simulated_program* before_;
};

/// While it exists, the code that runs on this thread is the world's.
class world_runs : public program_runs {
 public:
  world_runs() noexcept : program_runs(nullptr) {}
};

}  // namespace weir::detail
