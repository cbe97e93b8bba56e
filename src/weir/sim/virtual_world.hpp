// What a program finds outside of itself, in memory: clock, network, disk, signals, randomness and
// the faults of all of them. The hard idea: everything that can vary (order, partial transfers,
// latencies, what a crash leaves) is a decision of one `choices` object (choice.hpp), so that a run
// is repeated by its seed, or by the few decisions in which it differs from the plain one.
#pragma once

#include <weir/base/program_here.hpp>
#include <weir/core/driver.hpp>
#include <weir/sim/choice.hpp>
#include <weir/sim/explored_schedule.hpp>
#include <weir/sim/port_range.hpp>
#include <weir/sim/virtual_clock.hpp>
#include <weir/sim/virtual_datagrams.hpp>
#include <weir/sim/virtual_disk.hpp>
#include <weir/sim/virtual_network.hpp>
#include <weir/sim/virtual_signals.hpp>
#include <weir/sim/virtual_watches.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weir {

class virtual_driver;
class virtual_processes;

struct virtual_options {
  std::uint64_t seed = 0;
  bool shuffle = false;       // ready tasks and folder entries in an order by lot; false: in order
  duration latency_min = {};  // of every operation
  duration latency_max = {};
  double short_chance = 0;   // of a transfer of fewer bytes than could go at once
  double queued_chance = 0;  // of a completion from wait() where the answer was there at once
  bool draws_sizes = false;  // how much sockets, pipes and accept queues take: network_sizes
  bool is_led = false;  // somebody else gives loops their turns and moves the clock: virtual_nodes
  bool asks_what_is_left = false;  // with is_led, too: a broker that goes with messages on lease
  bool threads = false;  // true: other threads may wake the loop, so idling waits for them and is
                         // no deadlock
  std::size_t socket_buffer_max = 64 * 1024;  // bytes on their way in one direction
  std::size_t handles_max = 65'536;           // open sockets and files
  choices* decisions = nullptr;               // who decides; null: the world's own, from `seed`
  explored_schedule* schedule = nullptr;      // over the same decisions; null: as `shuffle` says
  /// Of sockets that ask for no port, and how long one is kept: see virtual_network.
  port_range ports = {};
  duration time_wait = duration::seconds(60);

  /// What a test explores: order, short transfers and late completions by lot.
  static virtual_options explored(std::uint64_t seed) noexcept {
    return {.seed = seed, .shuffle = true, .short_chance = 0.2, .queued_chance = 0.5};
  }
};

/// One operation, or a row of them, that goes wrong.
struct virtual_fault {
  io_op op = io_op::write_at;
  std::uint64_t nth = 1;      // counted from now; the first is 1
  int code = 5;               // the errno: EIO
  std::uint64_t count = 1;    // how many in a row
  std::int64_t partial = -1;  // >= 0: instead of failing, at most so many bytes are transferred
};

/// How ill the disk of a machine is: chances of each operation. What a program is told of is EIO; a
/// write that goes wrong in silence is told to nobody.
struct disk_illness {
  double read_error = 0;
  double write_error = 0;
  double sync_error = 0;  // what was dirty counts as clean from then on, but is not on the platter
  double corrupt_write = 0;  // one byte of it becomes another one, in silence
  double lost_write = 0;     // it lands in the page after its own (misdirected), in silence; of
                             // an append zeros do
};

/// The handles of a terminal: what is sent to `user` is typed and what the program shows is
/// received from it; to close it hangs up. `weir::terminal screen(io, ends.program)`.
struct virtual_terminal {
  io_handle user = -1;
  io_handle program = -1;
};

/// The world outside of one or several loops that run one after the other.
///
/// Cancel:  no waits.
/// Order:   operations take effect one after the other.
/// Bound:   virtual_options and set_quota() name the limits.
/// Errors:  -errno in the requests of drivers, as Linux gives it.
/// Threads: one at a time; options.threads lets others wake() a driver.
class virtual_world final : private network_host {
 public:
  /// From here on an offset of a request is that of the file's handle, which then moves on: where
  /// processes that share a standard stream read and write it.
  static constexpr std::uint64_t own_offset = std::uint64_t{1} << 63;

