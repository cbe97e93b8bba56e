// What the drivers over the real kernel have in common: clocks, calls that don't wait, the blocking
// pool, signals, wake-ups, and completions that wait for their delivery. The two drivers below it
// differ only in how sockets (and, with a ring, files) are waited for.
//
// Invariants: (1) every submitted request is in exactly one place: with the derived driver, in the
//                 blocking pool, on the signal list, or on the done list;
//             (2) on_complete is called from deliver() only, inside wait().
#pragma once

#include <weir/base/treiber_stack.hpp>
#include <weir/core/driver.hpp>
#include <weir/io/blocking_pool.hpp>
#include <weir/io/datagram_calls.hpp>
#include <weir/io/detail/wake_flag.hpp>
#include <weir/io/make_driver.hpp>
#include <weir/io/pipe_calls.hpp>
#include <weir/io/receive_arena.hpp>
#include <weir/io/signal_relay.hpp>

#include <cstddef>
#include <cstdint>
#include <limits>

namespace weir::detail {

/// Requests in a row, linked through themselves.
class request_list {
 public:
  bool is_empty() const noexcept { return !first_; }
  io_request* first() const noexcept { return first_; }
  void push_back(io_request& request) noexcept {
    request.next = nullptr;
    request.prev = last_;
    (last_ ? last_->next : first_) = &request;
    last_ = &request;
  }
  void remove(io_request& request) noexcept {
    (request.prev ? request.prev->next : first_) = request.next;
    (request.next ? request.next->prev : last_) = request.prev;
    request.next = request.prev = nullptr;
  }
  io_request* pop_front() noexcept {
    io_request* taken = first_;
    if (taken) remove(*taken);
    return taken;
  }

 private:
  io_request* first_ = nullptr;
  io_request* last_ = nullptr;
};

/// Where a request is: invariant (1). Kept in io_request::driver_state.
enum class request_place : std::uint32_t { nowhere, derived, pool, signals, done };

/// The shared half of a driver over the kernel.
///
/// Cancel:  queued requests end at once; what runs on the pool ends when its call does.
/// Order:   completions in the order in which they were noticed.
/// Bound:   driver_options.
/// Errors:  as driver says.
/// Threads: as driver says.
class kernel_driver : public driver {
 public:
  kernel_driver(const kernel_driver&) = delete;
  kernel_driver& operator=(const kernel_driver&) = delete;
  ~kernel_driver() override;

  time_point now() noexcept final;
  time_point wall_now() noexcept final;
  std::uint64_t random() noexcept final;
  bool submit(io_request& request) noexcept final;
  void cancel(io_request& request) noexcept final;
  void wake() noexcept final;
  bool is_waiting_for_io() const noexcept final { return pending_ != 0; }

  io_handle make_socket(int family) noexcept final;
  io_handle make_listener(raw_address& address, const listen_options& options) noexcept final;
  io_handle make_datagram_socket(int family, raw_address& address,
                                 const listen_options& options) noexcept final;
  int make_pipe(io_handle (&ends)[2]) noexcept final;
  int adopt_stream(io_handle handle) noexcept final;
  bool has_descriptors() const noexcept final { return true; }
  child_host* children() noexcept final;
  watch_host* watches() noexcept final;
  int terminal_size_of(io_handle handle, int& rows, int& columns) noexcept final;
  int address_of(io_handle handle, bool peer, raw_address& out) noexcept final;
  int set_option(io_handle handle, int level, int option, int value) noexcept final;
  int status_of(const char* path, file_status& out) noexcept final;
  int status_of(io_handle handle, file_status& out) noexcept final;
  std::size_t path_of(io_handle handle, char* out, std::size_t size) noexcept final;
  int list_dir(const char* path, void (*visit)(void*, const char* name),
               void* context) noexcept final;
  int lock_file(io_handle handle) noexcept final;
  void close_now(io_handle handle) noexcept final;

  /// A send to it waits: for calls that go past the driver.
  virtual bool has_send(io_handle handle) const noexcept = 0;

 protected:
  kernel_driver(const driver_options& options, int socket_flags);

  // What a derived driver does.
  /// Starts a request of a kind that goes_to_derived(): true when it is complete already.
  virtual bool start(io_request& request) noexcept = 0;
  /// Ends a started request early: now, through finish(), or later.
  virtual void stop(io_request& request) noexcept = 0;
  /// A descriptor was made: forget what its number meant before.
  virtual void adopt(io_handle handle) noexcept = 0;
  /// The same of one that is no socket: it is read and written. 0 or -errno.
  virtual int adopt_piped(io_handle handle) noexcept = 0;
  /// A descriptor is about to be closed: stop() what is pending on it, or finish() it.
  virtual void abandon(io_handle handle) noexcept = 0;
  /// True for requests that start() takes; files go to the pool otherwise.
  virtual bool goes_to_derived(io_op op) const noexcept = 0;

  /// A started request is complete: it is delivered by deliver().
  void finish(io_request& request, std::int64_t outcome) noexcept;
  /// A started request that the derived driver cannot do after all: the pool does it.
  void leave_to_pool(io_request& request) noexcept;
  /// Notes what the pool and signals have brought, then calls on_complete of all that is done.
  void deliver() noexcept;
  bool has_done() const noexcept;
  /// How long a wait may last: 0 when something is to be delivered, -1 for ever, else nanoseconds.
  std::int64_t patience(time_point until) noexcept;

  int wake_fd() const noexcept { return wake_fd_.number; }
  /// The wake-up was noticed: wait for the next one.
  void clear_wake() noexcept;

  /// No outcome: received bytes that are in use hold all memory.
  static constexpr std::int64_t no_room = std::numeric_limits<std::int64_t>::min();
  /// A send, receive_datagrams or send_datagrams, or a receive that `is_piped`, as a system call
  /// that does not block: its outcome, -EAGAIN or no_room.
  std::int64_t call_now(io_request& request, bool is_piped) noexcept;

  receive_arena arena_;

 private:
  bool start_signal(io_request& request) noexcept;
  void take_from_pool() noexcept;
  void take_signals() noexcept;
  /// All that wait for one of the signals (a bit each) have heard it.
  void hear_signals(std::uint64_t numbers) noexcept;

  io_handle bind_socket(io_handle made, int type, raw_address& address,
                        const listen_options& options) noexcept;

  const int socket_flags_;
  const bool shares_ports_;
  struct event_fd {
    int number;
    ~event_fd();
  } wake_fd_;
  wake_flag<> is_woken_;
  std::size_t pending_ = 0;
  request_list done_;
  request_list signals_;
  treiber_stack<io_request> from_pool_;
  signal_listener listener_;
  pipe_signal_guard pipe_signal_;
  datagram_memory datagrams_;
  blocking_pool pool_;  // last, so that its threads are gone before what they touch
};

}  // namespace weir::detail
