// Which ready task goes next: the strategies that look for orders in which a program fails. The
// hard idea: which strategy finds a bug soonest depends on the bug, so none is best, and a campaign
// takes turns (sim/explore.hpp). All of them propose; choices::decide() has the last word, which is
// how a replay works whatever strategy found the schedule.
//
// A schedule point is each await, also one that need not wait: then the running task is the first
// in line, so rank 0 means "no switch", and a schedule of zeros is the one in order.
//
//   in_order  first in, first out
//   random    each ready task equally likely
//   pos       a random priority for each step (partial order sampling; Yuan and others 2018)
//   pct       a random priority for each task, lowered at 1 or 2 random steps (Burckhardt 2010)
//   urw       as likely as there are steps left for it (uniform random walk; Zhao and others 2025)
#pragma once

#include <weir/core/driver.hpp>
#include <weir/sim/choice.hpp>
#include <weir/sim/schedule_trace.hpp>

#include <cstddef>
#include <cstdint>
#include <unordered_map>
#include <vector>

namespace weir {

enum class strategy : std::uint8_t { in_order, random, pos, pct2, pct3, urw };
inline constexpr std::size_t strategy_count = 6;
const char* name(strategy how) noexcept;

/// What a run has shown about a program: for strategies that must guess what comes.
struct schedule_knowledge {
  std::uint64_t steps = 0;
  /// Steps of a task and those that it spawned, on average; by the place where it was spawned.
  std::unordered_map<std::uint64_t, std::uint32_t> steps_by_site;
};

/// The ready tasks of a loop in a virtual world.
///
/// Cancel:  no waits.
/// Order:   as the strategy and the choices say; a task that need not wait goes on at most
///          waits_in_a_row_max times while others are ready, as on a real loop.
/// Bound:   strategies look at the first window_max ready tasks. After fair_after steps everything
///          is in order, so that no strategy starves a task for ever; after steps_max the root
///          scope is cancelled, and has_no_end() is true.
/// Errors:  none.
/// Threads: the loop's.
class explored_schedule final : public scheduling_policy {
 public:
  static constexpr std::size_t window_max = 256;
  static constexpr std::uint16_t waits_in_a_row_max = 128;
  static constexpr std::uint64_t fair_after = 100'000;
  static constexpr std::uint64_t steps_max_default = 20'000'000;

  explicit explored_schedule(choices& decisions) noexcept : choices_(decisions) {}

  /// For the next run. `known` must outlive it; null: nothing is known.
  void restart(strategy how, const schedule_knowledge* known = nullptr);
  /// Another loop begins in the same run, with tasks of its own.
  void begin_loop() noexcept;
  /// Writes down what happens from here on; null ends that.
  void trace(schedule_trace* into) noexcept { trace_ = into; }
  void limit_steps(std::uint64_t steps_max) noexcept { steps_max_ = steps_max; }
  /// Until the next restart(): whom to propose, by the tasks' ids, a step for each. One that is not
  /// ready is passed over and has its turn later; afterwards, and where none is ready, all is in
  /// order.
  void wish(const std::vector<std::uint64_t>& order) { wished_ = order; }

  std::uint64_t steps() const noexcept { return steps_; }
  bool has_no_end() const noexcept { return steps_ > steps_max_; }
  /// What the run that has ended shows.
  schedule_knowledge learned() const;

  void add(detail::task_header& task, bool goes_on) noexcept override;
  detail::task_header& take() noexcept override;
  std::uint32_t lot(std::uint32_t count) noexcept override;

 private:
  struct known_task {
    std::uint64_t site = 0;
    std::int64_t steps_left = 0;  // urw
    std::uint32_t parent = 0;     // its id
    std::uint32_t steps = 0;
    std::uint32_t priority = 0;  // pct; pos: of its next step
    bool goes_on = false;        // while it is ready
  };

  known_task& of(const detail::task_header& task) noexcept;
  void meet(detail::task_header& task);
  std::uint32_t expected(std::uint64_t site) const noexcept;
  std::size_t ready() const noexcept { return end_ - first_; }
  bool spend_wait() noexcept;
  void know_more(std::size_t tasks);
  void draw_priority(known_task& one) noexcept;
  void lower_if_it_yields(const detail::task_header& task) noexcept;
  void make_room();
  std::size_t choose() noexcept;
  std::uint64_t propose(std::size_t count) noexcept;
  std::size_t propose_wished(std::size_t count) const noexcept;
  std::size_t highest(std::size_t count) noexcept;
  std::size_t propose_pct(std::size_t count) noexcept;
  std::size_t propose_urw(std::size_t count) noexcept;
  void draw_change_points();
  void take_many_steps() noexcept;
  void tell(const detail::task_header& chosen, std::size_t rank) noexcept;

  choices& choices_;
  strategy how_ = strategy::in_order;
  bool last_is_tired_ = false;        // the last in line has had its turn: others come first
  std::uint16_t waits_in_a_row_ = 0;  // that the running task did not have to wait for
  std::uint64_t steps_ = 0;
  std::uint64_t steps_max_ = steps_max_default;
  std::vector<detail::task_header*> line_;  // the ready ones, in the order of their turns,
  std::size_t first_ = 0;                   // from here
  std::size_t end_ = 0;                     // to here
  std::vector<known_task> tasks_;           // by id,
  std::size_t tasks_met_ = 0;               // up to here
  const schedule_knowledge* known_ = nullptr;
  std::vector<std::uint64_t> wished_;    // ids, each for a step that is still to come
  std::uint64_t change_points_[2] = {};  // pct; steps
  std::uint32_t priorities_below_ = 0;   // pct; what was given to tasks that yielded
  schedule_trace* trace_ = nullptr;
};

}  // namespace weir
