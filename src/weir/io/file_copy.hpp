// Files as wholes: one copied to another, or sent to a socket or a pipe, by the kernel where it can
// do that without our memory, else by reading and writing. The hard idea: copy_file_range waits for
// the disk and sendfile for the peer as well, so neither is simply called. Copies go to the
// blocking pool in bounded pieces. What is sent leaves on the loop's thread, in pieces that are in
// the page cache, a piece a turn, and stops where the socket is full; a piece that is on the disk
// is read first, as any file is.
//
//   co_await weir::copy_file(from, to)                        // up to the end that `from` has now
//   co_await weir::send_file(page, peer, {.offset = 100})     // to a socket
//
// Rejected: sendfile on the blocking pool or splices on a ring's workers, since a peer that reads
// nothing would hold a thread for each file. Larger pieces: copies in pieces of 1, 4 and 16 MiB
// cost the same within what the measurement spreads (./dev bench file_copy).
#pragma once

#include <weir/core/task.hpp>
#include <weir/io/byte_stream.hpp>
#include <weir/io/copy.hpp>
#include <weir/io/file.hpp>
#include <weir/io/pipe_ends.hpp>
#include <weir/io/range_calls.hpp>
#include <weir/io/socket.hpp>

#include <cstddef>
#include <cstdint>

namespace weir {

/// As a count: up to the end that the file has when the copy begins.
inline constexpr std::uint64_t to_file_end = ~std::uint64_t{0};

struct copy_file_options {
  std::uint64_t offset = 0;  // of the source
  std::uint64_t count = to_file_end;
  std::uint64_t target_offset = 0;
  std::size_t piece_bytes = std::size_t{1} << 20;  // what one call takes: a cancel waits for it
  copy_progress* progress = nullptr;               // kept up to date
};

struct send_file_options {
  std::uint64_t offset = 0;
  std::uint64_t count = to_file_end;
  std::size_t piece_bytes = std::size_t{256} << 10;  // what one call takes: the loop waits for it
  copy_progress* progress = nullptr;                 // kept up to date
};

namespace detail {
task<std::uint64_t> copy_file_by(file& from, file& to, copy_file_options options,
                                 copy_range_call call);
/// A sink that is a descriptor; it outlives this.
struct descriptor_sink {
  sink_ref bytes;
  const void* of;
  io_handle (*handle_of)(const void* of) noexcept;

  template <class D>
  explicit descriptor_sink(D& sink) noexcept
      : bytes(sink),
        of(&sink),
        handle_of([](const void* one) noexcept { return static_cast<const D*>(one)->handle(); }) {}
  io_handle handle() const noexcept { return handle_of(of); }
};

task<std::uint64_t> send_file_by(file& from, descriptor_sink to, send_file_options options,
                                 send_range_call call);
task<std::uint64_t> send_file_to(file& from, sink_ref to, send_file_options options);
}  // namespace detail

/// Copies a file or a range of it over what the target has there, and gives the count. The target
/// is not cut behind it, holes become zeros, and nothing is durable before file::sync(). What the
/// source gains meanwhile is not copied; `end_of_stream` when it has or gets fewer bytes than that.
/// `invalid_argument` when the ranges overlap in one file. Other errors say which side failed, and
/// after how many bytes; `progress` is right also then and after a cancellation, which waits for
/// the piece under way. Files without a size of their own, as in /proc, are for copy().
[[nodiscard]] WEIR_CORO_WRAPPER inline task<std::uint64_t> copy_file(
    file& from, file& to, copy_file_options options = {}) {
  return detail::copy_file_by(from, to, options, &detail::copy_range_now);
}

/// Sends a file or a range of it, and gives the count; the socket is not ended. As of copy_file(),
/// what the file gains meanwhile is not sent, and `end_of_stream` says that it was too short. What
/// others write to the range before the peer has it may be sent instead. It is the socket's one
/// send for as long as it runs; a cancelled one has sent what `progress` says. A piece leaves in
/// each turn of the loop.
[[nodiscard]] WEIR_CORO_WRAPPER inline task<std::uint64_t> send_file(
    file& from, socket& to, send_file_options options = {}) {
  return detail::send_file_by(from, detail::descriptor_sink(to), options, &detail::send_range_now);
}
/// The same to a pipe, from Linux 5.12 on without our memory.
[[nodiscard]] WEIR_CORO_WRAPPER inline task<std::uint64_t> send_file(
    file& from, pipe_writer& to, send_file_options options = {}) {
  return detail::send_file_by(from, detail::descriptor_sink(to), options, &detail::send_range_now);
}
/// The same for sinks that need the bytes in memory, such as a TLS socket: always read first.
template <byte_sink D>
[[nodiscard]] WEIR_CORO_WRAPPER task<std::uint64_t> send_file(file& from, D& to,
                                                              send_file_options options = {}) {
  return detail::send_file_to(from, detail::sink_ref(to), options);
}

}  // namespace weir
