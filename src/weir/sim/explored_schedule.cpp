#include <weir/sim/explored_schedule.hpp>

#include <weir/base/hash.hpp>
#include <weir/base/program_here.hpp>
#include <weir/core/loop.hpp>
#include <weir/sim/internal/no_end.hpp>

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

namespace weir {

namespace {

constexpr const char* strategy_names[strategy_count] = {"fifo", "random", "pos",
                                                        "pct2", "pct3",   "urw"};

std::uint64_t site_of(const detail::task_header& task) noexcept {
  return mix(std::bit_cast<std::uintptr_t>(task.here.file_name()) ^
             (std::uint64_t{task.here.line()} << 32) ^ task.here.column());
}

constexpr std::size_t line_expected = 1024;
constexpr std::size_t room_in_front = 64;  // of a line, for tasks that go on
constexpr std::size_t tasks_expected = 256;
constexpr std::uint32_t change_points_most = 2;
constexpr std::uint32_t priority_yielded = 1'000'000;    // pct: below it come the lowered ones
constexpr std::uint32_t priority_first = 2'000'000'000;  // and above this the drawn ones

}  // namespace

const char* name(strategy how) noexcept { return strategy_names[static_cast<std::size_t>(how)]; }

void explored_schedule::restart(strategy how, const schedule_knowledge* known) {
  how_ = how;
  known_ = known;
  steps_ = 0;
  priorities_below_ = priority_first;
  trace_ = nullptr;
  wished_.clear();
  begin_loop();
  // Programs count their own allocations: they should see none of ours.
  if (line_.size() < line_expected) line_.resize(line_expected);
  if (tasks_.size() < tasks_expected) tasks_.resize(tasks_expected);
  if (how_ == strategy::pct2 || how_ == strategy::pct3) draw_change_points();
}

void explored_schedule::begin_loop() noexcept {
  first_ = end_ = room_in_front;
  tasks_met_ = 0;
  last_is_tired_ = false;
  waits_in_a_row_ = 0;
}

inline explored_schedule::known_task& explored_schedule::of(
    const detail::task_header& task) noexcept {
  return tasks_[static_cast<std::size_t>(task.id)];
}

// How many steps a task of this place takes, with those that it spawns.
std::uint32_t explored_schedule::expected(std::uint64_t site) const noexcept {
  if (!known_) return 1;
  const auto found = known_->steps_by_site.find(site);
  return found == known_->steps_by_site.end() ? 1 : found->second;
}

// A task that is ready for the first time.
void explored_schedule::meet(detail::task_header& task) {
  const loop* const on = loop::current();
  const detail::task_header* const spawner = on ? on->running() : nullptr;
  const auto parent = static_cast<std::uint32_t>(spawner ? spawner->id : 0);
  const auto id = static_cast<std::size_t>(task.id);
  if (id >= tasks_.size()) [[unlikely]]
    know_more(id + 1);
  for (; tasks_met_ < id; ++tasks_met_) tasks_[tasks_met_] = {};  // who has not been ready yet
  tasks_met_ = std::max(tasks_met_, id + 1);
  known_task& one = tasks_[id];
  one = {.parent = parent};
  if (!known_) {
    one.site = site_of(task);  // to learn
  } else if (how_ == strategy::urw) {
    one.steps_left = expected(site_of(task));
    tasks_[parent].steps_left -= one.steps_left;
  } else if ((how_ == strategy::pct2 || how_ == strategy::pct3) && !choices_.is_replay()) {
    one.priority = priority_first +
                   static_cast<std::uint32_t>(choices_.stream(choice_kind::task).next() >> 33);
  }
}

void explored_schedule::know_more(std::size_t tasks) {
  const detail::world_runs growing;
  tasks_.resize(std::max(tasks, 2 * tasks_.size()));
}

// Counts an await that need not wait. True: its task stays the first in line.
bool explored_schedule::spend_wait() noexcept {
  // In order the loop itself counts what is ready at once: who comes here has spent it all.
  const bool is_spent = how_ == strategy::in_order && !choices_.is_replay();
  if (!is_spent && ++waits_in_a_row_ < waits_in_a_row_max) return true;
  waits_in_a_row_ = 0;
  last_is_tired_ = true;
  return false;
}

// pos: a number for each step.
inline void explored_schedule::draw_priority(known_task& one) noexcept {
  if (choices_.is_replay()) return;
  one.priority = static_cast<std::uint32_t>(choices_.stream(choice_kind::task).next() >> 32);
}

// pct: a task that yields, or has spent its budget, lets others have their turn.
[[gnu::noinline]] void explored_schedule::lower_if_it_yields(
    const detail::task_header& task) noexcept {
  const loop* const on = loop::current();
  if (!on || on->running() != &task) return;
  if (task.state != detail::task_state::waiting && !last_is_tired_) return;
  of(task).priority = --priorities_below_ > priority_yielded ? priorities_below_ : priority_yielded;
}

void explored_schedule::add(detail::task_header& task, bool goes_on) noexcept {
  if (goes_on) {
    goes_on = spend_wait();
  } else {
    last_is_tired_ = false;  // it is not the last one any more
  }
  if (task.resumes == 0) meet(task);
  known_task& one = of(task);
  one.goes_on = goes_on;
  if (how_ == strategy::pos) {
    draw_priority(one);
  } else if (!goes_on && (how_ == strategy::pct2 || how_ == strategy::pct3)) {
    lower_if_it_yields(task);
  }
  if (goes_on) {
    line_[--first_] = &task;
    if (first_ == 0) [[unlikely]]
      make_room();
  } else {
    line_[end_++] = &task;
    if (end_ == line_.size()) [[unlikely]]
      make_room();
  }
}

// At both ends, where add() expects a place.
void explored_schedule::make_room() {
  const std::size_t count = ready();
  if (line_.size() < 2 * (count + room_in_front)) {
    const detail::world_runs growing;
    line_.resize(std::max(line_expected, 2 * line_.size()));
  }
  detail::task_header** const to = line_.data() + room_in_front;
  std::memmove(static_cast<void*>(to), static_cast<const void*>(line_.data() + first_),
               count * sizeof *to);
  first_ = room_in_front;
  end_ = first_ + count;
}

// The longer proposals are calls: a step at random need not save registers for them.
[[gnu::noinline]] std::size_t explored_schedule::highest(std::size_t count) noexcept {
  detail::task_header* const* const from = line_.data() + first_;
  std::size_t best = 0;
  std::uint32_t best_priority = of(*from[0]).priority;
  for (std::size_t i = 1; i < count; ++i) {
    const std::uint32_t priority = of(*from[i]).priority;
    if (priority <= best_priority) continue;
    best_priority = priority;
    best = i;
  }
  return best;
}

void explored_schedule::draw_change_points() {
  const std::uint64_t steps = std::max<std::uint64_t>(known_ ? known_->steps : 0, 8);
  for (std::uint64_t& one : change_points_) {
    one = choices_.is_replay() ? UINT64_MAX : choices_.stream(choice_kind::task).below(steps);
  }
  if (how_ == strategy::pct2) change_points_[1] = UINT64_MAX;
}

std::size_t explored_schedule::propose_pct(std::size_t count) noexcept {
  for (std::uint32_t i = 0; i < change_points_most; ++i) {
    if (steps_ == change_points_[i]) of(*line_[first_ + highest(count)]).priority = i;
  }
  return highest(count);
}

[[gnu::noinline]] std::size_t explored_schedule::propose_urw(std::size_t count) noexcept {
  detail::task_header* const* const from = line_.data() + first_;
  const auto weight = [&](std::size_t i) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(of(*from[i]).steps_left, 1));
  };
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += weight(i);
  std::uint64_t drawn = choices_.stream(choice_kind::task).below(sum);
  std::size_t chosen = 0;
  while (drawn >= weight(chosen)) drawn -= weight(chosen++);
  return chosen;
}

