// Datagrams to and from sockets, several in one system call, as calls that never block. The hard
// idea: how large a datagram is shows when it has been taken, and what did not fit is gone; so each
// is taken into room for the largest there is, and what it needs is kept of it.
//
// Rejected: receives that a ring keeps armed (IORING_RECV_MULTISHOT). In a plain echo between two
// sockets (a program in C, not kept) they took 0.88 of the processor time of a poll and these
// calls, of which two thirds came from the look at the socket before the poll, which is spared now
// where it is in vain. They would take datagrams that nobody has asked for, into rings of
// buffers of 64 KiB each.
#pragma once

#include <weir/core/driver.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>

namespace weir::detail {

class receive_arena;

/// Where the datagrams of a driver arrive; made with the first one.
///
/// Cancel:  no waits.
/// Order:   as the socket gives them.
/// Bound:   batch_max datagrams a call, bytes_max of each: larger ones are cut, which shows.
/// Errors:  -errno; -EAGAIN when none is there; -ENOMEM.
/// Threads: its driver's.
class datagram_memory {
 public:
  static constexpr std::size_t batch_max = 16;
  static constexpr std::size_t bytes_max = 64 * 1024;  // no UDP datagram is larger

  /// For io_op::receive_datagrams: how many came. What there is no memory for shows as cut off.
  std::int64_t receive_now(io_request& request, receive_arena& arena) noexcept;

 private:
  std::unique_ptr<char[]> room_;
};

/// For io_op::send_datagrams: how many were sent, or -errno of the first.
std::int64_t send_datagrams_now(const io_request& request) noexcept;

}  // namespace weir::detail
