// Sends over io_uring whose bytes the kernel reads by itself instead of copying them (SEND_ZC). The
// hard idea: there are two answers. The first says how many bytes the socket has taken, and
// completes the request; the second, that the kernel no longer reads them, for the peer has them or
// never will. In between the bytes must neither go nor change, whatever became of the request, its
// task and the socket, so they are owned here.
//
//   prepare() --> held, with its request --first answer--> held --second answer--> given back
//
// Invariant: (1) the bytes of a send are given back after its last answer and not before.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/base/time.hpp>
#include <weir/core/driver.hpp>

#include <liburing.h>

#include <cstddef>
#include <cstdint>

namespace weir::detail {

/// The sends of one ring that the kernel reads from.
///
/// Cancel:  a request is cancelled in the ring by its name_of(); its bytes stay.
/// Order:   none.
/// Bound:   by the send buffers of the sockets: what is held counts there.
/// Errors:  without memory a send is not shared.
/// Threads: the ring's.
class shared_sends {
 public:
  /// Smaller sends are copied: from here on a send took less of the processor than the copy did
  /// (docs/design/performance-net.md).
  static constexpr std::size_t bytes_min = 64 * 1024;
  /// What user_data of such an entry has in its lower three bits.
  static constexpr std::uint64_t about = 4;
  static constexpr std::uint64_t about_mask = 7;

  shared_sends() = default;
  shared_sends(const shared_sends&) = delete;
  shared_sends& operator=(const shared_sends&) = delete;

  /// True when the request asks for it: flags 1, `memory` is the `bytes` that its one slice is of.
  /// The ring knows the request by it, so it says the same until the answer: it does not ask what
  /// the handle is, whose number may be another's by then.
  static bool asks(const io_request& request) noexcept {
    return request.op == io_op::send && request.flags == 1 && request.slices->size >= bytes_min;
  }
  /// The outcome of a send that was answered, or -EAGAIN: the socket's kind refuses to share
  /// (Unix), or the user may not lock as much memory. Then the request has become an ordinary send.
  static std::int64_t judge(io_request& request, std::int64_t outcome) noexcept;

  /// Fills the entry. False: without memory the request has become an ordinary send.
  bool prepare(io_request& request, io_uring_sqe& entry) noexcept;
  /// An answer, whose user_data is `about` this: the request, when it is complete.
  io_request* heard(const io_uring_cqe& answer) noexcept;
  /// The user_data by which the ring knows a request, shared or not.
  static std::uint64_t name_of(const io_request& request) noexcept {
    return asks(request) ? request.offset : reinterpret_cast<std::uintptr_t>(&request);
  }
  /// Before the ring is closed, and after the sockets: waits for the last answers, for last_wait at
  /// most. What is left then is never given back (1).
  void wait_for_all(struct io_uring& ring) noexcept;
  static constexpr duration last_wait = duration::seconds(1);

 private:
  struct held {
    bytes data;
    io_request* request;
  };

  std::size_t count_ = 0;
};

}  // namespace weir::detail
