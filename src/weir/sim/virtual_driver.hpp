// The driver over a virtual world. The hard idea: wait() is the only place where time passes. It
// first delivers what is complete, and only when there is nothing jumps to the next completion or
// to the moment the loop asked for.
#pragma once

#include <weir/base/intrusive.hpp>
#include <weir/base/program_here.hpp>
#include <weir/core/driver.hpp>
#include <weir/core/frame.hpp>
#include <weir/io/child_host.hpp>
#include <weir/io/watch_host.hpp>
#include <weir/sim/virtual_signals.hpp>
#include <weir/sim/virtual_world.hpp>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

namespace weir {

namespace detail {

/// What a virtual machine's kernel keeps for a child process.
struct process_part {
  process_part(network_host& host, int number) : signals(host), pid(number) {}

  virtual_signals signals;
  std::set<io_handle> handles;  // that it holds
  scheduling_policy* policy = nullptr;
  int pid;
  bool is_killed = false;
};

/// Who waits until all that happens at a moment has happened: testing/settle.hpp.
struct quiet_listener : list_hook<> {
  /// The driver is asked to wait, and it is not known yet for what. True: it need not, for the
  /// listener's task goes on, and listens no more.
  virtual bool heard_turn() noexcept = 0;
  /// Time would pass now. It listens no more.
  virtual void heard_quiet() noexcept = 0;

  bool is_due = false;  // false: time is to pass first

 protected:
  ~quiet_listener() = default;
};

}  // namespace detail

/// Which run a world is of, for those who mix worlds up.
struct world_label {
  std::uint64_t run = 0;           // of an explorer, from 1; 0: of none
  const char* strategy = nullptr;  // null: not by a strategy
  std::uint64_t seed = 0;
  const char* machine = nullptr;  // of several
};

/// A loop's view of a virtual world.
///
/// Cancel:  a request that would block ends with ECANCELED; one that has happened delivers its
///          outcome at once. A durable write that is in its file goes on until it is synced.
/// Order:   completions by due time, equal ones in the order in which they happened.
/// Bound:   by the world's handles and buffers.
/// Errors:  as the world gives them; EIO for everything after the world has crashed.
/// Threads: one at a time; wake() from any thread when the world's options say so.
class virtual_driver final : public driver, private child_host, private watch_host {
 public:
  /// A driver in a world of its own.
  explicit virtual_driver(virtual_options options = {});
  /// A driver in a world that others know too, which must live longer.
  explicit virtual_driver(virtual_world& world) noexcept;
  virtual_driver(const virtual_driver&) = delete;
  virtual_driver& operator=(const virtual_driver&) = delete;
  ~virtual_driver() override;

  virtual_world& world() noexcept {
    world_.was_given_out_ = true;
    return world_;
  }
  /// True after the world has crashed, or after the end of the child process that it belonged to:
  /// the driver of a program that died.
  bool is_dead() const noexcept {
    return epoch_ != world_.crashes() || (part_ && part_->is_killed);
  }

  /// The default is its seed. The texts must outlive it.
  void set_label(const world_label& label) noexcept { label_ = label; }

  const char* name() const noexcept override { return "virtual"; }
  time_point now() noexcept override { return is_dead() ? afterlife() : world_.clock().now(); }
  time_point wall_now() noexcept override { return world_.clock().wall_now(); }
  std::uint64_t random() noexcept override {
    return is_dead() ? mix(++scheduled_) : world_.random();
  }

  /// Of a led world or a child process: when its loop's next turn is due.
  time_point next_turn() const noexcept;
  /// Until it has heard or unlinks itself. Not of a led world or a child process: others move its
  /// clock.
  void listen_for_quiet(detail::quiet_listener& one) noexcept;
  /// Dead, and its tasks wait for nothing that could ever come.
  bool is_stuck() const noexcept { return is_stuck_; }

  bool submit(io_request& request) noexcept override;
  void cancel(io_request& request) noexcept override;
  void wait(time_point until) noexcept override;
  void wake() noexcept override;
  /// Only what will complete by itself counts: an accept to which nobody connects is a deadlock.
  bool is_waiting_for_io() const noexcept override;

