// Stream sockets in memory, as the loopback of one Linux machine. The hard idea: an operation is an
// attempt that either finishes or would block; one that would block waits at its socket and is
// attempted again whenever the socket has been touched. So every rule is written once.
//
//   connect -> listener's queue -> accept           each end holds what arrived and was not read:
//                                                   send() on one end fills the other's inbox
#pragma once

#include <weir/core/driver.hpp>
#include <weir/sim/choice.hpp>
#include <weir/sim/network_sizes.hpp>
#include <weir/sim/packet.hpp>
#include <weir/sim/port_range.hpp>
#include <weir/sim/virtual_disk.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>
#include <vector>

namespace weir {

/// What the network needs of the world around it.
///
/// Cancel:  no waits.
/// Order:   finished() in the order in which the requests happened.
/// Bound:   has_room() says when as many handles are open as may be.
/// Errors:  none.
/// Threads: the network's.
class network_host {
 public:
  /// A request that waited is complete; its outcome is set.
  virtual void finished(io_request& request) = 0;
  /// A new handle, never used before.
  virtual io_handle new_handle() = 0;
  /// False: as many handles are open as a program may have.
  virtual bool has_room() const = 0;
  /// How many of `count` (at least 1) bytes go at once: fewer than all for short transfers.
  virtual std::size_t part_of(std::size_t count) = 0;
  /// The machine's own time.
  virtual time_point now() const = 0;

 protected:
  ~network_host() = default;
};

struct network_limits {
  network_sizes sizes = {};
  bool draws_sizes = false;  // smaller ones by lot, in each run
  port_range ports = {};
  duration time_wait = {};
};

/// Stream sockets of one machine: loopback over IPv4, IPv6 and Unix; over both IP families also to
/// others, once it has joined them. A listener at [::] takes IPv4, too, as Linux's does, unless it
/// is told not to.
///
/// Cancel:  cancel() takes a waiting request out; one that had finished is left alone.
/// Order:   bytes arrive as sent; waiting requests of a socket finish in the order of their start.
/// Bound:   network_sizes, a listener's backlog, a range of ports. A port has one
///          connection to each place; whoever ends one to another machine first keeps its port from
///          that place for time_wait, as TCP's TIME_WAIT has it. Loopback gives back at once.
/// Errors:  -errno as Linux gives it.
/// Threads: one at a time.
class virtual_network {
 public:
  static constexpr std::size_t receive_max = 16 * 1024;  // the size of a driver's buffer

  virtual_network(network_host& host, virtual_disk& disk, choice_stream random,
                  network_limits limits);
  virtual_network(const virtual_network&) = delete;
  virtual_network& operator=(const virtual_network&) = delete;
  ~virtual_network();

  io_handle make_socket(int family);
  io_handle make_listener(raw_address& address, const listen_options& options);
  /// Two ends of which the first only receives and the second only sends.
  int make_pipe(io_handle (&ends)[2]);
  /// What is sent to the first end is typed; the second one is a program's and knows the size.
  int make_terminal(io_handle (&ends)[2], int rows, int columns);
  int set_terminal_size(io_handle handle, int rows, int columns);
  int terminal_size_of(io_handle handle, int& rows, int& columns) const;
  int address_of(io_handle handle, bool peer, raw_address& out) const;
  int set_option(io_handle handle, int level, int option, int value);

  /// New sockets, pipes and listeners have these from here on, and none is drawn.
  void set_sizes(const network_sizes& sizes) noexcept;
  /// By lot from here on, where it is explored. Before the first of them, or of those behind
  /// set_sizes(); a program that starts again may say it again.
  void draw_sizes(bool is_explored) noexcept;
  /// What was drawn below the plain sizes, in words; empty: nothing was.
  std::string drawn_sizes() const;

