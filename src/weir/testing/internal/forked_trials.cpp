#include <weir/testing/internal/forked_trials.hpp>

#include <weir/sim/run_story.hpp>
#include <weir/testing/internal/child_end.hpp>
#include <weir/testing/internal/death_note.hpp>

#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <span>
#include <utility>

namespace weir::testing::detail {

namespace {

std::int64_t now_ms() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
}

[[noreturn]] void end_here() noexcept {
  ::syscall(SYS_exit_group, 0);  // no handler, no destructor and no core
  __builtin_unreachable();
}

// Of the child: what its run has done so far, written by whoever notices its end.
class run_writer final : public death_listener {
 public:
  run_writer(run_tape& to, explorer& of, const schedule_trace& trace, const odometer* all) noexcept
      : tape_(to), with_(of), trace_(trace), all_(all) {}

  void died(int number) noexcept override { end(run_end::died, number); }
  [[noreturn]] void end(run_end how, int number) noexcept {
    tape_.put_all(std::span(with_.recorded().exceptions));
    tape_.put(trace_.steps());
    tape_.put_all(std::span(trace_.notes()));
    tape_.put(trace_.events().size());
    for (const event_note& one : trace_.events()) {
      tape_.put(one.before_step);
      tape_.put(one.made);
      tape_.put_text(one.text);
    }
    tape_.put(trace_.machines.size());
    for (const std::string& one : trace_.machines) tape_.put_text(one);
    tape_.put(with_.probes().taken().size());
    for (const named_choice& one : with_.probes().taken()) {
      tape_.put(one.made);
      tape_.put_text(one.text);
    }
    if (all_) tape_.put_all(all_->taken());
    tape_.end(how, number);
    end_here();
  }

 private:
  run_tape& tape_;
  explorer& with_;
  const schedule_trace& trace_;
  const odometer* all_;
};

}  // namespace

// What is to be run: this, or the odometer's run.
struct forked_trials::asked {
  const run_name* which = nullptr;
  const task_order* order = nullptr;
  odometer* all = nullptr;
};

forked_trials::forked_trials(explorer& with, trial_bounds bounds)
    : with_(with), bounds_(bounds), began_ms_(now_ms()) {}

bool forked_trials::is_over() const noexcept { return now_ms() - began_ms_ >= bounds_.search_ms; }

std::int64_t forked_trials::trial_ms() const noexcept {
  constexpr std::int64_t times = 20;
  if (first_ms_ < 0) return bounds_.first_trial_ms;
  return std::min(bounds_.first_trial_ms, bounds_.trial_ms_least + times * first_ms_);
}

std::string forked_trials::cause() const {
  return wanted_.value_or(0) == 0 ? "exit" : ::strsignal(*wanted_);
}

void forked_trials::be_trial(const asked& what) noexcept {
  be_quiet_child(true);
  schedule_trace trace;
  trace.keeps_notes = true;
  run_writer writer(tape_, with_, trace, what.all);
  const death_note note(writer);
  if (what.all) {
    with_.run(*what.all, &trace);
  } else {
    with_.record(*what.which, &trace, what.order);
  }
  writer.end(run_end::passed, 0);
}

// True when the run has died as wanted.
bool forked_trials::makes(const asked& what) {
  ++runs_;
  tape_.rewind();
  const std::int64_t began = now_ms();
  child_end end(false);
  if (!end.is_made()) return false;
  const pid_t child = ::fork();
  if (child < 0) return false;
  if (child == 0) be_trial(what);
  end.child_began();
  if (!end.status_within(child, trial_ms())) ++killed_;
  if (first_ms_ < 0) first_ms_ = now_ms() - began;
  if (tape_.how() == run_end::unknown) return false;
  used_.exceptions = tape_.take_all<choice>();
  read_trace();
  if (what.all) what.all->took(tape_.take_all<odometer::digit>());
  if (tape_.how() != run_end::died) return false;
  if (!wanted_) wanted_ = tape_.number();
  return tape_.number() == *wanted_;
}

void forked_trials::read_trace() {
  last_ = {};
  last_.has_died = tape_.how() == run_end::died;
  const auto steps = tape_.take<std::uint64_t>();
  auto notes = tape_.take_all<step_note>();
  std::vector<event_note> events(tape_.take<std::size_t>());
  for (event_note& one : events) {
    one.before_step = tape_.take<std::uint64_t>();
    one.made = tape_.take<std::optional<choice>>();
    one.text = tape_.take_text();
  }
  last_.retell(std::move(notes), std::move(events), steps);
  last_.machines.resize(tape_.take<std::size_t>());
  for (std::string& one : last_.machines) one = tape_.take_text();
  last_.named.resize(tape_.take<std::size_t>());
  for (named_choice& one : last_.named) {
    one.made = tape_.take<choice>();
    one.text = tape_.take_text();
  }
}

bool forked_trials::dies(const run_name& which, choice_log& used, schedule_trace* trace) {
  const bool has_died = makes({.which = &which});
  used = used_;
  if (trace) *trace = last_;
  return has_died;
}

bool forked_trials::fails(const run_name& which, const task_order* order, choice_log& used,
                          schedule_trace* trace) {
  if (is_over() || !makes({.which = &which, .order = order})) return false;
  used = used_;
  if (trace) *trace = last_;
  return true;
}

bool forked_trials::fails(odometer& all) { return !is_over() && makes({.all = &all}); }

std::vector<std::uint64_t> forked_trials::lengths() const {
  std::vector<std::uint64_t> steps;
  for (const step_note& one : last_.notes()) {
    const std::size_t at = one.machine == 0 ? 0 : one.machine - 1;
    if (at >= steps.size()) steps.resize(at + 1);
    ++steps[at];
  }
  return steps;
}

death_story story_of_death(explorer& with, const run_name& which, bool is_alone,
                           trial_bounds bounds) {
  forked_trials trials(with, bounds);
  death_story told{.failure = {.found = which}};
  found_failure& made = told.failure;
  schedule_trace failing;
  if (!trials.dies(which, made.shrunk, &failing)) return told;
  told.cause = trials.cause();
  made.exceptions_found = made.shrunk.exceptions.size();
  if (made.exceptions_found != 0) {
    std::uint64_t asked = 0;  // also where no time was left
    made.shrunk = shrink_run(std::move(made.shrunk), trials, {.is_alone = is_alone}, asked);
    made.shrink_runs = trials.runs() - 1;
    told.is_search_over = trials.is_over();
  }
  choice_log used;
  schedule_trace shorter;
  made.has_repeated = trials.dies({.log = made.shrunk}, used, &shorter);
  if (made.has_repeated) failing = std::move(shorter);
  schedule_trace in_order;
  if (!made.shrunk.exceptions.empty()) trials.dies({.log = choice_log{}}, used, &in_order);
  run_story story = story_of(made.shrunk, failing, in_order);
  made.words = std::move(story.words);
  made.timeline = std::move(story.timeline);
  told.killed = trials.killed();
  return told;
}

}  // namespace weir::testing::detail
