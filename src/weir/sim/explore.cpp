#include <weir/sim/explore.hpp>

#include <weir/base/program_here.hpp>
#include <weir/core/scope.hpp>
#include <weir/sim/ended_worlds.hpp>
#include <weir/sim/explored_nodes.hpp>
#include <weir/sim/run_story.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace weir {

struct explorer::machine {
  machine(const virtual_run_options& options, bool is_in_order)
      : in_order(is_in_order), world(options.world), driver(world) {
    on.emplace(driver, options.loop);
  }

  /// The next run can have it, as a new one.
  bool is_as_new() noexcept {
    const loop_stats now = on->stats();
    return world.is_untouched() && !on->root().is_cancelled() && now.tasks_live == 0 &&
           now.timers_live == 0;
  }

  bool in_order;
  virtual_world world;
  virtual_driver driver;
  std::optional<loop> on;  // ends with its run, whatever is kept of the machine
};

strategy portfolio(std::uint64_t schedule) noexcept {
  constexpr strategy turns[] = {strategy::pos, strategy::pct2, strategy::urw,
                                strategy::pos, strategy::pct3, strategy::random};
  return turns[(schedule - 1) % std::size(turns)];
}

namespace {

// Strategies that know how long tasks are.
bool is_guided(strategy how) noexcept {
  return how == strategy::urw || how == strategy::pct2 || how == strategy::pct3;
}
run_name learning_run() { return {.how = strategy::random, .seed = 0}; }
// Whatever a body ends with, the next one must not tell this one's explorer.
class probes_heard {
 public:
  explicit probes_heard(probe_listener& by) noexcept : outer_(set_probe_listener(&by)) {}
  probes_heard(const probes_heard&) = delete;
  probes_heard& operator=(const probes_heard&) = delete;
  ~probes_heard() { set_probe_listener(outer_); }

 private:
  probe_listener* outer_;
};

class decisions_heard {
 public:
  decisions_heard(choices& of, choice_listener* by) noexcept : of_(of) { of_.tell(by); }
  decisions_heard(const decisions_heard&) = delete;
  decisions_heard& operator=(const decisions_heard&) = delete;
  ~decisions_heard() { of_.tell(nullptr); }

 private:
  choices& of_;
};

// What the exception that is being handled says.
std::string text_of_thrown() {
  try {
    throw;
  } catch (const std::exception& thrown) {
    return thrown.what();
  } catch (...) {
    return "an exception that is not a std::exception";
  }
}

constexpr int longer_tries_max = 5;

bool is_learning_run(const run_name& one) noexcept {
  return !one.log && one.how == strategy::random && one.seed == 0;
}

}  // namespace

explorer::explorer(explored_program& program, const explore_options& options)
    : explorer(program, &program, nullptr, options) {}
explorer::explorer(program_on_nodes& program, const explore_options& options)
    : explorer(program, nullptr, &program, options) {}
explorer::explorer(explored_run& program, explored_program* alone, program_on_nodes* on_nodes,
                   const explore_options& options)
    : program_(program),
      alone_(alone),
      on_nodes_(on_nodes),
      options_(options),
      choices_(0),
      schedule_(choices_),
      probes_(choices_),
      listener_(std::make_unique<detail::outcome_listener>()) {
  for (virtual_run_options* one : {&options_.run, &options_.run_in_order}) {
    one->world.decisions = &choices_;
    one->world.schedule = &schedule_;
  }
  options_.run.loop.step_waits_max = 0;  // each await is a schedule point
  if (on_nodes_ && options_.draws_sizes_on_nodes) options_.run.world.draws_sizes = true;
}
explorer::~explorer() { end_machine(); }

void explorer::end_machine() {
  if (!machine_) return;
  machine_->on.reset();
  detail::end_machine(std::exchange(machine_, nullptr));
}

const virtual_outcome& explorer::run_prepared(strategy how, bool in_order, schedule_trace* trace) {
  outcome_.clear();
  probes_.restart();
  {
    const probes_heard hearing(probes_);
    const decisions_heard noting(choices_, trace && trace->keeps_notes ? trace : nullptr);
    if (alone_) {
      run_alone(in_order, trace);
    } else {
      run_on_nodes(how, trace);
    }
  }
  if (std::string verdict = program_.verdict(); !verdict.empty()) {
    // An error may be the consequence of what an expectation has said, or the other way round.
    const bool has_other = outcome_.is_failed && outcome_.how != run_failure::left_behind;
    if (has_other) {
      outcome_.failure = verdict + "\n" + outcome_.failure;
    } else {
      outcome_.fail(run_failure::expectation, std::move(verdict));
    }
  }
  if (!outcome_.reports.empty()) {
    outcome_.fail(run_failure::error, "a task failed: " + outcome_.reports.front());
  }
  ++runs_;
  for (const std::uint64_t steps : machine_steps_) steps_ += steps;
  return outcome_;
}

