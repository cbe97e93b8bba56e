// pipe_to: a source and a sink that work at the same time, with a bounded queue between them, and
// with rules for who ends whom. The rules are those of the Streams Standard's pipeTo (WHATWG), on
// bytes: docs/reference/rules.md has them as W8 to W13, with a test for each.
//
//               receive()   queue: at most queue_bytes_max   send()
//   source  --------------> [ piece | piece | piece ] ------------->  sink
//           <- cancel -- when the sink fails      when the source ends or fails -- end, abort ->
//
// The hard idea: whatever ends the flow, what has been read is written first, and only then is the
// other side told; so an end that arrives early cuts nothing off.
//
// Rejected: splice(2) from socket to socket. A plain loop of it between two TCP connections of one
// machine (a program in C, not kept; other programs ran) took 0.86 to 1.14 of the processor time of
// recv() and send() with pieces of 64 KiB (four runs), 0.93 with 256 KiB, 0.77 with 1 MiB; a pipe
// of 64 KiB is what a user gets for each of many connections. From a pipe to a socket it took 1.4,
// from a socket to a pipe 0.72, which a ring that receives ahead could use only after it has
// stopped. From a file to a pipe it took 0.4: that is send_file().
#pragma once

#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/io/byte_stream.hpp>
#include <weir/io/copy.hpp>

#include <cstddef>
#include <cstdint>

namespace weir {

struct pipe_options {
  std::size_t queue_bytes_max = 64 * 1024;  // nothing is read while so much waits to be written
  bool keep_source = false;                 // a failed sink does not end the source (preventCancel)
  bool keep_sink = false;  // a failed source does not break the sink (preventAbort)
  bool keep_open = false;  // the end of the source does not end the sink (preventClose)
  duration drain_timeout = duration::seconds(5);  // for each step after a cancellation
  copy_progress* progress = nullptr;              // kept up to date
};

namespace detail {
task<std::uint64_t> pipe_bytes(source_ref from, sink_ref to, pipe_options options);
}  // namespace detail

/// Moves all bytes of `from` to `to` and gives the count. What it does at the ends, in this order:
/// a failed source breaks the sink (`reset()`); a failed sink, also one that was closed before,
/// ends the source (`close()`); an ended source ends the sink (`shutdown_send()`). A cancellation
/// does the first two, after it has written what was read, within drain_timeout. Errors say which
/// side failed, and after how many bytes. While it runs nobody else reads from the one or sends to
/// the other; after it both are free again. What was read and can't be written goes back into a
/// `reader` or a `file_source`.
template <byte_source S, byte_sink D>
[[nodiscard]] WEIR_CORO_WRAPPER task<std::uint64_t> pipe_to(S& from, D& to,
                                                            pipe_options options = {}) {
  return detail::pipe_bytes(detail::source_ref(from), detail::sink_ref(to), options);
}

}  // namespace weir
