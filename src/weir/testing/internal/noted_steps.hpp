// The steps of a run, for who reads that it failed: of checks that make many runs and stop at the
// first that fails.
#pragma once

#include <weir/core/loop.hpp>
#include <weir/sim/schedule_trace.hpp>
#include <weir/sim/virtual_world.hpp>

#include <cstdint>
#include <string>

namespace weir::testing {

/// Notes the steps of the loop that it observes.
///
/// Cancel:  no waits.
/// Order:   as they happen.
/// Bound:   as schedule_trace.
/// Errors:  none; the process ends where there is no memory for a note.
/// Threads: the loop's.
class noted_steps final : public loop_observer {
 public:
  /// `faults`: the world whose first fault is marked when it strikes.
  explicit noted_steps(const virtual_world* faults = nullptr) noexcept : faults_(faults) {
    trace_.keeps_notes = true;
  }

  void before_step(std::uint64_t id) noexcept override;
  void after_step(std::uint64_t id) noexcept override;
  /// What the run is about happens now: "before", "in" or "after" the last step so far.
  void mark(const char* when) noexcept;
  /// Tells of them on the standard output, where GoogleTest tells what failed; `what` was marked.
  void print(const std::string& what) const;

 private:
  schedule_trace trace_;
  const virtual_world* faults_;
  const char* marked_ = nullptr;
  std::uint64_t marked_step_ = 0;
};

}  // namespace weir::testing