  /// True: finished, the outcome is set. False: it waits and finished() will be called.
  bool start(io_request& request);
  /// True: it waited, and does no longer.
  bool cancel(io_request& request);
  /// Requests that wait on the handle finish with -ECANCELED.
  int close(io_handle handle);
  /// Requests of one driver that wait on the handle finish with -ECANCELED: another process holds
  /// it, so that it stays open.
  void abandon(io_handle handle, const void* driver);
  /// All sockets vanish, waiting requests finish with -EIO. `is_silent`: the machine stopped, so
  /// that other machines hear nothing; else the program died, and its kernel ends its connections.
  void crash(bool is_silent = true);

  // To other machines.
  /// From here on this machine is `own`, and `carrier` takes its packets to others.
  void join(packet_carrier& carrier, host_number own) noexcept;
  /// A packet from another machine. False: it is dropped, as by a full accept queue, and has to
  /// come again.
  bool arrive(const packet& what);
  std::uint64_t accepts_overflown() const noexcept { return accepts_overflown_; }

  bool has(io_handle handle) const noexcept { return sockets_.contains(handle); }
  /// Sockets that a program holds: connections that nobody has accepted yet don't count.
  std::size_t open_sockets() const noexcept;
  /// "a listener at 127.0.0.1:80" and the like, by its handle.
  void name_open(std::map<io_handle, std::string>& into) const;

 private:
  struct endpoint;

  endpoint* at(io_handle handle) const;
  endpoint& make_endpoint(io_handle handle, int family);
  const network_sizes& sizes();
  detail::buffer_size buffer_of(std::size_t network_sizes::* which);
  std::int64_t attempt(endpoint& e, io_request& request);
  std::int64_t accept(endpoint& e, io_request& request);
  std::int64_t connect(endpoint& e, const raw_address& to);
  std::int64_t receive(endpoint& e, io_request& request);
  std::int64_t send(endpoint& e, const io_request& request);
  std::int64_t shutdown(endpoint& e, std::uint32_t how);
  std::int64_t poll(const endpoint& e, std::uint32_t wanted) const;

  std::int64_t connect_there(endpoint& e, const raw_address& to);
  std::int64_t outcome_of_connect(endpoint& e);
  std::int64_t send_there(endpoint& e, const io_request& request, std::size_t asked);
  void say_read(endpoint& e, std::size_t count);
  void end_there(endpoint& e);
  void close_there(endpoint& e, bool is_reset);
  void carry(const endpoint& e, packet_kind kind, std::uint64_t number = 0, std::string data = {});
  bool arrive_syn(const packet& what);
  void arrive_at(endpoint& e, const packet& what);
  bool is_local(const raw_address& address) const noexcept;
  bool is_there(const raw_address& address) const noexcept;

  int check_local(const raw_address& address) const;
  int bind(endpoint& e, raw_address& address);
  int free_port(const raw_address* to = nullptr);
  bool is_port_used(int port, const raw_address* to);
  bool is_taken(const endpoint& by, const raw_address& address) const;
  int find_listener(const raw_address& to, endpoint*& out);
  void reset(endpoint& e);
  void touch(io_handle handle);
  void settle();

  network_host& host_;
  virtual_disk& disk_;
  choice_stream random_;
  network_limits limits_;
  std::optional<network_sizes> sizes_;  // of this run, once there was a socket
  bool is_to_draw_ = false;             // draw_sizes() was said, and set_sizes() not behind it
  int next_port_;
  std::unordered_map<io_handle, std::unique_ptr<endpoint>> sockets_;
  std::vector<io_handle> listeners_;
  std::deque<io_handle> touched_;
  bool is_settling_ = false;
  packet_carrier* carrier_ = nullptr;
  host_number own_host_ = 0;
  std::unordered_map<connection_number, io_handle> remote_;
  std::uint64_t accepts_overflown_ = 0;
  struct kept_port {
    raw_address from;  // the place that it is kept from
    time_point until;
  };
  std::multimap<int, kept_port> kept_ports_;
};

}  // namespace weir
