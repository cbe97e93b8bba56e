// Several virtual machines in one thread. The hard idea: each has a world of its own (clock, disk,
// sockets, signals) and, while its program runs, a loop of its own; whoever is due first by the
// true time, a machine's turn or a packet on a cable, goes next, and only then does true time move.
// All decisions are those of one choice log, so a run of many machines is repeated by one seed;
// each machine has streams of its own in it, so that one that draws more does not move the others.
//
//   true time --> node_clock --> virtual_clock of a machine     loop::run_turn() --> virtual_driver
//   virtual_network of one machine --> virtual_links --> virtual_network of another
//
// Invariants: (1) one loop has the thread at a time; (2) true time moves only when no machine has a
//             turn due; (3) what a program that was killed still does while its frames are taken
//             down reaches nobody: its driver is dead before.
#pragma once

#include <weir/core/loop.hpp>
#include <weir/core/task.hpp>
#include <weir/sim/node_clock.hpp>
#include <weir/sim/virtual_links.hpp>
#include <weir/sim/virtual_run.hpp>
#include <weir/sim/virtual_world.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace weir {

class virtual_node;
class virtual_nodes;

/// What runs on a machine.
///
/// Cancel:  a machine that is killed ends it without its cleanup reaching anybody.
/// Order:   main() is called when the program starts, and again when it starts again.
/// Bound:   none of its own.
/// Errors:  one that leaves main() ends the program; virtual_node::outcome() has it.
/// Threads: one.
class node_program {
 public:
  virtual task<> main(virtual_node& on) = 0;

 protected:
  ~node_program() = default;
};

struct node_options {
  const char* name = "node";
  virtual_options world = {};  // `decisions`, `is_led` and `seed` are the machines' common ones
  clock_model clock = {};
  loop_options loop = {};
};

/// Hears what machines do, step by step.
///
/// Cancel:  no waits.
/// Order:   as it happens.
/// Bound:   none of its own.
/// Errors:  none.
/// Threads: one.
class nodes_listener {
 public:
  /// A step of this task begins: its stack can be read.
  virtual void step(virtual_node& on, const detail::task_header& task) noexcept = 0;
  /// A packet is there; the machine may be off.
  virtual void arrives(virtual_nodes& at, const packet& what) noexcept = 0;

 protected:
  ~nodes_listener() = default;
};

/// One machine. Made by virtual_nodes::add().
///
/// Cancel:  no waits.
/// Order:   its program's turns, in its own time.
/// Bound:   virtual_options; afterlife_turns_max turns to take a killed program down.
/// Errors:  of its program: outcome().
/// Threads: one.
class virtual_node {
 public:
  static constexpr std::uint64_t afterlife_turns_max = 1'000'000;
  static constexpr std::size_t reports_max = 100;  // that outcome() keeps; the oldest go

  virtual_node(virtual_nodes& all, host_number host, const node_options& options);
  virtual_node(const virtual_node&) = delete;
  virtual_node& operator=(const virtual_node&) = delete;
  ~virtual_node();

  const std::string& name() const noexcept { return name_; }
  host_number host() const noexcept { return host_; }
  /// Among the machines, from 1: its decisions have it.
  std::uint32_t number() const noexcept;
  /// "10.0.0.1"
  std::string address() const;
  /// "fd00::a00:1"
  std::string ipv6_address() const;
  /// Its disk, signals, sockets, faults.
  virtual_world& world() noexcept { return world_; }
  node_clock& clock() noexcept { return clock_; }
  virtual_nodes& all() noexcept { return all_; }

  /// Its program begins (again), which must outlive this. The machine is on from here on.
  void start(node_program& program);
  /// SIGKILL: the tasks of the program and of its children are taken down, the kernel ends its
  /// connections, its files stay as they are.
  void kill();
  /// The root scope of its program is cancelled, so that it comes to its end by its own cleanup.
  void cancel(const char* why);
  /// The plug is pulled: nobody hears anything, and the disk keeps what was synced, or by lot more.
  /// `crash_loss::none`, which is kill(), stops the process.
  void cut_power(crash_loss loss = crash_loss::some);
  /// SIGSTOP: its kernel goes on, its program doesn't, and finds its timers late.
  void pause() noexcept { is_paused_ = true; }
  void resume() noexcept { is_paused_ = false; }
  /// kill(2), to its program: heard where it has been waited for, otherwise its usual effect. It
  /// stops and goes on as with pause() and resume(), or dies: has_ended(), and its outcome is a
  /// failure. One that is paused dies when it is resumed, but of SIGKILL at once.
  void signal(int number);

