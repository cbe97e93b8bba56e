// One socket of a virtual network: what it is and what lies in it.
#pragma once

#include <weir/core/driver.hpp>
#include <weir/sim/virtual_network.hpp>

#include <cstdint>
#include <deque>
#include <limits>
#include <string>
#include <vector>

namespace weir {

namespace detail {
/// An attempt that finds nothing to do yet.
inline constexpr std::int64_t would_block = std::numeric_limits<std::int64_t>::min();
}  // namespace detail

struct virtual_network::endpoint {
  enum class kind : std::uint8_t { fresh, listening, connecting, connected };

  io_handle handle = -1;
  int family = 0;
  kind is = kind::fresh;
  bool is_accepted = true;  // false: still in a listener's queue
  raw_address local;
  raw_address remote;
  bool is_client = false;  // its port was given to it by connect()
  bool ipv6_only = false;

  // listening
  bool reuse_port = false;
  std::size_t backlog = 0;
  std::uint64_t socket_file = 0;   // Unix: the name that it was bound to
  std::deque<io_handle> queue;     // connections to accept
  std::deque<io_handle> knocking;  // sockets whose connect waits for room in the queue

  // connected
  io_handle peer = -1;  // -1: the other end is closed
  bool is_pipe = false;
  bool is_terminal = false;  // a program's end of one
  int rows = 0;              // of a terminal
  int columns = 0;
  std::string inbox;
  std::size_t inbox_read = 0;
  detail::buffer_size inbox_size;
  std::uint64_t inbox_passed = 0;  // bytes that have come in
  bool is_inbox_ended = false;     // the other end sends no more
  bool is_send_shut = false;
  bool is_receive_shut = false;
  bool is_broken = false;  // nothing can be sent any more
  int error = 0;           // reported once
  bool resets_on_close = false;

  // connecting or connected to another machine; `peer` is -1 then
  connection_number connection = 0;  // 0: the other end is on this machine
  bool is_connect_told = false;      // connect() has ended
  bool ended_first = false;          // nothing had been heard of the other end's end
  host_number remote_host = 0;
  std::size_t unread_there = 0;  // bytes sent that the other program has not said to have read
  detail::buffer_size size_there;
  std::uint64_t sent_there = 0;
  std::size_t read_unsaid = 0;  // bytes read that the other end was not told of

  std::vector<io_request*> waiting;

  std::size_t unread() const noexcept { return inbox.size() - inbox_read; }
  bool is_remote() const noexcept { return connection != 0; }
  std::size_t inbox_max() const noexcept { return inbox_size.after(inbox_passed); }
  std::size_t room() const noexcept { return inbox_max() > unread() ? inbox_max() - unread() : 0; }
  std::size_t room_there() const noexcept {
    const std::size_t max = size_there.after(sent_there);
    return max > unread_there ? max - unread_there : 0;
  }
};

}  // namespace weir
