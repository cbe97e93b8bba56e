// Worlds whose runs are over and that somebody may still know: a socket in a static variable has
// the address of its driver. The hard idea: such a world is kept, dead, so that the address leads
// to it and to no new world; then the next use is seen and named, and closing it there does
// nothing.
#pragma once

#include <weir/sim/virtual_run.hpp>

#include <cstddef>
#include <memory>
#include <utility>

namespace weir::detail {

/// The oldest go first: a program that leaves a socket in each of many runs forgets all but its
/// last ones itself.
inline constexpr std::size_t ended_worlds_max = 16;

/// Keeps what a world is a part of.
void keep_ended_world(std::shared_ptr<void> whole);

/// A world and who drives it: they are kept together.
struct machine {
  explicit machine(const virtual_options& options) : world(options), driver(world) {}
  machine(const machine&) = delete;
  machine& operator=(const machine&) = delete;

  virtual_world world;
  virtual_driver driver;
};

/// Runs a task to its end on a machine that the caller ends by end_machine().
virtual_outcome run_outcome_on(machine& on, task<> body, const virtual_run_options& options);

/// Ends a machine (a `world` and its `driver`) whose run is over, and keeps it where sockets or
/// files were left open.
template <class Machine>
void end_machine(std::shared_ptr<Machine> machine) {
  if (machine->world.open_handles() == 0) return;
  machine->world.crash(crash_loss::none);
  keep_ended_world(std::move(machine));
}

}  // namespace weir::detail
