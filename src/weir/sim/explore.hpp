// Running a program under many schedules until one fails, then finding the shortest way to say why.
// The hard idea: a run is nothing but its decisions (choice.hpp), so trying schedules, replaying
// one, trying all of them and shrinking one are the same loop with another source of answers.
//
//   explore()          in order once, then a seed for each schedule; strategies take turns
//   explore_all()      every decision's every answer, by an odometer, up to a number of switches
//   explorer::run()    one run, from its name: "pos:17" or "log:t3=1,t9=2"
//   program_on_nodes   the same for a program of several machines (explored_nodes.hpp)
//   describe()         takes exceptions out of a log and lowers them while the run still fails
#pragma once

#include <weir/base/probe.hpp>
#include <weir/sim/choice.hpp>
#include <weir/sim/explored_schedule.hpp>
#include <weir/sim/odometer.hpp>
#include <weir/sim/probe_book.hpp>
#include <weir/sim/shrink_run.hpp>
#include <weir/sim/virtual_run.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace weir {

class explored_nodes;

/// What can be run many times, on one machine or on several.
///
/// Cancel:  its runs end by themselves, or are cancelled where they are stuck.
/// Order:   begins(), the run, verdict(); then the next.
/// Bound:   as its body's.
/// Errors:  those of the body; a verdict says what else is wrong.
/// Threads: one.
class explored_run {
 public:
  virtual ~explored_run() = default;
  /// A run begins.
  virtual void begins(const run_name& /*which*/) {}
  /// What the program's own checks have found in the run that has just ended; empty: nothing.
  virtual std::string verdict() { return {}; }
};

/// A program that is one task.
///
/// Cancel:  as explored_run.
/// Order:   as explored_run.
/// Bound:   as its body's.
/// Errors:  those of the body.
/// Threads: one.
class explored_program : public explored_run {
 public:
  /// Its main task.
  virtual task<> body() = 0;
};

/// A program of several machines.
///
/// Cancel:  as explored_run.
/// Order:   run_on() is the run: it adds machines, starts what runs on them and lets time pass.
/// Bound:   as what runs on them.
/// Errors:  those of each machine.
/// Threads: one.
class program_on_nodes : public explored_run {
 public:
  virtual void run_on(explored_nodes& nodes) = 0;
};

struct explore_options {
  std::uint64_t schedules = 100;         // besides the one in order
  std::uint64_t schedules_min = 0;       // so many even when steps_max is reached
  std::uint64_t steps_max = UINT64_MAX;  // of all schedules together: then it is enough
  std::uint64_t first_seed = 1;
  std::optional<strategy> only = {};      // nothing: the portfolio
  std::uint64_t twice_every = 20;         // runs that are made twice and must be equal; 0: none
  std::uint64_t shrink_runs_max = 3'000;  // 0: the failure is given as found
  virtual_run_options run = {.world = {.short_chance = 0.2, .queued_chance = 0.5}};
  virtual_run_options run_in_order = {};
  /// Of programs on several machines: network_sizes. Those on one machine draw them where
  /// `run.world` says so, since a task that sends and then receives itself is no fault there.
  bool draws_sizes_on_nodes = true;
};

/// A run that failed.
struct found_failure {
  run_name found = {};
  virtual_outcome outcome = {};  // of the shrunk run
  choice_log shrunk = {};        // empty: it fails in order
  bool has_repeated = false;     // false: `shrunk` does not fail, so something else decides, too
  std::uint64_t runs = 0;        // until it was found
  std::uint64_t exceptions_found = 0;
  std::uint64_t shrink_runs = 0;
  std::string words = {};     // the switches that it takes, one a line
  std::string timeline = {};  // beside the run in order
};

/// What a campaign came to.
struct exploration {
  std::uint64_t runs = 0;
  std::uint64_t steps = 0;
  std::optional<found_failure> failure;
  std::string divergence;    // two runs of one seed differed: where, and both stacks
  run_name parted = {};      // the run of that seed
  bool is_complete = false;  // explore_all: nothing is left to try, and nothing was left out
};

