// Making a run that fails shorter, whoever makes the runs: an explorer in its own process, or
// somebody whose runs end their process. The hard idea: taking exceptions away (shrink.hpp),
// joining turns (turns.hpp) and trying the few short logs that there are need nothing of a run but
// whether it fails as it should, its record and its steps.
#pragma once

#include <weir/sim/choice.hpp>
#include <weir/sim/explored_schedule.hpp>
#include <weir/sim/odometer.hpp>
#include <weir/sim/schedule_trace.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// One run's name: what it takes to repeat it.
struct run_name {
  strategy how = strategy::in_order;
  std::uint64_t seed = 0;
  std::optional<choice_log> log = {};  // instead of a strategy and a seed

  /// "fifo", "pos:17" or "log:t3=1,t9=2".
  std::string text() const;
  static std::optional<run_name> parse(std::string_view text);
};

/// Which tasks go, by their ids and step by step as far as they can.
using task_order = std::vector<std::uint64_t>;

/// Tries runs.
///
/// Cancel:  no waits.
/// Order:   one try after the other.
/// Bound:   shrink_run() asks as often as its `runs_max` says for each of its ways.
/// Errors:  none.
/// Threads: one.
class run_trials {
 public:
  virtual ~run_trials() = default;
  /// True: the run fails as it should. Its tasks go as `order` says, unless that is null; `used`
  /// gets its record, and `trace`, unless that is null, what it did.
  virtual bool fails(const run_name& which, const task_order* order, choice_log& used,
                     schedule_trace* trace) = 0;
  /// The same of an odometer's run.
  virtual bool fails(odometer& all) = 0;
  /// The steps of the last run; of each machine.
  virtual std::vector<std::uint64_t> lengths() const = 0;
};

struct shrink_options {
  std::uint64_t runs_max = 3'000;
  bool is_alone = true;  // one machine
};

/// A log that still fails, with as few exceptions as could be found. `runs` counts the tries.
choice_log shrink_run(choice_log from, run_trials& trials, const shrink_options& options,
                      std::uint64_t& runs);

}  // namespace weir