void explorer::run_alone(bool in_order, schedule_trace* trace) {
  if (machine_ && (machine_->in_order != in_order || !machine_->is_as_new())) end_machine();
  if (!machine_) machine_ = std::make_shared<machine>(options_of(in_order), in_order);
  machine& on = *machine_;
  label_.run = runs_ + 1;
  on.driver.set_label(label_);
  on.on->restart_counts();
  schedule_.trace(trace);
  listener_->listen(outcome_, on.world);
  const time_point began = on.world.clock().now();
  on.on->root().spawn(detail::given_task<void>{alone_->body()});
  {
    const detail::program_runs running(&on.world.program());
    on.on->run();
  }
  outcome_.stats = on.on->stats();
  outcome_.passed = on.world.clock().now() - began;
  machine_steps_.assign(1, schedule_.steps());
  if (schedule_.has_no_end()) outcome_.fail(run_failure::no_end, "the run has no end");
  detail::note_left_behind(outcome_, on.world, options_of(in_order).may_leave_handles);
}

void explorer::run_on_nodes(strategy how, schedule_trace* trace) {
  listener_->listen(outcome_);
  {
    explored_nodes nodes({.decisions = choices_,
                          .outcome = outcome_,
                          .run = options_.run,
                          .how = how,
                          .known = has_learned_ ? &known_ : nullptr,
                          .steps_max = steps_max_,
                          .trace = trace});
    try {
      on_nodes_->run_on(nodes);
    } catch (...) {
      outcome_.fail(run_failure::error, "thrown by the body: " + text_of_thrown());
    }
    nodes.finish();
    outcome_.passed = nodes.all().elapsed();
    machine_steps_ = nodes.steps_by_machine();
    if (!has_learned_) learned_ = nodes.learned();
  }
}

// What strategies must know comes from one run at random, the same in every campaign and every
// replay, so that a seed means the same in all of them. Not from the run in order: there a task
// goes through what need not wait in one step.
const virtual_outcome& explorer::run(const run_name& which, schedule_trace* trace) {
  const bool in_order = !which.log && which.how == strategy::in_order;
  learn_for(which);
  program_.begins(which);
  if (which.log) {
    choices_.replay(*which.log);
  } else if (in_order && on_nodes_) {
    choices_.replay({});  // no fault strikes
  } else {
    choices_.restart(which.seed);
  }
  const strategy how = which.log ? strategy::in_order : which.how;
  schedule_.restart(how, has_learned_ ? known_.data() : nullptr);
  label_ = {.strategy = which.log ? nullptr : name(which.how), .seed = which.seed};
  const virtual_outcome& outcome = run_prepared(how, in_order, trace);
  if (!has_learned_ && is_learning_run(which)) {
    known_ = alone_ ? std::vector{schedule_.learned()} : std::move(learned_);
    has_learned_ = true;
  }
  return outcome;
}

void explorer::learn_for(const run_name& which) {
  if (!has_learned_ && !which.log && is_guided(which.how)) run(learning_run());
}

const virtual_outcome& explorer::run(odometer& all, schedule_trace* trace) {
  program_.begins({.log = all.log()});
  choices_.follow(all);
  schedule_.restart(strategy::in_order);
  label_ = {};
  return run_prepared(strategy::in_order, false, trace);
}

choice_log explorer::record(const run_name& which, schedule_trace* trace, const task_order* order) {
  learn_for(which);  // else that run would be recorded
  choices_.record_next();
  if (order) {
    run_in_turns(which, *order, trace);
  } else {
    run(which, trace);
  }
  return choices_.take_record();
}

// The run of a log whose tasks go in another order.
void explorer::run_in_turns(const run_name& which, const task_order& order, schedule_trace* trace) {
  program_.begins(which);
  choices_.replay_but_for_tasks(*which.log);
  schedule_.restart(strategy::in_order, has_learned_ ? known_.data() : nullptr);
  schedule_.wish(order);
  label_ = {};
  run_prepared(strategy::in_order, false, trace);
}

// A log that fails in the same way as the last run, with as few exceptions as could be found.
choice_log explorer::shrink_from(choice_log from, std::uint64_t& runs) {
  struct own_trials final : run_trials {
    explicit own_trials(explorer& by) noexcept : with(by), wanted(by.outcome_.how) {}
    bool fails(const run_name& which, const task_order* order, choice_log& used,
               schedule_trace* trace) override {
      used = with.record(which, trace, order);
      return has_failed();
    }
    bool fails(odometer& all) override {
      with.run(all);
      return has_failed();
    }
    std::vector<std::uint64_t> lengths() const override { return with.lengths(); }
    bool has_failed() const noexcept {
      return with.outcome_.is_failed && with.outcome_.how == wanted;
    }
    explorer& with;
    run_failure wanted;
  } trials(*this);
  return shrink_run(std::move(from), trials,
                    {.runs_max = options_.shrink_runs_max, .is_alone = alone_ != nullptr}, runs);
}

