#include <weir/sim/turns.hpp>

#include <cstddef>
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
    return std::move(best_);
  }
  std::uint64_t runs() const noexcept { return runs_; }

 private:
  bool join_two() {
    for (std::size_t first = 0; first + 1 < turns_.size(); ++first) {
      std::size_t second = first + 1;
      while (second < turns_.size() && turns_[second].task != turns_[first].task) ++second;
      if (second == turns_.size()) continue;
      for (std::size_t at = first; at < second; ++at) {
        if (take(joined_at(turns_, first, second, at))) return true;
      }
    }
    return false;
  }

  bool take(const std::vector<task_turn>& turns) {
    if (runs_ >= runs_max_) return false;
    ++runs_;
    choice_log used;
    std::vector<task_turn> made;
    if (!trial_.fails(order_of(turns), used, made)) return false;
    // As many exceptions in fewer turns may be what lets the next two be joined.
    const std::pair now(used.exceptions.size(), made.size());
    if (now >= std::pair(best_.exceptions.size(), turns_.size())) return false;
    best_ = std::move(used);
    turns_ = std::move(made);
    return true;
  }

  choice_log best_;
  std::vector<task_turn> turns_;
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