  bool is_running() const noexcept { return process_ != nullptr; }
  bool is_paused() const noexcept { return is_paused_; }
  /// Its program came to its end, well or not, without being killed.
  bool has_ended() const noexcept { return has_ended_; }
  /// False after cut_power() until it is started again: its network is silent.
  bool is_on() const noexcept { return is_on_; }
  /// Of the program that runs, or that ran last.
  const virtual_outcome& outcome() const noexcept { return outcome_; }
  std::uint64_t starts() const noexcept { return starts_; }
  std::uint64_t turns() const noexcept { return turns_; }
  /// Its tasks and who waits for whom, as text; empty when no program runs.
  std::string tasks_text();

 private:
  friend class virtual_nodes;
  struct process;

  time_point next_turn() const noexcept;  // true time
  void turn();
  void end_process(const char* why);
  void die();

  virtual_nodes& all_;
  std::string name_;
  host_number host_;
  loop_options loop_options_;
  virtual_world world_;
  node_clock clock_;
  std::unique_ptr<process> process_;
  virtual_outcome outcome_;
  bool is_on_ = false;
  bool is_paused_ = false;
  bool has_ended_ = false;
  std::uint64_t starts_ = 0;
  std::uint64_t turns_ = 0;
};

/// The machines and the cables between them.
///
/// Cancel:  no waits.
/// Order:   by true time; who goes first of several that are due is a decision. What is done to
///          machines is done between two calls of run_until(), not by what runs on them.
/// Bound:   turns_at_once_max turns in which no time passes, then the run is stuck.
/// Errors:  those of programs stay with their machines.
/// Threads: one.
class virtual_nodes final : private link_host {
 public:
  static constexpr std::uint64_t turns_at_once_max = 1'000'000;

  explicit virtual_nodes(choices& decisions);
  virtual_nodes(const virtual_nodes&) = delete;
  virtual_nodes& operator=(const virtual_nodes&) = delete;
  virtual ~virtual_nodes();

  /// A machine more, off until it is started: 10.0.0.1 and fd00::a00:1, 10.0.0.2 and so on.
  virtual_node& add(node_options options);
  virtual_node& at(std::size_t index) noexcept { return *nodes_[index]; }
  std::size_t count() const noexcept { return nodes_.size(); }
  virtual_links& links() noexcept { return links_; }
  choices& decisions() noexcept { return choices_; }
  /// Hears the programs that are started from now on. It must outlive the machines.
  void observe(nodes_listener& listener) noexcept { listener_ = &listener; }

  /// The true time, which no machine knows.
  time_point now() const noexcept { return clock_.now(); }
  duration elapsed() const noexcept { return clock_.now() - virtual_clock::start; }
  /// Lets everything happen up to a moment. False: it is stuck, turns come and time doesn't pass.
  bool run_until(time_point until);
  bool run_for(duration length) { return run_until(now() + length); }
  /// Nothing will happen any more by itself.
  bool is_quiet() const noexcept;
  /// When something will; never() when nothing does.
  time_point next_event() const;
  std::uint64_t turns() const noexcept { return turns_; }
  /// Of everything that happened so far, in its order: equal for two runs of one seed.
  std::uint64_t fingerprint() const noexcept { return fingerprint_; }

 private:
  friend class virtual_node;

  bool deliver(const packet& what) override;
  time_point next_turn(std::vector<virtual_node*>* due_at_that) const;
  void move_to(time_point at);
  void note(std::uint64_t what) noexcept { fingerprint_ = mix(fingerprint_ ^ mix(what)); }

  choices& choices_;
  virtual_clock clock_;
  virtual_links links_;
  std::vector<std::unique_ptr<virtual_node>> nodes_;
  nodes_listener* listener_ = nullptr;
  std::size_t last_ = 0;  // whose turn it was
  std::uint64_t turns_ = 0;
  std::uint64_t fingerprint_ = 0;
};

}  // namespace weir
