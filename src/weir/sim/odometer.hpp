// Every run that a program can have, one after the other. The hard idea: a run is a path through a
// tree of decisions; the next path is found by raising the last decision that can be raised and
// forgetting what came after it (TigerBeetle's exhaustigen). A bound on how many decisions differ
// from the plain ones makes the tree small: most bugs need one or two (delay bounding; Emmi,
// Qadeer and Rakamaric 2011).
#pragma once

#include <weir/sim/choice.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace weir {

/// A path through a tree of decisions.
///
/// Cancel:  plain value, no waits.
/// Order:   plain answers first; then the last decision is varied first.
/// Bound:   `exceptions_max` decisions of a path differ from the plain ones; decisions among more
///          than fan_max are plain always, and those after the depth_max-th.
/// Errors:  none.
/// Threads: one.
class odometer {
 public:
  static constexpr std::uint64_t fan_max = 256;
  static constexpr std::size_t depth_max = 1'000'000;

  /// One decision.
  struct digit {
    choice_kind kind = choice_kind::task;
    std::uint32_t index = 0;
    std::uint32_t machine = 0;
    std::uint64_t value = 0;
    std::uint64_t n = 0;
  };

  explicit odometer(std::uint32_t exceptions_max) noexcept : exceptions_max_(exceptions_max) {}

  /// The answer of this path to the next decision of a run; `machine` is whose it is, 0: nobody's.
  std::uint64_t answer(choice_kind kind, std::uint32_t index, std::uint64_t n,
                       std::uint32_t machine = 0) {
    if (n > fan_max || at_ >= depth_max) {
      has_left_out_ = true;
      return 0;
    }
    if (at_ == path_.size()) {
      path_.push_back({.kind = kind, .index = index, .machine = machine, .n = n});
    }
    digit& one = path_[at_++];
    // A program that is no function of its decisions: go on as well as can be.
    if (one.value >= n) one.value = n - 1;
    one.n = n;
    return one.value;
  }
  /// A run begins: from the first decision again.
  void rewind() noexcept { at_ = 0; }
  /// To the next path; false when there is none.
  bool advance() noexcept {
    path_.resize(at_ < path_.size() ? at_ : path_.size());
    while (!path_.empty()) {
      digit& last = path_.back();
      const bool is_new = last.value == 0;
      if (last.value + 1 < last.n && (!is_new || exceptions_ < exceptions_max_)) {
        if (is_new) ++exceptions_;
        ++last.value;
        return true;
      }
      if (!is_new) --exceptions_;
      path_.pop_back();
    }
    return false;
  }
  /// A decision was one of those that are plain always.
  bool has_left_out() const noexcept { return has_left_out_; }
  choice_log log() const {
    choice_log made;
    for (const digit& one : path_) {
      if (one.value != 0) {
        made.exceptions.push_back(
            {.kind = one.kind, .index = one.index, .value = one.value, .machine = one.machine});
      }
    }
    return made;
  }

  /// The decisions of the run so far, or of the last.
  std::span<const digit> taken() const noexcept { return {path_.data(), at_}; }
  /// A run was made of a copy of this one, and took these.
  void took(std::vector<digit> all) noexcept {
    at_ = all.size();
    path_ = std::move(all);
  }

 private:
  std::uint32_t exceptions_max_;
  std::uint32_t exceptions_ = 0;  // digits that are not 0
  std::size_t at_ = 0;
  bool has_left_out_ = false;
  std::vector<digit> path_;
};

}  // namespace weir
