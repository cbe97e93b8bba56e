#include <weir/io/range_calls.hpp>

#include <weir/io/outcome_of.hpp>
#include <weir/io/pipe_calls.hpp>

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cerrno>

namespace weir::detail {

namespace {

#ifdef __NR_cachestat
constexpr long cachestat_number = __NR_cachestat;
#else
constexpr long cachestat_number = 451;  // of most architectures; Debian 12 has no name for it
#endif
struct cache_range {
  std::uint64_t offset;
  std::uint64_t size;
};
struct cache_counts {
  std::uint64_t cached;
  std::uint64_t dirty;
  std::uint64_t written_back;
  std::uint64_t evicted;
  std::uint64_t recently_evicted;
};

std::int64_t probe(int file, std::uint64_t at) noexcept {
  char byte = 0;
  const struct iovec into{.iov_base = &byte, .iov_len = 1};
  return outcome_of([&] { return ::preadv2(file, &into, 1, static_cast<off_t>(at), RWF_NOWAIT); });
}

}  // namespace

std::int64_t copy_range_now(int from, std::uint64_t at, int to, std::uint64_t target_at,
                            std::size_t size) noexcept {
  auto source_offset = static_cast<off64_t>(at);
  auto target_offset = static_cast<off64_t>(target_at);
  return outcome_of(
      [&] { return ::copy_file_range(from, &source_offset, to, &target_offset, size, 0); });
}

std::int64_t send_range_now(int from, std::uint64_t at, int to, std::size_t size) noexcept {
  const int flags = ::fcntl(to, F_GETFL);
  if (flags < 0) return -errno;
  pipe_signal_guard quiet;
  quiet.hold();
  const bool waits = (flags & O_NONBLOCK) == 0;
  int on = 1;
  if (waits && ::ioctl(to, FIONBIO, &on) != 0) return -errno;
  auto offset = static_cast<off_t>(at);
  const std::int64_t outcome = outcome_of([&] { return ::sendfile(to, from, &offset, size); });
  int off = 0;
  if (waits) ::ioctl(to, FIONBIO, &off);
  return outcome;
}

std::optional<bool> is_counted_in_memory(int file, std::uint64_t at, std::size_t size) noexcept {
  if (size == 0) return true;
  const cache_range range{.offset = at, .size = size};
  cache_counts counts = {};
  if (::syscall(cachestat_number, file, &range, &counts, 0) != 0) return std::nullopt;
  const auto page = static_cast<std::uint64_t>(::getpagesize());
  return counts.cached >= (at + size - 1) / page - at / page + 1;
}

bool is_probed_in_memory(int file, std::uint64_t at, std::size_t size) noexcept {
  return size == 0 || (probe(file, at) == 1 && probe(file, at + size - 1) == 1);
}

bool is_in_memory(int file, std::uint64_t at, std::size_t size) noexcept {
  const std::optional<bool> counted = is_counted_in_memory(file, at, size);
  if (!counted) return is_probed_in_memory(file, at, size);
  if (!*counted || size == 0) return *counted;
  // Pages that are being read ahead count already; not every file system can be probed.
  return probe(file, at) != -EAGAIN && probe(file, at + size - 1) != -EAGAIN;
}

}  // namespace weir::detail
