// Reads and writes of descriptors that are no sockets (pipes, terminals), as calls that never
// block. The hard idea: a write to a pipe that nobody reads raises SIGPIPE, and unlike a send it
// can't say that it wants none; so the loop's thread holds that signal back.
#pragma once

#include <weir/core/driver.hpp>

#include <cstdint>

namespace weir::detail {

/// A count, or -errno; -EAGAIN: it would have to wait.
std::int64_t read_now(io_handle handle, void* into, std::size_t size) noexcept;
std::int64_t write_now(const io_request& request) noexcept;

/// Holds SIGPIPE back from this thread from hold() to its end, and leaves everything as it was.
///
/// Cancel:  no waits.
/// Order:   none.
/// Bound:   one signal of one thread.
/// Errors:  none.
/// Threads: one; hold() and destruction are its own.
class pipe_signal_guard {
 public:
  pipe_signal_guard() = default;
  pipe_signal_guard(const pipe_signal_guard&) = delete;
  pipe_signal_guard& operator=(const pipe_signal_guard&) = delete;
  ~pipe_signal_guard();

  void hold() noexcept;

 private:
  bool is_held_ = false;
};

}  // namespace weir::detail
