// Running a task to its end in a virtual world, and what came of it.
#pragma once

#include <weir/core/loop.hpp>
#include <weir/core/task.hpp>
#include <weir/core/unhandled.hpp>
#include <weir/sim/virtual_driver.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

struct virtual_run_options {
  virtual_options world = {};
  loop_options loop = {};
  bool may_leave_handles = false;  // true: sockets and files may stay open
  /// Of the run's loop; a program may put another in its place.
  loop_observer* observer = nullptr;
};

/// In which way a run failed.
enum class run_failure : std::uint8_t {
  none,
  error,        // one left the body, or a scope reported one
  deadlock,     // every task waits and nothing can wake one
  no_end,       // more steps than a run may have
  left_behind,  // tasks, timers, sockets, files or messages
  expectation,  // a check of the program's own
  escape,       // it called the system behind the world's back
};
const char* name(run_failure how) noexcept;

/// What a run in a virtual world came to.
struct virtual_outcome {
  bool is_failed = false;
  run_failure how = run_failure::none;
  std::string failure;  // its description with the async stack; empty when there was none
  std::vector<std::string> reports;  // of scopes with failures = report
  std::string left;                  // with objects that went: base/left_behind.hpp
  std::string sizes;                 // that it has drawn: virtual_world::drawn_sizes()
  bool may_leave_messages = false;
  loop_stats stats;
  duration passed;  // virtual time

  void fail(run_failure in, std::string text);
  /// For the next run. Texts that are empty, as after most runs, are left alone.
  void clear();
};

/// Runs a task to its end in a world of its own and says what came of it.
virtual_outcome run_outcome(task<> body, virtual_run_options options = {});
/// The same in a world that the caller keeps, for a program that ends and starts again in it.
virtual_outcome run_outcome_in(virtual_world& world, task<> body, virtual_run_options options = {});

namespace detail {

/// While it exists, this thread's unhandled errors and a world's deadlocks go to an outcome.
class outcome_listener {
 public:
  outcome_listener() noexcept;
  outcome_listener(const outcome_listener&) = delete;
  outcome_listener& operator=(const outcome_listener&) = delete;
  ~outcome_listener();

  /// From here on they go there.
  void listen(virtual_outcome& into, virtual_world& world) noexcept;
  /// Errors only: for a part of a run whose deadlocks are those of the whole.
  void listen(virtual_outcome& into) noexcept;
  /// The whole, of which this is a part, has failed as this has.
  void fail_outer(const virtual_outcome& inner);

 private:
  virtual_outcome* outer_;
  unhandled_handler before_;
  void (*told_before_)(std::string_view what) noexcept;
};

/// The program that runs on this thread has called a function of the system: the run has failed,
/// with the async stack of who called, and is cancelled. `instead` says what to use.
void note_escape(const char* function, const char* instead) noexcept;

/// Of the run on this thread: what was taken from its brokers need not be answered.
void let_messages_stay() noexcept;

/// Notes what a run has left behind.
void note_left_behind(virtual_outcome& outcome, virtual_world& world, bool may_leave_handles);

}  // namespace detail
}  // namespace weir
