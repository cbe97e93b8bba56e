// Shortening a schedule by its turns: what a task does until another one goes on. Taking single
// exceptions out of a log (shrink.hpp) makes another run of all that comes behind, and ends where
// none can go alone. The hard idea: two turns of a task become one when the second is moved to the
// first, or the first to the second; the other tasks' steps stay in their order, so most of the run
// is what it was (trace simplification; Jalbert and Sen 2010). Where no two can be joined, turns
// and steps are moved at random, as long as it fails and is no longer, until two can be.
#pragma once

#include <weir/sim/choice.hpp>
#include <weir/sim/schedule_trace.hpp>

#include <cstdint>
#include <vector>

namespace weir {

/// Some steps of one task without another one's between them.
struct task_turn {
  std::uint64_t task = 0;
  std::uint64_t steps = 0;
};

/// The turns of a run, from a trace that keeps notes.
std::vector<task_turn> turns_of(const schedule_trace& run);

/// Tries an order of tasks.
///
/// Cancel:  no waits.
/// Order:   one try after the other.
/// Bound:   join_turns() asks at most `runs_max` times.
/// Errors:  none.
/// Threads: one.
class turn_trial {
 public:
  virtual ~turn_trial() = default;
  /// True: a run in which tasks go in this order, by their ids and step by step as far as they can,
  /// fails as it should; `used` gets its record and `turns` its turns.
  virtual bool fails(const std::vector<std::uint64_t>& order, choice_log& used,
                     std::vector<task_turn>& turns) = 0;
};

/// A log that still fails, with fewer exceptions if two turns of a task could be joined. `from`
/// failed with these `turns`; `runs` counts the tries.
choice_log join_turns(choice_log from, std::vector<task_turn> turns, turn_trial& trial,
                      std::uint64_t runs_max, std::uint64_t& runs);

}  // namespace weir
