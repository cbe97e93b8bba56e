// Pipes: streams of bytes in one direction, to and from child processes or between tasks. They have
// the same receive and send as sockets, so what reads one reads the other.
//
//   auto [reader, writer] = weir::make_pipe();  // each end goes to whom it is for
//   while (auto bytes = co_await reader.receive())   // empty at the end of the stream
//     co_await writer.send(bytes);                   // all of it
#pragma once

#include <weir/io/socket.hpp>

#include <cstddef>
#include <span>
#include <string_view>

namespace weir {

/// The end of a pipe that bytes come out of.
///
/// Cancel:  a cancelled receive has taken nothing.
/// Order:   bytes arrive as they were sent. One receive at a time.
/// Bound:   receive() gives at most 16,448 bytes; the kernel holds 64 KiB, then the sender waits.
/// Errors:  the end, when no writer is left, is empty; `closed` after close().
/// Threads: one loop.
class [[nodiscard]] pipe_reader : private detail::socket_owner {
 public:
  using socket_owner::socket_owner;
  using socket_owner::operator bool;
  using socket_owner::close;
  using socket_owner::handle;

  /// What has arrived, at least one byte; empty at the end of the stream.
  auto receive() noexcept { return detail::receive_wait(handle_here()); }
  /// The same into the caller's memory, which must live until the wait ends.
  auto receive_into(std::span<char> memory) noexcept {
    return detail::receive_into_wait(handle_here(), memory.data(), memory.size());
  }
};

/// The end of a pipe that bytes go into.
///
/// Cancel:  a cancelled send has sent a prefix; `sent` says how much.
/// Order:   as sent. One send at a time.
/// Bound:   a send waits while the kernel holds 64 KiB that nobody has read.
/// Errors:  `broken` when no reader is left (no SIGPIPE); `closed` after close().
/// Threads: one loop.
class [[nodiscard]] pipe_writer : private detail::socket_owner {
 public:
  using socket_owner::socket_owner;
  using socket_owner::operator bool;
  using socket_owner::close;
  using socket_owner::handle;

  /// Sends all of `data`, which must live until the wait ends. `sent` is kept up to date, so that
  /// it is right after a cancellation as well.
  auto send(std::string_view data, std::size_t* sent = nullptr) noexcept {
    return detail::send_wait(handle_here(),
                             detail::slice_cursor(io_slice{data.data(), data.size()}), sent);
  }
  auto send(std::span<const io_slice> pieces, std::size_t* sent = nullptr) noexcept {
    return detail::send_wait(handle_here(), detail::slice_cursor(pieces.data(), pieces.size()),
                             sent);
  }
  /// As a socket's, for what is written over both: of a pipe each end of the stream is a close().
  task<> shutdown_send() {
    close();
    co_return;
  }
  void reset() noexcept { close(); }
};

struct pipe_ends {
  pipe_reader reader;
  pipe_writer writer;
};

/// A new pipe. Raises `full` when the process has no two descriptors left.
pipe_ends make_pipe();

/// The pipe that a descriptor of the process is: standard input and output of a program between two
/// others. It is opened anew, for whoever shares the descriptor would not know what to do with one
/// that does not block: so the stream ends when both are closed. `invalid_argument` when it is no
/// pipe; `broken` for a named one (FIFO) that nobody reads, as a first send is of the others.
pipe_reader open_pipe_reader(io_handle of = 0);
pipe_writer open_pipe_writer(io_handle of = 1);

}  // namespace weir
