// The machines of one explored run (explore.hpp): virtual_nodes whose tasks go in an order that a
// strategy proposes, and which are looked at when the run ends. The hard idea: machines have one
// choice log together, so that whose turn it is, which of a machine's tasks goes next, what a
// packet does and when a fault strikes are tried, shrunk and replayed as one machine's tasks are.
//
//   add("shop")         a machine, off until something starts on it
//   start(shop, serve)  task<> serve() is what runs there
//   run_to_end(ann)     everything happens until Ann's program has ended
//   stop(shop)          as a scope is cancelled
#pragma once

#include <weir/core/task.hpp>
#include <weir/sim/explored_schedule.hpp>
#include <weir/sim/schedule_trace.hpp>
#include <weir/sim/virtual_nodes.hpp>
#include <weir/sim/virtual_run.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

namespace weir {

struct chaos_set;

/// Machines for one run; what runs them is a function outside of all of them.
///
/// Cancel:  stop() cancels a program as a scope is cancelled, kill() of a node as SIGKILL does.
/// Order:   by true time; a function is called when its program starts, and each time it starts
///          again.
/// Bound:   a run in which a program takes more steps than explored_schedule allows fails.
/// Errors:  each machine's are failures of the run with its name before them: an error that leaves
///          its program, a report, tasks or descriptors that are left, messages on lease, a
///          program that still runs when the run ends. One that was killed leaves nothing.
/// Threads: one.
class explored_nodes {
 public:
  static constexpr duration patience_default = duration::seconds(3600);

  /// What all machines have in common.
  struct setting {
    choices& decisions;
    virtual_outcome& outcome;  // of the run
    virtual_run_options run = {};
    strategy how = strategy::in_order;
    const std::vector<schedule_knowledge>* known = nullptr;  // by machine; null: nothing
    std::uint64_t steps_max = explored_schedule::steps_max_default;
    schedule_trace* trace = nullptr;
  };
  explicit explored_nodes(const setting& in);
  explored_nodes(const explored_nodes&) = delete;
  explored_nodes& operator=(const explored_nodes&) = delete;
  ~explored_nodes();

  /// A machine more, without a program. Machines are added before faults are allowed.
  virtual_node& add(const char* name, const clock_model& clock = {});
  /// The task of main(arguments...) is its program from here on. Arguments are copied, so that the
  /// program can start again.
  template <class F, class... Arguments>
  void start(virtual_node& on, F main, Arguments... arguments) {
    begin(on, std::make_unique<made_of<F, Arguments...>>(std::move(main), std::move(arguments)...));
  }
  /// The program that was killed, or has ended, begins again.
  void start_again(virtual_node& on);
  /// Lets everything happen until the program has come to its end by itself. Fails the run, and
  /// gives false, when nothing can happen any more before that (a deadlock, told with the tasks of
  /// all machines) or when it takes longer than `at_most` of true time.
  bool run_to_end(virtual_node& of, duration at_most = patience_default);
  /// Lets everything happen for a while.
  void run_for(duration length);
  /// Cancels the program's root scope and waits for its end.
  void stop(virtual_node& which);

  /// From here on faults of these kinds strike by lot (chaos.hpp, for which weir::memory_watch is
  /// linked, as weir::testing does), until heal(). Machines that they end start again. In the run
  /// in order none strikes.
  void allow(chaos_set faults);
  /// No fault strikes any more, and what faults have ended or cut off is there again.
  void heal();

  /// A number of [0, n) by lot, for a fault of the test's own; in order it is 0.
  std::uint64_t lot(std::uint64_t n) { return in_.decisions.below(choice_kind::fault, n); }
  /// Their cables, the true time, the machines by their numbers.
  virtual_nodes& all() noexcept { return all_; }

  /// For who has made it: the last look at each machine.
  void finish();
  std::uint64_t steps() const noexcept;
  std::vector<std::uint64_t> steps_by_machine() const;
  std::vector<schedule_knowledge> learned() const;

 private:
  struct program : node_program {
    virtual ~program() = default;
  };
  template <class F, class... Arguments>
  struct made_of final : program {
    explicit made_of(F of, Arguments... with)
        : function(std::move(of)), given(std::move(with)...) {}
    WEIR_CORO_WRAPPER task<> main(virtual_node&) override {
      return call(std::index_sequence_for<Arguments...>());
    }
    template <std::size_t... I>
    WEIR_CORO_WRAPPER task<> call(std::index_sequence<I...>) {
      return function(std::get<I>(std::as_const(given))...);
    }
    F function;
    std::tuple<Arguments...> given;
  };
  /// Whoever strikes: so that programs without faults by lot don't link them.
  struct fault_source {
    virtual ~fault_source() = default;
    virtual time_point next_at() = 0;
    virtual void act() = 0;
    virtual void heal() = 0;
  };
  class by_lot;
  struct seen {
    std::uint64_t starts = 0;
    std::uint64_t reports = 0;
    bool is_failed = false;
    program* runs = nullptr;
  };

  node_program& program_of(const virtual_node& node) noexcept;

  void begin(virtual_node& on, std::unique_ptr<program> what);
  seen& seen_of(const virtual_node& node) noexcept { return seen_[node.number() - 1]; }
  /// Up to the next event, `until` at most. False: it is stuck, and the run has failed.
  bool step(time_point until);
  void look();
  std::string tasks_text();

  setting in_;
  std::deque<explored_schedule> schedules_;  // of each machine
  std::vector<seen> seen_;
  std::vector<std::unique_ptr<program>> programs_;  // to the run's end: restarts use them
  virtual_nodes all_;
  std::unique_ptr<fault_source> faults_;
};

}  // namespace weir
