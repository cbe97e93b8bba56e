#include <weir/sim/explored_schedule.hpp>

#include <weir/base/hash.hpp>
#include <weir/base/program_here.hpp>
#include <weir/core/loop.hpp>
#include <weir/sim/internal/no_end.hpp>

#include <algorithm>
#include <bit>

namespace weir {

namespace {

constexpr const char* strategy_names[strategy_count] = {"fifo", "random", "pos",
                                                        "pct2", "pct3",   "urw"};

std::uint64_t site_of(const detail::task_header& task) noexcept {
  return mix(std::bit_cast<std::uintptr_t>(task.here.file_name()) ^
             (std::uint64_t{task.here.line()} << 32) ^ task.here.column());
}

constexpr std::size_t spent_max = 1024;  // entries before the first one
constexpr std::size_t tasks_expected = 1024;
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
  entries_.reserve(4 * spent_max);
  tasks_.reserve(tasks_expected);
  if (how_ == strategy::pct2 || how_ == strategy::pct3) draw_change_points();
}

void explored_schedule::begin_loop() noexcept {
  entries_.clear();
  first_ = 0;
  tasks_.clear();
  last_is_tired_ = false;
  waits_in_a_row_ = 0;
}

std::size_t explored_schedule::eligible() const noexcept {
  const std::size_t count = ready();
  return std::min(count - (last_is_tired_ && count > 1 ? 1 : 0), window_max);
}

explored_schedule::known_task& explored_schedule::at(std::uint64_t id) {
  if (id >= tasks_.size()) {
    const detail::world_runs growing;
    tasks_.resize(static_cast<std::size_t>(id) + 1);
  }
  return tasks_[static_cast<std::size_t>(id)];
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
  known_task& one = at(task.id);
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

void explored_schedule::add(detail::task_header& task, bool goes_on) noexcept {
  if (goes_on) {
    // In order the loop itself counts what is ready at once: who comes here has spent it all.
    const bool is_spent = how_ == strategy::in_order && !choices_.is_replay();
    if (is_spent || ++waits_in_a_row_ >= waits_in_a_row_max) {
      goes_on = false;
      waits_in_a_row_ = 0;
      last_is_tired_ = true;
    }
  } else {
    last_is_tired_ = false;  // it is not the last one any more
  }
  const auto slot = static_cast<std::uint32_t>(task.id & 0x7fff'ffff);
  if (task.resumes == 0) meet(task);
  entry one{.task = &task, .priority = 0, .slot = slot, .goes_on = goes_on};
  if (how_ == strategy::pos) {
    if (!choices_.is_replay()) {
      one.priority = static_cast<std::uint32_t>(choices_.stream(choice_kind::task).next() >> 32);
    }
  } else if (how_ == strategy::pct2 || how_ == strategy::pct3) {
    // A task that yields, or has spent its budget, lets others have their turn.
    const loop* const on = loop::current();
    if (!goes_on && on && on->running() == &task &&
        (task.state == detail::task_state::waiting || last_is_tired_)) {
      tasks_[slot].priority =
          --priorities_below_ > priority_yielded ? priorities_below_ : priority_yielded;
    }
    one.priority = tasks_[slot].priority;
  }
  if (entries_.size() == entries_.capacity()) [[unlikely]] {
    const detail::world_runs growing;
    entries_.reserve(2 * entries_.size() + spent_max);
  }
  if (!goes_on) {
    entries_.push_back(one);
  } else if (first_ != 0) {
    entries_[--first_] = one;
  } else {
    entries_.insert(entries_.begin(), one);
  }
}

std::size_t explored_schedule::highest(std::size_t count) const noexcept {
  const entry* const from = entries_.data() + first_;
  std::size_t best = 0;
  for (std::size_t i = 1; i < count; ++i) {
    if (from[i].priority > from[best].priority) best = i;
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
    if (steps_ != change_points_[i]) continue;
    entry& one = entries_[first_ + highest(count)];
    one.priority = tasks_[one.slot].priority = i;
  }
  return highest(count);
}

std::size_t explored_schedule::propose_urw(std::size_t count) noexcept {
  const entry* const from = entries_.data() + first_;
  const auto weight = [&](std::size_t i) {
    return static_cast<std::uint64_t>(std::max<std::int64_t>(tasks_[from[i].slot].steps_left, 1));
  };
  std::uint64_t sum = 0;
  for (std::size_t i = 0; i < count; ++i) sum += weight(i);
  std::uint64_t drawn = choices_.stream(choice_kind::task).below(sum);
  std::size_t chosen = 0;
  while (drawn >= weight(chosen)) drawn -= weight(chosen++);
  return chosen;
}

std::size_t explored_schedule::propose_wished(std::size_t count) const noexcept {
  const entry* const from = entries_.data() + first_;
  for (const std::uint64_t id : wished_) {
    const entry* const found =
        std::find_if(from, from + count, [id](const entry& one) { return one.task->id == id; });
    if (found != from + count) return static_cast<std::size_t>(found - from);
  }
  return 0;
}

std::uint64_t explored_schedule::propose() noexcept {
  const std::size_t count = eligible();
  if (!wished_.empty()) return propose_wished(count);
  if (choices_.is_replay() || steps_ >= fair_after) return 0;
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

detail::task_header& explored_schedule::take() noexcept {
  if (++steps_ > steps_max_) [[unlikely]] {
    if (steps_ == steps_max_ + 1) detail::note_no_end({steps_max_});
    if (detail::is_beyond(steps_, steps_max_)) detail::die_without_end({steps_});
  }
  std::size_t rank = 0;
  if (const std::size_t count = eligible(); count > 1) {
    rank = static_cast<std::size_t>(choices_.decide(choice_kind::task, count, propose()));
  }
  last_is_tired_ = false;
  const entry chosen = entries_[first_ + rank];
  if (!wished_.empty()) [[unlikely]] {
    const auto mentioned = std::find(wished_.begin(), wished_.end(), chosen.task->id);
    if (mentioned != wished_.end()) wished_.erase(mentioned);
  }
  if (!chosen.goes_on) waits_in_a_row_ = 0;
  if (trace_) [[unlikely]] {
    const entry& over = entries_[first_];
    step_note note{.passed_over = static_cast<std::uint32_t>(rank), .machine = choices_.machine()};
    if (rank != 0) {
      note.over_task = over.task->id;
      note.over_goes_on = over.goes_on;
    }
    trace_->add(*chosen.task, loop::current()->now(), rank, ready(), note);
  }
  for (std::size_t i = first_ + rank; i > first_; --i) entries_[i] = entries_[i - 1];
  if (++first_ == entries_.size()) {
    entries_.clear();
    first_ = 0;
  } else if (first_ >= spent_max) {
    entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(first_));
    first_ = 0;
  }
  known_task& one = tasks_[chosen.slot];
  ++one.steps;
  --one.steps_left;
  return *chosen.task;
}

std::uint32_t explored_schedule::lot(std::uint32_t count) noexcept {
  return static_cast<std::uint32_t>(choices_.below(choice_kind::select, count));
}

schedule_knowledge explored_schedule::learned() const {
  schedule_knowledge known{.steps = steps_, .steps_by_site = {}};
  std::vector<std::uint64_t> whole(tasks_.size());
  std::unordered_map<std::uint64_t, std::uint64_t> tasks_by_site;
  std::unordered_map<std::uint64_t, std::uint64_t> steps_by_site;
  for (std::size_t id = tasks_.size(); id-- > 1;) {  // children come after their parents
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
