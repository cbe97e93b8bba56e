// The processes of a virtual machine but its first: programs that are started as children. The hard
// idea: a process is a loop of its own over a driver of its own to the same world, and gets its
// turns while the first program's loop waits. So a kill is what it is on a kernel: the driver is
// dead and the handles are closed before the frames are taken down, and nobody hears of what these
// still do.
//
//   process.hpp -> child_host (virtual_driver) -> virtual_processes -> loop, virtual_driver ->
//   world
//
// Invariants: (1) one process has the thread at a time; (2) time moves only when no process has a
//             turn due; (3) a process that has ended holds no handle; (4) it is kept until it is
//             reaped and its frames are gone.
#pragma once

#include <weir/io/child_host.hpp>
#include <weir/sim/virtual_process.hpp>

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weir {

class virtual_world;
namespace detail {
class text_sink;
}

/// The programs that a virtual machine knows, and those that run.
///
/// Cancel:  no waits.
/// Order:   in turn, one turn of each; by lot in explored runs. From a signal that ends a process
///          to its end a latency of the world passes, and by lot some turns; none if it was its
///          own.
/// Bound:   processes_max, then EAGAIN; turns_at_once_max in which no time passes; last_turns_max
///          of one that was killed.
/// Errors:  errno values as Linux gives them; those of programs go to their exit status.
/// Threads: one at a time.
class virtual_processes {
 public:
  static constexpr std::size_t processes_max_default = 1'000;
  static constexpr std::uint64_t turns_at_once_max = 1'000'000;
  static constexpr std::uint64_t afterlife_turns_max = 1'000'000;
  static constexpr std::uint32_t last_turns_max = 64;  // after a signal that ends it, by lot
  static constexpr int init = 0;       // the parent of those whose parent has ended: it reaps
  static constexpr int first_pid = 1;  // the program that the machine runs
  enum class effect : std::uint8_t { none, stops, ends };

  explicit virtual_processes(virtual_world& world);
  virtual_processes(const virtual_processes&) = delete;
  virtual_processes& operator=(const virtual_processes&) = delete;
  ~virtual_processes();

  // What a test does to the machine.
  /// From here on `path` can be run; `main` is called as task<int> main(virtual_process&).
  template <class F>
  void install(std::string path, F main) {
    struct wrapper final : virtual_program {
      explicit wrapper(F f) : function(std::move(f)) {}
      WEIR_CORO_WRAPPER task<int> main(virtual_process& self) override { return function(self); }
      F function;
    };
    programs_[std::move(path)] = std::make_shared<wrapper>(std::move(main));
  }
  void uninstall(const std::string& path) { programs_.erase(path); }
  /// Of the machine's first program; its children inherit it. PATH is /usr/bin:/bin before.
  void set_variable(const std::string& name, const std::string& value);
  void unset_variable(const std::string& name);
  /// The first program's standard input (0), output (1) or errors (2), which children inherit: a
  /// pipe's end, a file or a socket of the machine, for as long as it is open there. Null before.
  void set_stream(int number, io_handle to) noexcept;
  void limit(std::size_t processes_max) noexcept { processes_max_ = processes_max; }

  /// Started, and not yet reaped.
  std::size_t count() const noexcept;
  std::size_t starts() const noexcept { return starts_; }
  /// Those whose number is taken: (4).
  std::size_t kept() const noexcept { return children_.size(); }
  /// That their tasks have taken so far, of all that were started.
  std::uint64_t steps() const;
  /// Which they are, a line for each; empty: none.
  std::string left() const;
  /// The task trees of those that run.
  void print(detail::text_sink& out) const;
  /// All of them end now, and nobody has to reap them.
  void end_all();

  // For drivers: what a process, by its number, asks of its kernel.
  std::vector<std::string> environment_of(int pid) const;
  started_child start(int parent, const child_plan& plan);
  child_state look(int parent, int pid, bool reaps, exit_status& out);
  void reap(int parent, int pid);
  bool send_signal(int pid, int number);
  bool send_to_group(int group, int number);
  effect send_to_self(int pid, int number);
  void hear(int pid, int number);
  void ignore(int pid, int number);
  void exit(int pid, int code);
  /// When one of them is due; never() without one.
  time_point next_turn() const;
  /// Gives those that are due a turn each, or leaves some for later by lot. False: none was due.
  bool run_due();
  /// The machine stops, or its first program dies: all of them are gone.
  void crash();

 private:
  struct child;

  child* find(int pid) const;
  int find_program(const child_plan& plan, int parent, std::string& path) const;
  std::string absolute(int pid, const std::string& path) const;
  child& make_child(int parent, const child_plan& plan, const std::string& path);
  io_handle own_stream(int number) const noexcept;
  void connect(child& to, const child* parent, const child_plan& plan);
  void begin(child& one);
  time_point turn_of(const child& one) const;
  void turn(child& one);
  void say_last_words(child& one);
  void deliver(child& to, int number);
  void doom(child& one, int number);
  void close_all(child& one);
  void end(child& one, exit_status how);
  void take_down(child& one);
  void forget_gone();

  virtual_world& world_;
  std::map<std::string, std::shared_ptr<virtual_program>> programs_;
  std::vector<std::string> environment_;
  io_handle streams_[3] = {-1, -1, -1};             // of the first program
  std::map<int, std::unique_ptr<child>> children_;  // (4)
  std::size_t processes_max_ = processes_max_default;
  std::size_t starts_ = 0;
  std::uint64_t steps_of_gone_ = 0;
  int next_pid_ = first_pid + 1;
};

}  // namespace weir
