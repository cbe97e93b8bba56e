// What a run did, step by step: for telling people, and for finding where two runs of one seed
// part.
#pragma once

#include <weir/base/time.hpp>
#include <weir/sim/choice.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <source_location>
#include <string>
#include <vector>

namespace weir {

namespace detail {
struct task_header;
}

/// One step of one task.
struct step_note {
  std::uint64_t task = 0;
  const char* function = "";       // the task's outermost coroutine; empty before its first step
  std::source_location here = {};  // where it goes on, or where it was spawned
  std::source_location told = {};  // the same for people: outside of weir's headers where it can be
  bool is_first = false;           // its first step
  time_point at = {};
  std::uint32_t passed_over = 0;  // ready tasks that had waited longer
  std::uint64_t over_task = 0;    // the first of them
  bool over_goes_on = false;      // that one was running and need not have stopped
  std::uint32_t machine = 0;      // whose task it is, from 1; 0: there is only one
};

/// What happened between two steps.
struct event_note {
  std::uint64_t before_step = 0;    // from 0
  std::string text;                 // empty for a decision, whose name is known at the end
  std::optional<choice> made = {};  // the decision that it was
};

/// A decision that the program has given a name.
struct named_choice {
  choice made;
  std::string text;
};

/// The steps of a run.
///
/// Cancel:  plain value, no waits.
/// Order:   as they happened.
/// Bound:   notes_max notes, events_max events and hashes_max hashes; later steps are counted only.
/// Errors:  none.
/// Threads: one at a time.
class schedule_trace final : public choice_listener {
 public:
  static constexpr std::size_t notes_max = 100'000;
  static constexpr std::size_t events_max = 1'000;
  static constexpr std::size_t hashes_max = 4'000'000;

  /// Keeps a note of each step; else only hashes.
  bool keeps_notes = false;
  /// The run that this one should repeat: the first step that differs is noted. May be null.
  const schedule_trace* expected = nullptr;
  /// The step whose stack is wanted.
  std::uint64_t stack_wanted_at = UINT64_MAX;
  /// The names of a run's machines, by their numbers from 1; empty: there is only one.
  std::vector<std::string> machines;
  /// The process died in the last step.
  bool has_died = false;
  /// Those of the run that have names, which are told by them.
  std::vector<named_choice> named;

  void add(const detail::task_header& task, time_point now, std::uint64_t rank, std::size_t ready,
           const step_note& about);
  /// Something else has happened, in words: a fault of a machine.
  void tell(std::string what, std::optional<choice> made = {});
  /// Switches are told by its steps.
  void decided(const choice& what) noexcept override;
  /// The notes of a run that was made elsewhere, which had so many steps.
  void retell(std::vector<step_note> notes, std::vector<event_note> events, std::uint64_t steps);

  const std::vector<step_note>& notes() const noexcept { return notes_; }
  const std::vector<event_note>& events() const noexcept { return events_; }
  std::uint64_t steps() const noexcept { return steps_; }
  /// A rolling hash of task, place, time and choice after each step.
  const std::vector<std::uint64_t>& hashes() const noexcept { return hashes_; }
  /// The first step at which this run was not the expected one; UINT64_MAX: none.
  std::uint64_t parted_at() const noexcept { return parted_at_; }
  /// The stack of the task at the wanted step, or at the one that differs.
  const std::string& stack() const noexcept { return stack_; }
  /// "bank"; of the only machine an empty one.
  std::string name_of(std::uint32_t machine) const;

 private:
  std::vector<step_note> notes_;
  std::vector<event_note> events_;
  std::vector<std::uint64_t> hashes_;
  std::uint64_t steps_ = 0;
  std::uint64_t hash_ = 0;
  std::uint64_t parted_at_ = UINT64_MAX;
  std::string stack_;
};

}  // namespace weir