  io_handle make_socket(int family) noexcept override;
  io_handle make_listener(raw_address& address, const listen_options& options) noexcept override;
  io_handle make_datagram_socket(int family, raw_address& address,
                                 const listen_options& options) noexcept override;
  int make_pipe(io_handle (&ends)[2]) noexcept override;
  int adopt_stream(io_handle handle) noexcept override;
  child_host* children() noexcept override { return this; }
  watch_host* watches() noexcept override { return this; }
  int terminal_size_of(io_handle handle, int& rows, int& columns) noexcept override;
  int address_of(io_handle handle, bool peer, raw_address& out) noexcept override;
  int set_option(io_handle handle, int level, int option, int value) noexcept override;
  int status_of(const char* path, file_status& out) noexcept override;
  int status_of(io_handle handle, file_status& out) noexcept override;
  std::size_t path_of(io_handle handle, char* out, std::size_t size) noexcept override {
    return world_.disk().path_of(handle).copy(out, size);
  }
  int list_dir(const char* path, void (*visit)(void*, const char* name),
               void* context) noexcept override;
  int lock_file(io_handle handle) noexcept override;
  void close_now(io_handle handle) noexcept override;

  bool can_be_woken() const noexcept override { return world_.options().threads || is_led(); }
  scheduling_policy* policy() noexcept override {
    return part_ ? part_->policy : world_.begin_loop();
  }
  bool end_deadlock(loop& on) noexcept override;

 private:
  friend class virtual_world;
  friend class virtual_processes;
  class call;
  class live_list;
  struct due_key {
    time_point at;
    std::uint64_t number = 0;
    auto operator<=>(const due_key&) const = default;
  };

  /// Of a child process.
  virtual_driver(virtual_world& world, detail::process_part& part) noexcept;

  // child_host
  std::vector<std::string> our_environment() const override;
  started_child start_child(const child_plan& plan) noexcept override;
  child_state look_at_child(int pid, bool reaps, exit_status& out) noexcept override;
  void reap_child(int pid) noexcept override;
  bool signal_child(int pid, io_handle end, int number) noexcept override;
  bool signal_group(int pid, int number) noexcept override;

  // watch_host
  io_handle make_watcher() noexcept override;
  int watch(io_handle watcher, const char* path, std::uint32_t mask) noexcept override;
  void unwatch(io_handle watcher, int number) noexcept override;
  std::size_t unread_of(io_handle watcher) noexcept override;
  io_handle keep(io_handle watcher) noexcept override;
  void drop(io_handle kept) noexcept override;
  int list_folder(const char* path, void (*visit)(void*, const char*, bool),
                  void* context) override;

  int pid() const noexcept;
  /// Somebody else gives its loop its turns.
  bool is_led() const noexcept { return part_ || world_.options().is_led; }
  virtual_signals& signals() noexcept { return part_ ? part_->signals : world_.signals_; }
  time_point next_completion() const noexcept {
    return due_.empty() ? time_point::never() : due_.begin()->first.at;
  }
  /// When the next child process has a turn due: for the first program's driver, which leads them.
  time_point next_child_turn() const noexcept;
  void hold(io_handle handle);
  void hold_outcome(const io_request& request);

  /// The time of a program that died, while its frames are taken down: it jumps, and no one sees.
  time_point afterlife() noexcept {
    if (afterlife_ < world_.clock().now()) afterlife_ = world_.clock().now();
    return afterlife_;
  }
  bool start(io_request& request);
  bool finish(io_request& request);
  bool completes_late();
  void schedule(io_request& request);
  void schedule_at(io_request& request, time_point at);
  std::int64_t run(io_request& request);
  void run_first_half(io_request& request);
  void run_second_half(io_request& request);
  void drop_file_requests(io_handle handle);
  bool deliver();
  bool pass_time(time_point until);
  bool tell_turn() noexcept;
  bool tell_quiet() noexcept;

  void put_label(detail::text_sink& out) const noexcept;

  std::unique_ptr<virtual_world> own_;
  virtual_world& world_;
  world_label label_;
  virtual_driver* next_live_ = nullptr;
  detail::process_part* part_ = nullptr;  // of a child process
  std::uint64_t epoch_;
  std::map<due_key, io_request*> due_;
  std::unordered_map<io_request*, due_key> keys_;                   // of what is in due_
  mutable intrusive_list<detail::quiet_listener> quiet_listeners_;  // questions walk it, too
  std::uint64_t scheduled_ = 0;
  time_point asked_until_;  // by the last wait()
  time_point afterlife_;
  bool is_stuck_ = false;
  const detail::simulated_program* caller_ = nullptr;  // of the call that is being answered
  std::atomic<std::uint32_t> wakes_{0};
};

}  // namespace weir