/// One program and the machine that it runs on.
///
/// Cancel:  no waits of its own.
/// Order:   one run after the other; each begins in a new world.
/// Bound:   explored_schedule's limits for a run.
/// Errors:  in outcomes.
/// Threads: one.
class explorer {
 public:
  explorer(explored_program& program, const explore_options& options);
  /// On several machines the run in order, too, has all that `options.run` says, by plain answers.
  explorer(program_on_nodes& program, const explore_options& options);
  explorer(const explorer&) = delete;
  explorer& operator=(const explorer&) = delete;
  ~explorer();

  /// One run; what it came to stays until the next.
  const virtual_outcome& run(const run_name& which, schedule_trace* trace = nullptr);
  /// The same, and its decisions as a log. Its tasks go as `order` says, unless that is null: then
  /// only those decisions are the log's that are about something else.
  choice_log record(const run_name& which, schedule_trace* trace = nullptr,
                    const task_order* order = nullptr);
  /// The decisions of the run that is being recorded, so far.
  const choice_log& recorded() const noexcept { return choices_.recorded(); }
  /// Everything worth telling about a run that fails.
  found_failure describe(const run_name& which, std::uint64_t runs);
  /// Runs twice; empty when both were equal, else where they parted and both stacks there.
  std::string part_of_two(const run_name& which);
  /// One run of an odometer.
  const virtual_outcome& run(odometer& all, schedule_trace* trace = nullptr);

  /// Longer runs fail.
  void limit_steps(std::uint64_t steps_max) noexcept {
    schedule_.limit_steps(steps_max);
    steps_max_ = steps_max;
  }
  std::uint64_t runs() const noexcept { return runs_; }
  std::uint64_t steps() const noexcept { return steps_; }
  /// The steps of the last run; of each machine.
  const std::vector<std::uint64_t>& lengths() const noexcept { return machine_steps_; }
  probe_book& probes() noexcept { return probes_; }

 private:
  struct machine;

  void end_machine();
  explorer(explored_run& program, explored_program* alone, program_on_nodes* on_nodes,
           const explore_options& options);
  const virtual_outcome& run_prepared(strategy how, bool in_order, schedule_trace* trace);
  const virtual_run_options& options_of(bool in_order) const noexcept {
    return in_order ? options_.run_in_order : options_.run;
  }
  void run_alone(bool in_order, schedule_trace* trace);
  void run_on_nodes(strategy how, schedule_trace* trace);
  void learn_for(const run_name& which);
  void run_in_turns(const run_name& which, const task_order& order, schedule_trace* trace);
  choice_log shrink_from(choice_log from, std::uint64_t& runs);

  explored_run& program_;
  explored_program* alone_;     // the same,
  program_on_nodes* on_nodes_;  // or this
  explore_options options_;
  choices choices_;
  explored_schedule schedule_;
  std::vector<schedule_knowledge> known_;     // of each machine
  std::vector<schedule_knowledge> learned_;   // from the last run on nodes
  std::vector<std::uint64_t> machine_steps_;  // of the last run; of each machine
  std::uint64_t steps_max_ = explored_schedule::steps_max_default;
  bool has_learned_ = false;
  probe_book probes_;
  std::unique_ptr<detail::outcome_listener> listener_;
  std::shared_ptr<machine> machine_;
  world_label label_;
  virtual_outcome outcome_;
  std::uint64_t runs_ = 0;
  std::uint64_t steps_ = 0;
};

/// Until a schedule fails or `options.schedules` have passed.
exploration explore(explored_program& program, const explore_options& options = {});
exploration explore(program_on_nodes& program, const explore_options& options = {});
exploration explore(explorer& with, const explore_options& options);
/// Every schedule that differs from the one in order by at most `switches_max` decisions. Decisions
/// among more than odometer::fan_max answers, such as random numbers, stay plain: with them it is
/// not complete.
exploration explore_all(explored_program& program, std::uint32_t switches_max,
                        std::uint64_t runs_max, const explore_options& options = {});
exploration explore_all(program_on_nodes& program, std::uint32_t switches_max,
                        std::uint64_t runs_max, const explore_options& options = {});
/// The strategy of the n-th schedule of a campaign, from 1.
strategy portfolio(std::uint64_t schedule) noexcept;

}  // namespace weir
