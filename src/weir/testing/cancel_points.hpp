// Cancelling an operation at every point at which it can be cancelled. The hard idea: in a virtual
// world a run is a sequence of steps that repeats exactly, so "cancel before step n" and "cancel
// after step n", for n = 1, 2, ... until the operation ends untouched, are all the moments there
// are; shuffled schedules give the sequences that are possible.
#pragma once

#include <weir/testing/test.hpp>

#include <cstddef>
#include <cstdint>
#include <source_location>

namespace weir::testing {

inline constexpr std::uint64_t cancel_points_max = 10'000;    // of one scenario and schedule
inline constexpr std::uint64_t cancel_schedules_default = 8;  // seeds, besides the one in order

class noted_steps;

/// The part of a scenario that is cancelled.
///
/// Cancel:  the n-th point after its beginning cancels what it runs, and nothing else.
/// Order:   points are the begins and the ends of steps of any task of the loop.
/// Bound:   cancel_points_max points.
/// Errors:  an error of the operation is raised by run(), as with_scope raises it.
/// Threads: one loop.
class victim {
 public:
  victim(std::uint64_t point, noted_steps& steps) noexcept : point_(point), steps_(steps) {}
  victim(const victim&) = delete;
  victim& operator=(const victim&) = delete;

  /// Runs the operation in a scope of its own, which is cancelled at this run's point. Once in a
  /// scenario.
  task<> run(task<> operation);

  /// True when the point came before the operation's end.
  bool was_cancelled() const noexcept { return was_cancelled_; }

 private:
  struct watcher;
  std::uint64_t point_;
  noted_steps& steps_;
  bool was_cancelled_ = false;
  bool has_run_ = false;
};

/// Runs the scenario again and again, its victim cancelled at another point each time, until it
/// ends untouched; and all that under several schedules. The scenario checks what a cancelled
/// operation must not have done: `cancel_at_every_point([](victim& v) -> task<> { ...; co_await
/// v.run(operation()); EXPECT_...; });` Gives the number of cancelled runs, and fails the test when
/// there was none.
std::size_t cancel_at_every_point(task<> (*scenario)(victim&),
                                  std::source_location place = std::source_location::current());

}  // namespace weir::testing
