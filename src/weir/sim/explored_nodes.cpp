#include <weir/sim/explored_nodes.hpp>

#include <weir/base/assert.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace weir {

explored_nodes::explored_nodes(const setting& in) : in_(in), all_(in.decisions) {}
explored_nodes::~explored_nodes() = default;

virtual_node& explored_nodes::add(const char* name, const clock_model& clock) {
  WEIR_ASSERT(!faults_ && "machines are added before faults are allowed");
  const std::size_t index = all_.count();
  explored_schedule& schedule = schedules_.emplace_back(in_.decisions);
  node_options options{.name = name, .world = in_.run.world, .clock = clock, .loop = in_.run.loop};
  options.world.schedule = &schedule;
  options.world.asks_what_is_left = true;
  virtual_node& made = all_.add(options);
  const bool is_known = in_.known && index < in_.known->size();
  const std::uint32_t before = in_.decisions.decide_for(made.number());
  schedule.restart(in_.how, is_known ? &(*in_.known)[index] : nullptr);
  in_.decisions.decide_for(before);
  schedule.limit_steps(in_.steps_max);
  schedule.trace(in_.trace);
  if (in_.trace) in_.trace->machines.emplace_back(name);
  seen_.emplace_back();
  return made;
}

void explored_nodes::begin(virtual_node& on, std::unique_ptr<program> what) {
  look();
  programs_.push_back(std::move(what));
  seen_of(on).runs = programs_.back().get();
  on.start(*programs_.back());
}

void explored_nodes::start_again(virtual_node& on) {
  look();
  on.start(program_of(on));
}

node_program& explored_nodes::program_of(const virtual_node& node) noexcept {
  program* const its = seen_of(node).runs;
  WEIR_ASSERT(its && "a machine without a program");
  return *its;
}

bool explored_nodes::step(time_point until) {
  time_point next = std::min(until, all_.next_event());
  if (faults_) next = std::min(next, faults_->next_at());
  const bool goes_on = all_.run_until(next);
  look();
  if (!goes_on) {
    in_.outcome.fail(run_failure::no_end,
                     "the machines have turns and no time passes\n" + tasks_text());
    return false;
  }
  if (faults_ && faults_->next_at() <= all_.now()) faults_->act();
  return true;
}

bool explored_nodes::run_to_end(virtual_node& of, duration at_most) {
  const time_point until = all_.now() + at_most;
  while (!of.has_ended()) {
    const bool is_quiet =
        all_.is_quiet() && (!faults_ || faults_->next_at() == time_point::never());
    if (is_quiet) {
      in_.outcome.fail(
          run_failure::deadlock,
          fmt::format("deadlock: nothing can happen any more, and {} has not ended\n{}", of.name(),
                      tasks_text()));
      return false;
    }
    if (all_.now() >= until) {
      in_.outcome.fail(run_failure::no_end,
                       fmt::format("{} has not ended within {} s\n{}", of.name(),
                                   at_most.ns / 1'000'000'000, tasks_text()));
      return false;
    }
    if (!step(until)) return false;
  }
  return true;
}

void explored_nodes::run_for(duration length) {
  const time_point until = all_.now() + length;
  do {
    if (!step(until)) return;
  } while (all_.now() < until);
}

void explored_nodes::stop(virtual_node& which) {
  if (!which.is_running()) return;
  which.cancel("stopped");
  run_to_end(which);
}

void explored_nodes::heal() {
  if (faults_) faults_->heal();
}

// What machines have come to since the last look, before their next program makes them forget it.
void explored_nodes::look() {
  for (std::size_t i = 0; i < all_.count(); ++i) {
    const virtual_node& node = all_.at(i);
    const virtual_outcome& its = node.outcome();
    seen& last = seen_[i];
    if (node.starts() != last.starts) {
      last.starts = node.starts();
      last.reports = 0;
      last.is_failed = false;
    }
    if (its.is_failed && !last.is_failed) {
      last.is_failed = true;
      in_.outcome.fail(its.how, fmt::format("{}: {}", node.name(), its.failure));
    }
    for (; last.reports < its.reports.size(); ++last.reports)
      in_.outcome.reports.push_back(fmt::format("{}: {}", node.name(), its.reports[last.reports]));
  }
}

std::string explored_nodes::tasks_text() {
  std::string text;
  for (std::size_t i = 0; i < all_.count(); ++i) {
    virtual_node& node = all_.at(i);
    if (node.is_running()) text += fmt::format("{}:\n{}", node.name(), node.tasks_text());
  }
  return text;
}

void explored_nodes::finish() {
  look();
  for (std::size_t i = 0; i < all_.count(); ++i) {
    virtual_node& node = all_.at(i);
    if (schedules_[i].has_no_end())
      in_.outcome.fail(run_failure::no_end, node.name() + ": the run has no end");
    if (!node.is_running()) continue;
    in_.outcome.fail(run_failure::left_behind,
                     fmt::format("{}: left behind: its program still runs; run_to_end(), stop() or "
                                 "kill() it\n{}",
                                 node.name(), node.tasks_text()));
  }
}

std::uint64_t explored_nodes::steps() const noexcept {
  std::uint64_t sum = 0;
  for (const explored_schedule& one : schedules_) sum += one.steps();
  return sum;
}

std::vector<std::uint64_t> explored_nodes::steps_by_machine() const {
  std::vector<std::uint64_t> all;
  for (const explored_schedule& one : schedules_) all.push_back(one.steps());
  return all;
}

std::vector<schedule_knowledge> explored_nodes::learned() const {
  std::vector<schedule_knowledge> all;
  for (const explored_schedule& one : schedules_) all.push_back(one.learned());
  return all;
}

}  // namespace weir
