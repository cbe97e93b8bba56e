// Trying mutants: each in a process of its own, seed after seed, until something notices it. The
// hard idea is the control: a seed that kills a mutant has to pass without the defect, or it would
// measure nothing.
#pragma once

#include <weir/base/result.hpp>
#include <weir/drill/drill.hpp>
#include <weir/drill/mutant.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir::drill {

/// Those of the server, then those of the runtime.
std::vector<mutant> all_mutants();
/// Those of `all` that the names mean: each is a mutant's name or its beginning ("broker:").
/// `invalid_argument` for a name that means none, with those that are like it.
result<std::vector<mutant>> mutants_named(const std::vector<mutant>& all,
                                          const std::vector<std::string>& names);

struct mutant_settings {
  drill_settings drill = {};
  std::uint64_t first_seed = 1;
  mutant_budget budget = {};
  std::uint64_t control_seeds = 20;  // that pass without a defect before anything is tried
  std::uint32_t workers = 1;
};

struct tried_mutant {
  mutant what;
  mutant_verdict verdict;
};

struct mutant_report {
  std::string broken_control;  // what a seed without a defect has come to; empty: all passed
  std::uint64_t control_seeds = 0;
  std::vector<tried_mutant> tried;

  std::size_t killed() const noexcept;
};

/// Hears how it goes.
///
/// Cancel:  no waits.
/// Order:   as mutants come to their end; looked() about five times a second.
/// Bound:   none.
/// Errors:  none.
/// Threads: one.
class mutant_listener {
 public:
  virtual void controlled(std::uint64_t seeds) = 0;
  virtual void tried(const tried_mutant& one) = 0;
  /// So many are done of all; `now` is at work.
  virtual void looked(std::size_t done, std::size_t all, std::string_view now) = 0;

 protected:
  ~mutant_listener() = default;
};

/// Tries them all. Must be called while the process has one thread, and only where
/// defects_can_be_planted. Raises `io` when it can't start a worker.
mutant_report try_mutants(const std::vector<mutant>& which, const mutant_settings& settings,
                          mutant_listener& listener);

}  // namespace weir::drill