  explicit virtual_world(virtual_options options = {});
  virtual_world(const virtual_world&) = delete;
  virtual_world& operator=(const virtual_world&) = delete;
  ~virtual_world();

  /// Among the worlds of the process, from 1: for texts only, since it is no decision.
  std::uint64_t number() const noexcept { return number_; }
  /// Durable writes that are in their files and not on the platter yet: a crash may tear them now.
  std::uint32_t half_written() const noexcept { return half_written_; }

  // What a test does to the world.
  /// A signal comes to the first program, as with kill(2): all waits for it end; without one it
  /// stays pending, once. One that nobody has waited for before has its usual effect: the program
  /// dies of it, which is a failure of a run and the end of what runs on a virtual_node, or
  /// nothing happens; to stop programs is the business of virtual_node::signal().
  void raise_signal(int number);
  /// A terminal in raw mode, of the first program. Raises `full` as a socket does.
  virtual_terminal make_terminal(int rows = 24, int columns = 80);
  /// Its user makes it larger or smaller, and the first program is told by SIGWINCH; nothing
  /// happens to one that is closed.
  void resize_terminal(const virtual_terminal& of, int rows, int columns);
  bool is_heard(int number) const noexcept { return signals_.is_heard(number); }
  /// The signal that the first program has died of since it began; 0: none.
  int death() const noexcept { return death_; }
  void add_fault(virtual_fault fault);
  /// Those that have not struck yet never will.
  void drop_faults() noexcept { faults_.clear(); }
  void set_illness(disk_illness illness) noexcept { illness_ = illness; }
  void set_latency(duration min, duration max) noexcept {
    options_.latency_min = min;
    options_.latency_max = max;
  }
  void set_short_chance(double chance) noexcept { options_.short_chance = chance; }
  /// What new sockets, pipes and listeners take from here on; nothing of it is drawn then.
  /// set_sizes() before the first of them switches drawing off.
  void set_sizes(const network_sizes& sizes = {}) noexcept { network_.set_sizes(sizes); }
  /// As virtual_options::draws_sizes has it; not where everything is in order. After the first
  /// socket it is a failed assertion.
  void draw_sizes() noexcept { network_.draw_sizes(is_explored()); }
  /// What this run has drawn below the plain sizes, "pipe buffers of 1 byte"; empty: nothing.
  std::string drawn_sizes() const { return network_.drawn_sizes(); }
  /// The machine stops now: every driver made before is dead (its operations fail with EIO),
  /// sockets vanish, and the disk keeps what was synced. Make a new driver to start again. With
  /// crash_loss::none the program dies alone: other machines hear the end of its connections.
  void crash(crash_loss loss = crash_loss::all);
  /// crash() just before the n-th operation on the disk from now on; 0 takes the order back.
  void crash_before_disk_operation(std::uint64_t nth, crash_loss loss = crash_loss::all) noexcept;

  virtual_clock& clock() noexcept { return clock_; }
  virtual_disk& disk() noexcept { return disk_; }
  virtual_network& network() noexcept { return network_; }
  virtual_datagrams& datagrams() noexcept { return datagrams_; }
  virtual_watches& watches() noexcept { return watches_; }
  /// The programs that can be started as child processes, and those that were.
  virtual_processes& processes();
  bool has_processes() const noexcept { return processes_ != nullptr; }
  const virtual_options& options() const noexcept { return options_; }

  /// How many operations of a kind have begun since the world began.
  std::uint64_t count_of(io_op op) const noexcept { return counts_[static_cast<std::size_t>(op)]; }
  std::uint64_t disk_operations() const noexcept { return disk_operations_; }
  /// Faults and crashes that have struck: a fault loop ends when a whole run has none.
  std::uint64_t faults_struck() const noexcept { return faults_struck_; }
  std::uint64_t crashes() const noexcept { return crashes_; }
  /// Sockets and files that are open: 0 when a program has cleaned up after itself.
  std::size_t open_handles() const noexcept;
  /// What each of them is, in words, in the order in which they were opened.
  std::vector<std::string> open_names() const;
  choices& decisions() noexcept { return choices_; }
  /// What runs in it, as a mark of the thread on which it does.
  detail::simulated_program& program() noexcept { return program_; }
  /// True while nothing has been asked of it but turns of tasks and random numbers, so that the
  /// next run may have it.
  bool is_untouched() const noexcept;

