// Shortening a list of exceptions while a run still fails: delta debugging (Zeller 2002), which
// tolerates that a shorter list makes another run. The hard idea: after each success the run's own
// record is what goes on, so exceptions that were not even asked for are gone at once.
#pragma once

#include <weir/sim/choice.hpp>

#include <cstdint>

namespace weir {

/// Tries a log.
///
/// Cancel:  no waits.
/// Order:   one try after the other.
/// Bound:   shrink() asks at most `runs_max` times.
/// Errors:  none.
/// Threads: one.
class shrink_trial {
 public:
  virtual ~shrink_trial() = default;
  /// True: the run fails as it should; `used` gets its record.
  virtual bool fails(const choice_log& log, choice_log& used) = 0;
};

/// A log that still fails, of which no single exception can be left out or lowered. `runs` counts
/// the tries.
choice_log shrink(choice_log from, shrink_trial& trial, std::uint64_t runs_max,
                  std::uint64_t& runs);

}  // namespace weir