std::size_t explored_schedule::propose_wished(std::size_t count) const noexcept {
  detail::task_header* const* const from = line_.data() + first_;
  for (const std::uint64_t id : wished_) {
    const auto found = std::find_if(from, from + count,
                                    [id](const detail::task_header* one) { return one->id == id; });
    if (found != from + count) return static_cast<std::size_t>(found - from);
  }
  return 0;
}

std::uint64_t explored_schedule::propose(std::size_t count) noexcept {
  if (!wished_.empty()) [[unlikely]]
    return propose_wished(count);
  if (choices_.is_replay() || steps_ >= fair_after) [[unlikely]]
    return 0;
  switch (how_) {
    case strategy::in_order:
      return 0;
    case strategy::random:
      return choices_.stream(choice_kind::task).below(count);
    case strategy::pos:
      return highest(count);
    case strategy::pct2:
    case strategy::pct3:
      return propose_pct(count);
    case strategy::urw:
      return propose_urw(count);
  }
  return 0;
}

// How many of those in line are passed over.
std::size_t explored_schedule::choose() noexcept {
  const std::size_t count = std::min(ready() - (last_is_tired_ ? 1 : 0), window_max);
  if (count == 1) return 0;
  return static_cast<std::size_t>(choices_.decide(choice_kind::task, count, propose(count)));
}

