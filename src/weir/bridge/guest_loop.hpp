// A loop inside of somebody else's: libuv, GLib, Asio, a game's frame loop, poll(2). The hard idea:
// one descriptor says all. It is an epoll of two: the driver's own, which is readable when
// something is complete, and a timer that is set to the moment at which the loop wants its next
// turn.
//
// Rejected: io_uring. Ours completes on demand only, which wakes nobody who polls its descriptor;
// the eventfd that a ring can signal instead was seen (Linux 6.18) to miss what another eventfd
// sets off.
#pragma once

#include <weir/core/loop.hpp>
#include <weir/io/make_driver.hpp>

#include <cstdint>
#include <memory>

namespace weir {

/// A loop that never waits: its host waits on descriptor(), and calls run() when that is readable.
///
/// Cancel:  cancel() asks all tasks to end; the destructor does, too, and waits until they have.
/// Order:   as of any loop.
/// Bound:   run() gives the thread back after turns_max turns, each bounded by its loop_options.
/// Errors:  the constructor raises what the system refuses, and `unsupported` for a driver that
///          can't be polled; an error that leaves the root scope goes to the unhandled-error
///          handler. After that, and after cancel(), the root scope stays cancelled: a task that is
///          spawned there ends at its first wait, without an error; begin again with another
///          guest_loop.
/// Threads: the one that made it, but for loop().post().
class guest_loop {
 public:
  static constexpr int turns_max = 4;

  explicit guest_loop(driver_options io = {.name = "epoll"},
                      loop_options options = {.name = "guest"});
  guest_loop(const guest_loop&) = delete;
  guest_loop& operator=(const guest_loop&) = delete;
  ~guest_loop();

  /// To be polled for reading, level-triggered, for as long as this lives.
  int descriptor() const noexcept { return both_.number; }
  /// Runs what can run now, without waiting. False: no task is left; a post may bring new ones.
  /// Needed when the descriptor is readable and after spawn() or cancel() from outside of run().
  bool run();
  /// Cancels all tasks; run() ends them.
  void cancel(const char* reason) noexcept { on_.cancel_between_turns(reason); }
  /// Where tasks are spawned.
  scope& root() noexcept { return on_.root(); }
  weir::loop& loop() noexcept { return on_; }

 private:
  struct owned_fd {
    int number;
    ~owned_fd();
  };
  void watch(int handle);
  void wake_at(time_point due) noexcept;

  const std::uintptr_t* const thread_ = &detail::running_leaf;  // that made it
  std::unique_ptr<driver> io_;
  weir::loop on_;
  owned_fd timer_;
  owned_fd both_;
  time_point due_ = time_point::never();  // what the timer is set to
};

}  // namespace weir
