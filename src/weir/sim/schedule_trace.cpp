#include <weir/sim/schedule_trace.hpp>

#include <weir/base/hash.hpp>
#include <weir/core/dump.hpp>
#include <weir/core/frame.hpp>
#include <weir/sim/run_story.hpp>

#include <fmt/format.h>

#include <string_view>
#include <utility>

namespace weir {

namespace {

constexpr std::size_t lines_max = 32;

// ".../weir/core/sleep.hpp", ".../weir/core/detail/...": a wait in there is one of whoever calls.
bool is_header_of_weir(std::string_view path) noexcept {
  if (!path.ends_with(".hpp")) return false;
  const auto cut_last = [&] { path = path.substr(0, path.rfind('/')); };
  cut_last();
  if (path.ends_with("/detail") || path.ends_with("/internal")) cut_last();
  cut_last();
  return path == "weir" || path.ends_with("/weir");
}

}  // namespace

void schedule_trace::add(const detail::task_header& task, time_point now, std::uint64_t rank,
                         std::size_t ready, const step_note& about) {
  const std::uint64_t step = steps_++;
  const auto stack_on = [&](std::uint32_t machine) {
    return machine == 0 ? stack_of(task) : name_of(machine) + ": " + stack_of(task);
  };
  detail::stack_line innermost;
  step_note note = about;
  note.task = task.id;
  note.at = now;
  note.here = task.here;
  note.is_first = true;
  detail::stack_line lines[lines_max];
  const bool is_noted = keeps_notes && notes_.size() < notes_max;
  const std::size_t count = detail::read_stack(task, lines, is_noted ? lines_max : 2);
  std::optional<std::source_location> outside;
  for (std::size_t i = count; i-- != 0;) {
    if (lines[i].label) continue;
    if (!*note.function) note.function = lines[i].function;
    innermost = lines[i];
    if (is_noted && !is_header_of_weir(innermost.here.file_name())) outside = innermost.here;
  }
  if (task.resumes != 0) {
    note.here = innermost.here;
    note.is_first = false;
  }
  note.told = note.is_first ? note.here : outside.value_or(note.here);
  if (is_noted) notes_.push_back(note);
  hash_ = mix(hash_ ^ task.id ^ (std::uint64_t{note.machine} << 48) ^
              mix(static_cast<std::uint64_t>(now.ns) ^
                  mix(rank ^ (ready << 20) ^ (std::uint64_t{note.here.line()} << 40))));
  if (hashes_.size() < hashes_max) hashes_.push_back(hash_);
  if (expected && parted_at_ == UINT64_MAX && step < expected->hashes_.size() &&
      expected->hashes_[step] != hash_) {
    parted_at_ = step;
    stack_ = stack_on(note.machine);
  }
  if (step == stack_wanted_at) stack_ = stack_on(note.machine);
}

void schedule_trace::tell(std::string what, std::optional<choice> made) {
  if (keeps_notes && events_.size() < events_max)
    events_.push_back({steps_, std::move(what), made});
}

void schedule_trace::decided(const choice& what) noexcept {
  if (what.kind != choice_kind::task) tell({}, what);
}

void schedule_trace::retell(std::vector<step_note> notes, std::vector<event_note> events,
                            std::uint64_t steps) {
  notes_ = std::move(notes);
  events_ = std::move(events);
  steps_ = steps;
}

std::string schedule_trace::name_of(std::uint32_t machine) const {
  if (machine == 0) return {};
  return machine <= machines.size() ? machines[machine - 1] : fmt::format("machine {}", machine);
}

}  // namespace weir