  /// What to do when every task of a loop waits and nothing can wake one; see
  /// driver::end_deadlock. Null: the process ends.
  bool (*on_deadlock)(void* context, loop& on) noexcept = nullptr;
  void* on_deadlock_context = nullptr;
  /// What to do when the program has died of a signal, with the same context; null: whoever gives
  /// it its turns looks at death().
  void (*on_death)(void* context, int number) noexcept = nullptr;

 private:
  friend class virtual_driver;
  friend class virtual_processes;
  static constexpr std::size_t op_count = static_cast<std::size_t>(io_op::start_child) + 1;
  struct order_to_fail {
    virtual_fault fault;
    std::uint64_t first = 0;  // in counts_
  };

  // network_host
  void finished(io_request& request) override;
  io_handle new_handle() override { return next_handle_++; }
  bool has_room() const override { return open_handles() < options_.handles_max; }
  std::size_t part_of(std::size_t count) override;
  time_point now() const override { return clock_.now(); }

  // For drivers.
  std::uint64_t random() noexcept { return choices_.bits(choice_kind::program); }
  scheduling_policy* begin_loop() noexcept;
  /// Counts the operation; the errno of a fault that strikes it, or 0.
  int begin(const io_request& request);
  int fall_ill(const io_request& request);
  void spoil(io_handle handle, std::string& data, std::uint64_t& offset);
  /// Of a durable write the first half: sync_written() is the second.
  std::int64_t run_on_disk(io_request& request);
  std::int64_t read(const io_request& request);
  std::int64_t write(const io_request& request);
  std::size_t part_of_file(io_handle handle, std::size_t count);
  std::uint64_t place_of(const io_request& request) const;
  std::int64_t moved_on(const io_request& request, std::int64_t count);
  std::int64_t sync_written(const io_request& request, std::int64_t written);
  /// A process lets go of a handle: it is closed when it was the last one to hold it.
  int close(io_handle handle, const virtual_driver& by);
  /// One process more holds the handle.
  void share(io_handle handle) { ++shared_[handle]; }
  /// As much of it as there is room for, in a pipe or a file.
  void write_now(io_handle handle, std::string_view text);
  network_host& host() noexcept { return *this; }
  /// What need not be in order is drawn by lot.
  bool is_explored() const noexcept { return options_.shuffle || options_.queued_chance > 0; }
  duration draw_latency();
  bool draws_queued() { return choices_.chance(choice_kind::transfer, options_.queued_chance); }

  std::uint64_t number_;
  std::uint32_t half_written_ = 0;
  virtual_options options_;
  detail::simulated_program program_;
  virtual_clock clock_;
  choices own_choices_;
  choices& choices_;
  explored_schedule own_schedule_;
  virtual_disk disk_;
  virtual_network network_;
  virtual_datagrams datagrams_;
  virtual_watches watches_{*this, disk_};
  static constexpr io_handle first_handle = 3;
  io_handle next_handle_ = first_handle;
  std::uint64_t operations_ = 0;
  bool was_given_out_ = false;  // somebody outside of the driver has seen it
  std::uint64_t counts_[op_count] = {};
  std::vector<order_to_fail> faults_;
  disk_illness illness_;
  std::int64_t part_max_ = -1;  // of the operation that runs, by a fault
  std::uint64_t faults_struck_ = 0;
  std::uint64_t disk_operations_ = 0;
  std::uint64_t crash_at_ = 0;
  crash_loss crash_loss_ = crash_loss::all;
  std::uint64_t crashes_ = 0;
  int death_ = 0;
  virtual_signals signals_{*this};                        // of the first program
  std::unordered_map<io_handle, std::uint32_t> shared_;   // processes that hold it, but one
  std::unordered_map<io_handle, std::uint64_t> offsets_;  // own_offset of those that have moved on
  std::unique_ptr<virtual_processes> processes_;          // null: nobody has asked for them
};

}  // namespace weir
