// The driver over epoll. The hard idea: a socket is registered, edge-triggered, when somebody first
// has to wait, and every request first tries its system call; only one that would block waits for
// the next edge. A short read says that the socket is drained, so the usual request costs one wait,
// one receive and one send, as in a program written by hand. Files go to the blocking pool: for
// epoll they are always ready.
//
// Invariants: (1) is_readable is false only when the last try would have blocked or read less than
//                 it had room for, and no edge has come since; the same for writing and
//                 is_writable;
//             (2) a peer's end or an error stays noted (is_ended) until the socket is closed, for
//                 it may have come with the edge of the data before it;
//             (3) a writer or a poll waits only where hears_room is true: what makes it true asks
//                 the kernel anew, so room that came before is told.
#pragma once

#include <weir/io/kernel_driver.hpp>

#include <memory>
#include <vector>

struct epoll_event;

namespace weir::detail {

/// Readiness of sockets turned into completions.
///
/// Cancel:  at once, for everything but calls on the pool.
/// Order:   requests on one socket, in one direction, first in, first out.
/// Bound:   events_max completions are taken from the kernel per wait.
/// Errors:  as driver says.
/// Threads: as driver says.
class epoll_driver final : public kernel_driver {
 public:
  static constexpr int events_max = 256;

  explicit epoll_driver(const driver_options& options);
  ~epoll_driver() override;

  const char* name() const noexcept override { return "epoll"; }
  void wait(time_point until) noexcept override;
  io_handle poll_handle() noexcept override { return epoll_; }
  bool prepare_poll() noexcept override { return has_done() || looks_again(); }
  bool has_send(io_handle handle) const noexcept override {
    const auto index = static_cast<std::size_t>(handle);
    return handle >= 0 && index < descriptors_.size() && !descriptors_[index].writers.is_empty();
  }

 protected:
  bool start(io_request& request) noexcept override;
  void stop(io_request& request) noexcept override;
  void adopt(io_handle handle) noexcept override;
  int adopt_piped(io_handle handle) noexcept override;
  void abandon(io_handle handle) noexcept override;
  bool goes_to_derived(io_op op) const noexcept override;

 private:
  struct descriptor {
    request_list readers;  // accept, receive, receive_into, receive_datagrams
    request_list writers;  // send, send_datagrams, connect
    request_list polls;    // poll: asks the kernel again at each edge
    bool is_registered = false;
    bool hears_room = false;  // registered for edges of room, too (3)
    bool is_readable = true;
    bool is_writable = true;
    bool is_ended = false;
    bool was_urgent = false;  // a read ends at urgent data, though more is behind it
    bool is_piped = false;    // no socket: it is read and written
  };

  descriptor& at(io_handle handle);
  request_list& list_of(io_request& request) noexcept;
  /// 0, or -errno; makes the edges heard that the request waits for.
  int watch(const io_request& request) noexcept;
  bool try_request(io_request& request, descriptor& on) noexcept;
  bool try_accept(io_request& request, descriptor& on) noexcept;
  bool try_receive(io_request& request, descriptor& on) noexcept;
  /// Sends, datagrams and pipes: only a call that would block says that nothing is left, for a
  /// terminal gives a line at a time, a watch as many events as are whole.
  bool try_call(io_request& request, descriptor& on) noexcept;
  bool try_connect(io_request& request, descriptor& on) noexcept;
  bool note_read(io_request& request, descriptor& on, std::int64_t count,
                 std::size_t room) noexcept;
  void retry(request_list& waiting, descriptor& on) noexcept;
  void heard(const epoll_event& event) noexcept;
  void feed_starved() noexcept;
  void connect_again() noexcept;
  /// No event tells when there is memory again, or room for a connection.
  bool looks_again() const noexcept;
  int wait_for_events(epoll_event* events, std::int64_t patience_ns) noexcept;

  int epoll_ = -1;
  bool has_pwait2_ = true;               // until the kernel says otherwise
  std::vector<descriptor> descriptors_;  // by number
  request_list starved_;                 // receives that wait for room in the arena
  request_list full_;                    // connects whose Unix listener has no room for more
  time_point connects_again_;
};

[[nodiscard]] std::unique_ptr<driver> make_epoll_driver(const driver_options& options);

}  // namespace weir::detail
