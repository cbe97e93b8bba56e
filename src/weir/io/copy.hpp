// copy: all bytes of a source to a sink, one block after the other. For a source and a sink that
// should work at the same time, and for who ends whom, see pipe_to() in pipe.hpp.
#pragma once

#include <weir/core/task.hpp>
#include <weir/io/byte_stream.hpp>
#include <weir/io/reader.hpp>

#include <cstdint>

namespace weir {

/// How far a copy or a pipe has come; kept up to date, so that it is right after an error and a
/// cancellation as well.
struct copy_progress {
  std::uint64_t received = 0;  // taken from the source, less what was put back into it
  std::uint64_t sent = 0;      // taken by the sink
};

namespace detail {
task<std::uint64_t> copy_bytes(source_ref from, sink_ref to, copy_progress* progress);
task<std::uint64_t> copy_count(source_ref from, sink_ref to, std::uint64_t count,
                               copy_progress* progress);
}  // namespace detail

/// Copies until the source ends, and gives the count. Neither side is ended. An error says which
/// side failed, and after how many bytes. What was received and not sent, by an error or a
/// cancellation, goes back into a `reader` or a `file_source`; of other sources it is lost, and
/// `progress` says how much.
template <byte_source S, byte_sink D>
[[nodiscard]] WEIR_CORO_WRAPPER task<std::uint64_t> copy(S& from, D& to,
                                                         copy_progress* progress = nullptr) {
  return detail::copy_bytes(detail::source_ref(from), detail::sink_ref(to), progress);
}

/// Copies exactly `count` bytes; raises `end_of_stream` when the source has fewer. What comes after
/// them stays in the reader.
template <byte_sink D>
[[nodiscard]] WEIR_CORO_WRAPPER task<std::uint64_t> copy_exactly(
    reader& from, D& to, std::uint64_t count, copy_progress* progress = nullptr) {
  return detail::copy_count(detail::source_ref(from), detail::sink_ref(to), count, progress);
}

}  // namespace weir