std::string explorer::part_of_two(const run_name& which) {
  schedule_trace first;
  run(which, &first);
  schedule_trace second;
  second.expected = &first;
  run(which, &second);
  if (second.parted_at() == UINT64_MAX && first.steps() == second.steps()) return {};
  if (second.parted_at() == UINT64_MAX) {
    std::string text = fmt::format("two runs of {} took {} and {} steps\n", which.text(),
                                   first.steps(), second.steps());
    // Whether the next run is a longer one nobody knows.
    for (int tries = 0; tries < longer_tries_max; ++tries) {
      schedule_trace again;
      again.stack_wanted_at = std::min(first.steps(), second.steps());
      run(which, &again);
      if (!again.stack().empty()) return text + "  the longer one goes on: " + again.stack() + "\n";
    }
    return text;
  }
  schedule_trace third;
  third.stack_wanted_at = second.parted_at();
  run(which, &third);
  return fmt::format("two runs of {} part at step {}\n  one:   {}\n  other: {}\n", which.text(),
                     second.parted_at() + 1, third.stack(), second.stack());
}

found_failure explorer::describe(const run_name& which, std::uint64_t runs) {
  found_failure made{.found = which, .outcome = outcome_, .runs = runs};
  made.shrunk = record(which);
  made.exceptions_found = made.shrunk.exceptions.size();
  const bool is_in_order = made.shrunk.exceptions.empty();  // then nothing is shorter
  if (outcome_.is_failed && options_.shrink_runs_max != 0 && !is_in_order) {
    made.shrunk = shrink_from(std::move(made.shrunk), made.shrink_runs);
  }
  // Of a campaign the run in order was the first, and it had passed.
  const bool had_passed_in_order =
      made.shrunk.exceptions.empty() && !which.log && which.how != strategy::in_order && runs > 1;
  if (had_passed_in_order && run({}).is_failed) {
    made.outcome = outcome_;
    made.words =
        "  now it fails with everything in order, too, and it had passed so: something outside of "
        "the virtual world (a static variable, an address, the real clock) decides, too\n";
    return made;
  }
  schedule_trace failing;
  failing.keeps_notes = true;
  run({.log = made.shrunk}, &failing);
  if (!outcome_.is_failed) {
    made.words =
        "  it did not happen again in a replay: something outside of the virtual world "
        "(a static variable, an address, the real clock) decides, too\n";
    return made;
  }
  made.has_repeated = true;
  made.outcome = outcome_;
  failing.named = probes_.taken();
  schedule_trace in_order;
  in_order.keeps_notes = true;
  if (!made.shrunk.exceptions.empty()) run({.log = choice_log{}}, &in_order);
  run_story story = story_of(made.shrunk, failing, in_order);
  made.words = std::move(story.words);
  made.timeline = std::move(story.timeline);
  if (had_passed_in_order) {
    made.words =
        "  it fails with everything in order when its random numbers are the plain ones "
        "(WEIR_REPLAY=log:); the first run, in order, too, drew others and passed\n";
  }
  return made;
}

exploration explore(explorer& with, const explore_options& options) {
  exploration made;
  run_name which;
  const bool learns = !options.only || is_guided(*options.only);
  for (std::uint64_t n = 0; n <= options.schedules; ++n) {
    if (n != 0) {
      if (with.steps() >= options.steps_max && n > options.schedules_min) break;
      which = {.how = options.only.value_or(portfolio(n)), .seed = options.first_seed + n - 1};
    }
    if (n == 1 && learns) which = learning_run();
    const bool is_failed = with.run(which).is_failed;
    made.runs = n + 1;
    made.steps = with.steps();
    if (is_failed) {
      made.failure = with.describe(which, made.runs);
      break;
    }
    if (n != 0 && options.twice_every != 0 && n % options.twice_every == 0) {
      made.divergence = with.part_of_two(which);
      if (!made.divergence.empty()) {
        made.parted = which;
        break;
      }
    }
  }
  return made;
}

exploration explore(explored_program& program, const explore_options& options) {
  explorer with(program, options);
  return explore(with, options);
}

exploration explore(program_on_nodes& program, const explore_options& options) {
  explorer with(program, options);
  return explore(with, options);
}

namespace {

exploration explore_paths(explorer& with, std::uint32_t switches_max, std::uint64_t runs_max) {
  exploration made;
  odometer all(switches_max);
  while (made.runs < runs_max) {
    ++made.runs;
    if (with.run(all).is_failed) {
      made.failure = with.describe({.log = all.log()}, made.runs);
      break;
    }
    if (!all.advance()) {
      made.is_complete = !all.has_left_out();
      break;
    }
  }
  made.steps = with.steps();
  return made;
}

}  // namespace

exploration explore_all(explored_program& program, std::uint32_t switches_max,
                        std::uint64_t runs_max, const explore_options& options) {
  explorer with(program, options);
  return explore_paths(with, switches_max, runs_max);
}

exploration explore_all(program_on_nodes& program, std::uint32_t switches_max,
                        std::uint64_t runs_max, const explore_options& options) {
  explorer with(program, options);
  return explore_paths(with, switches_max, runs_max);
}

}  // namespace weir
