// Ranges of files as system calls that move them without our memory: copy_file_range(2) and
// sendfile(2), and whether a range is in the page cache. The hard idea: sendfile waits for the peer
// unless its socket is non-blocking, and a ring's sockets are not, so it is that for the length of
// the call; this is the loop's thread, on which nothing else begins meanwhile.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

namespace weir::detail {

/// Both give a count, 0 at the end of the file, or -errno.
using copy_range_call = std::int64_t (*)(int from, std::uint64_t at, int to,
                                         std::uint64_t target_at, std::size_t size) noexcept;
using send_range_call = std::int64_t (*)(int from, std::uint64_t at, int to,
                                         std::size_t size) noexcept;

/// Blocks on the disk.
std::int64_t copy_range_now(int from, std::uint64_t at, int to, std::uint64_t target_at,
                            std::size_t size) noexcept;
/// Blocks on the disk if the range is not in memory; never on the peer (-EAGAIN), and raises no
/// SIGPIPE.
std::int64_t send_range_now(int from, std::uint64_t at, int to, std::size_t size) noexcept;

/// Whether the page cache holds the whole range (cachestat, Linux 6.5); nothing where the kernel
/// won't say.
std::optional<bool> is_counted_in_memory(int file, std::uint64_t at, std::size_t size) noexcept;
/// Whether it holds the first and the last byte, for the disk is read ahead in order (RWF_NOWAIT).
bool is_probed_in_memory(int file, std::uint64_t at, std::size_t size) noexcept;
/// The first of these that has an answer, and not while its ends are being read ahead. Not for
/// long: pages may go at any time.
bool is_in_memory(int file, std::uint64_t at, std::size_t size) noexcept;

}  // namespace weir::detail