detail::task_header& explored_schedule::take() noexcept {
  if (++steps_ > steps_max_) [[unlikely]]
    take_many_steps();
  const std::size_t rank = ready() > 1 ? choose() : 0;
  last_is_tired_ = false;
  detail::task_header** const from = line_.data() + first_;
  detail::task_header* const chosen = from[rank];
  if (trace_ || !wished_.empty()) [[unlikely]]
    tell(*chosen, rank);
  detail::task_header* moved = *from;
#ifdef __clang__  // they are few as a rule
#pragma clang loop vectorize(disable) unroll(disable)
#endif
  for (std::size_t i = 1; i <= rank; ++i) moved = std::exchange(from[i], moved);
  if (++first_ == end_) first_ = end_ = room_in_front;
  known_task& one = of(*chosen);
  if (!one.goes_on) waits_in_a_row_ = 0;
  ++one.steps;
  --one.steps_left;
  return *chosen;
}

void explored_schedule::take_many_steps() noexcept {
  if (steps_ == steps_max_ + 1) detail::note_no_end({steps_max_});
  if (detail::is_beyond(steps_, steps_max_)) detail::die_without_end({steps_});
}

// Whom somebody wished for has had that turn; and what a trace notes of a step.
void explored_schedule::tell(const detail::task_header& chosen, std::size_t rank) noexcept {
  const auto mentioned = std::find(wished_.begin(), wished_.end(), chosen.id);
  if (mentioned != wished_.end()) wished_.erase(mentioned);
  if (!trace_) return;
  step_note note{.passed_over = static_cast<std::uint32_t>(rank), .machine = choices_.machine()};
  if (rank != 0) {
    const detail::task_header& over = *line_[first_];
    note.over_task = over.id;
    note.over_goes_on = of(over).goes_on;
  }
  trace_->add(chosen, loop::current()->now(), rank, ready(), note);
}

std::uint32_t explored_schedule::lot(std::uint32_t count) noexcept {
  return static_cast<std::uint32_t>(choices_.below(choice_kind::select, count));
}

schedule_knowledge explored_schedule::learned() const {
  schedule_knowledge known{.steps = steps_, .steps_by_site = {}};
  std::vector<std::uint64_t> whole(tasks_met_);
  std::unordered_map<std::uint64_t, std::uint64_t> tasks_by_site;
  std::unordered_map<std::uint64_t, std::uint64_t> steps_by_site;
  for (std::size_t id = tasks_met_; id-- > 1;) {  // children come after their parents
    whole[id] += tasks_[id].steps;
    if (tasks_[id].parent < id) whole[tasks_[id].parent] += whole[id];
    ++tasks_by_site[tasks_[id].site];
    steps_by_site[tasks_[id].site] += whole[id];
  }
  for (const auto& [site, steps] : steps_by_site) {
    known.steps_by_site[site] = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(steps / tasks_by_site[site], UINT32_MAX));
  }
  return known;
}

}  // namespace weir
