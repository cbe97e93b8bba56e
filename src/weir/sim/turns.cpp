#include <weir/sim/turns.hpp>

#include <weir/base/random.hpp>

#include <cstddef>
#include <optional>
#include <utility>

namespace weir {

namespace {

std::vector<std::uint64_t> order_of(const std::vector<task_turn>& turns) {
  std::vector<std::uint64_t> order;
  for (const task_turn& one : turns) order.insert(order.end(), one.steps, one.task);
  return order;
}

// The turns at `first` and `second`, of one task, are one that stands at `at` of the others.
std::vector<task_turn> joined_at(std::vector<task_turn> turns, std::size_t first,
                                 std::size_t second, std::size_t at) {
  task_turn both = turns[first];
  both.steps += turns[second].steps;
  turns.erase(turns.begin() + static_cast<std::ptrdiff_t>(second));
  turns.erase(turns.begin() + static_cast<std::ptrdiff_t>(first));
  turns.insert(turns.begin() + static_cast<std::ptrdiff_t>(at), both);
  return turns;
}

class joiner {
 public:
  joiner(choice_log from, std::vector<task_turn> turns, turn_trial& trial,
         std::uint64_t runs_max) noexcept
      : best_(std::move(from)), turns_(std::move(turns)), trial_(trial), runs_max_(runs_max) {}

  choice_log joined() {
    while (join_two() && runs_ < runs_max_) {
    }
    walk();
    return std::move(best_);
  }
  std::uint64_t runs() const noexcept { return runs_; }

 private:
  // Where no two can be joined, they often can after others have moved: a walk at random through
  // orders that fail as well and are no longer, until it has not become shorter for a while.
  void walk() {
    std::size_t size = turns_.size();
    for (std::uint64_t idle = 0; idle < idle_moves_max * size && runs_ < runs_max_; ++idle) {
      const auto moved = moved_at_random();
      if (!moved || !take(*moved, sizes::or_as_long) || turns_.size() == size) continue;
      size = turns_.size();
      idle = 0;
    }
  }

  // Nothing when the turn that was drawn has no such move.
  std::optional<std::vector<task_turn>> moved_at_random() {
    const std::size_t first = static_cast<std::size_t>(random_.below(turns_.size()));
    switch (random_.below(4)) {
      case 0:
        return with_places_changed(first);
      case 1:
        return with_parts_changed(first);
      default:
        break;
    }
    const std::size_t second = next_of_its_task(first);
    if (second == turns_.size()) return std::nullopt;
    if (random_.below(2) == 0)
      return joined_at(turns_, first, second,
                       first + static_cast<std::size_t>(random_.below(second - first)));
    return with_steps_moved(first, second);
  }

  // A turn and the next.
  std::optional<std::vector<task_turn>> with_places_changed(std::size_t first) const {
    if (first + 1 == turns_.size()) return std::nullopt;
    std::vector<task_turn> turns = turns_;
    std::swap(turns[first], turns[first + 1]);
    return turns;
  }

  // From a turn on its task does what that of the next did, and the other way round.
  std::optional<std::vector<task_turn>> with_parts_changed(std::size_t first) const {
    if (first + 1 == turns_.size()) return std::nullopt;
    const std::uint64_t one = turns_[first].task;
    const std::uint64_t other = turns_[first + 1].task;
    std::vector<task_turn> turns = turns_;
    for (std::size_t at = first; at < turns.size(); ++at) {
      if (turns[at].task == one || turns[at].task == other)
        turns[at].task = turns[at].task == one ? other : one;
    }
    return turns;
  }

  // Some steps of one of two turns of a task, or all, are the other's.
  std::vector<task_turn> with_steps_moved(std::size_t first, std::size_t second) {
    if (random_.below(2) == 0) std::swap(first, second);
    std::vector<task_turn> turns = turns_;
    const std::uint64_t steps = 1 + random_.below(turns[first].steps);
    turns[first].steps -= steps;
    turns[second].steps += steps;
    return turns;
  }

  // turns_.size() when there is none.
  std::size_t next_of_its_task(std::size_t turn) const noexcept {
    std::size_t at = turn + 1;
    while (at < turns_.size() && turns_[at].task != turns_[turn].task) ++at;
    return at;
  }

  bool join_two() {
    for (std::size_t first = 0; first + 1 < turns_.size(); ++first) {
      const std::size_t second = next_of_its_task(first);
      if (second == turns_.size()) continue;
      for (std::size_t at = first; at < second; ++at) {
        if (take(joined_at(turns_, first, second, at))) return true;
      }
    }
    return false;
  }

  enum class sizes : std::uint8_t { shorter, or_as_long };

  bool take(const std::vector<task_turn>& turns, sizes which = sizes::shorter) {
    if (runs_ >= runs_max_) return false;
    ++runs_;
    choice_log used;
    std::vector<task_turn> made;
    if (!trial_.fails(order_of(turns), used, made)) return false;
    // As many exceptions in fewer turns may be what lets the next two be joined.
    const std::pair now(used.exceptions.size(), made.size());
    const std::pair before(best_.exceptions.size(), turns_.size());
    if (which == sizes::shorter ? now >= before : now > before) return false;
    best_ = std::move(used);
    turns_ = std::move(made);
    return true;
  }

  static constexpr std::uint64_t idle_moves_max = 100;  // for each turn

  choice_log best_;
  std::vector<task_turn> turns_;
  random_source random_{1};
  turn_trial& trial_;
  std::uint64_t runs_max_;
  std::uint64_t runs_ = 0;
};

}  // namespace

std::vector<task_turn> turns_of(const schedule_trace& run) {
  std::vector<task_turn> turns;
  for (const step_note& one : run.notes()) {
    if (turns.empty() || turns.back().task != one.task) turns.push_back({.task = one.task});
    ++turns.back().steps;
  }
  return turns;
}

choice_log join_turns(choice_log from, std::vector<task_turn> turns, turn_trial& trial,
                      std::uint64_t runs_max, std::uint64_t& runs) {
  joiner one(std::move(from), std::move(turns), trial, runs_max);
  choice_log made = one.joined();
  runs += one.runs();
  return made;
}

}  // namespace weir
