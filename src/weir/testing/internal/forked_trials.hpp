// Runs that end their process: each is made in a child of its own, which writes what it did to
// memory that both share when it dies. The hard idea: of all that a run is, only its decisions and
// the notes of its steps are looked at from outside, and those are plain memory that a handler can
// copy; so a crash is made shorter by the code that makes every failure shorter (shrink_run.hpp).
//
//   forked_trials ---- fork ----> the run --- dies ---> its handler writes to the tape
//        ^                                                      |
//        +---- record, steps and notes are read from the tape --+
#pragma once

#include <weir/sim/explore.hpp>
#include <weir/testing/internal/run_tape.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace weir::testing::detail {

/// In real time.
struct trial_bounds {
  std::int64_t search_ms = 30'000;  // of all trials of a search: then what there is, is told
  std::int64_t first_trial_ms = 10'000;
  std::int64_t trial_ms_least = 1'000;  // of the others: this, or a multiple of the first's
};

/// Trials of an explorer that has made no run.
///
/// Cancel:  no waits of a task.
/// Order:   the first run says how a run dies; later ones fail when they die in the same way.
/// Bound:   `bounds`: a run that takes longer is killed and does not fail, and after that of the
///          search no run does.
/// Errors:  a run fails not, too, when there is no process or no memory for it.
/// Threads: one, and the process has no other.
class forked_trials final : public run_trials {
 public:
  explicit forked_trials(explorer& with, trial_bounds bounds = {});
  forked_trials(const forked_trials&) = delete;
  forked_trials& operator=(const forked_trials&) = delete;

  bool fails(const run_name& which, const task_order* order, choice_log& used,
             schedule_trace* trace) override;
  bool fails(odometer& all) override;
  std::vector<std::uint64_t> lengths() const override;

  /// One run, also after the search's time.
  bool dies(const run_name& which, choice_log& used, schedule_trace* trace);
  /// "Segmentation fault", or "exit"; what the first run died of.
  std::string cause() const;
  std::uint64_t runs() const noexcept { return runs_; }
  std::uint64_t killed() const noexcept { return killed_; }
  bool is_over() const noexcept;

 private:
  struct asked;

  bool makes(const asked& what);
  [[noreturn]] void be_trial(const asked& what) noexcept;
  std::int64_t trial_ms() const noexcept;
  void read_trace();

  explorer& with_;
  trial_bounds bounds_;
  std::int64_t began_ms_;
  std::int64_t first_ms_ = -1;  // of the first run
  run_tape tape_;
  std::optional<int> wanted_;  // the signal; 0: an exit
  choice_log used_;
  schedule_trace last_;
  std::uint64_t runs_ = 0;
  std::uint64_t killed_ = 0;
};

/// What is told of a run that ended its process.
struct death_story {
  found_failure failure = {};
  std::string cause = {};       // empty: it did not die again
  std::uint64_t killed = 0;     // trials that took too long
  bool is_search_over = false;  // before all was tried
};
/// Makes the run again, shorter where it can be. `is_alone`: on one machine.
death_story story_of_death(explorer& with, const run_name& which, bool is_alone,
                           trial_bounds bounds = {});

}  // namespace weir::testing::detail
