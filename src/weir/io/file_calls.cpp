#include <weir/io/file_calls.hpp>

#include <weir/io/outcome_of.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>

namespace weir::detail {

namespace {

constexpr std::size_t zeros_bytes = 1 << 16;
alignas(4096) constinit const char zeros[zeros_bytes] = {};

// Space is reserved first, so that lack of it shows before anything is written. What lies beyond
// the old end is then written with zeros: space that is merely reserved would make each first write
// into it a change of metadata, which the next sync must commit as well.
std::int64_t preallocate(const io_request& request) noexcept {
  struct stat now;
  if (::fstat(request.handle, &now) != 0) return -errno;
  const auto from = static_cast<off_t>(request.offset);
  const off_t end = from + static_cast<off_t>(request.size);
  const std::int64_t reserved =
      outcome_of([&] { return ::fallocate(request.handle, 0, from, end - from); });
  if (reserved < 0 && reserved != -EOPNOTSUPP) return reserved;
  for (off_t at = std::max(from, now.st_size); at < end;) {
    const std::size_t piece = std::min(zeros_bytes, static_cast<std::size_t>(end - at));
    const std::int64_t written =
        outcome_of([&] { return ::pwrite(request.handle, zeros, piece, at); });
    if (written < 0) return written;
    at += written;
  }
  return 0;
}

std::int64_t sync_folder(const char* path) noexcept {
  const std::int64_t folder =
      outcome_of([&] { return ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC); });
  if (folder < 0) return folder;
  const int handle = static_cast<int>(folder);
  const std::int64_t outcome = outcome_of([&] { return ::fsync(handle); });
  ::close(handle);
  return outcome;
}

std::int64_t write_at(const io_request& request) noexcept {
  static_assert(sizeof(io_slice) == sizeof(struct iovec));
  const int count = static_cast<int>(std::min<std::size_t>(request.slice_count, IOV_MAX));
  const int flags = request.flags == 1 ? RWF_DSYNC : 0;
  return outcome_of([&] {
    return ::pwritev2(request.handle, reinterpret_cast<const struct iovec*>(request.slices), count,
                      static_cast<off_t>(request.offset), flags);
  });
}

}  // namespace

std::int64_t perform_blocking(io_request& request) noexcept {
  const io_handle handle = request.handle;
  const int folder = handle >= 0 ? handle : AT_FDCWD;
  const auto offset = static_cast<off_t>(request.offset);
  switch (request.op) {
    case io_op::open:
      return outcome_of([&] {
        return ::openat(folder, request.path, static_cast<int>(request.flags), request.mode);
      });
    case io_op::read_at:
      return outcome_of([&] { return ::pread(handle, request.memory, request.size, offset); });
    case io_op::write_at:
      return write_at(request);
    case io_op::sync:
      return outcome_of([&] { return request.flags == 1 ? ::fdatasync(handle) : ::fsync(handle); });
    case io_op::preallocate:
      return preallocate(request);
    case io_op::truncate:
      return outcome_of([&] { return ::ftruncate(handle, offset); });
    case io_op::rename:
      return outcome_of([&] { return ::renameat(folder, request.path, folder, request.path_to); });
    case io_op::remove:
      return outcome_of(
          [&] { return ::unlinkat(folder, request.path, request.flags == 1 ? AT_REMOVEDIR : 0); });
    case io_op::make_dir:
      return outcome_of([&] { return ::mkdir(request.path, request.mode); });
    case io_op::sync_dir:
      if (handle < 0) return sync_folder(request.path);
      return outcome_of([&] { return ::fsync(handle); });
    case io_op::run_blocking:
    case io_op::start_child:
      request.function(request.memory);
      return 0;
    default:
      return -ENOSYS;
  }
}

namespace {
void fill(file_status& out, const struct stat& from) noexcept {
  out.size = static_cast<std::uint64_t>(from.st_size);
  out.is_directory = S_ISDIR(from.st_mode);
  out.modified_wall_ns = from.st_mtim.tv_sec * 1'000'000'000 + from.st_mtim.tv_nsec;
  out.device = from.st_dev;
  out.inode = from.st_ino;
}
}  // namespace

int path_status_now(const char* path, file_status& out) noexcept {
  struct stat found;
  if (::stat(path, &found) != 0) return -errno;
  fill(out, found);
  return 0;
}

int handle_status_now(io_handle handle, file_status& out) noexcept {
  struct stat found;
  if (::fstat(handle, &found) != 0) return -errno;
  fill(out, found);
  return 0;
}

std::size_t handle_path_now(io_handle handle, char* out, std::size_t size) noexcept {
  char link[32] = {};
  fmt::format_to_n(link, sizeof link - 1, "/proc/self/fd/{}", handle);
  const ssize_t length = ::readlink(link, out, size);
  return length > 0 ? static_cast<std::size_t>(length) : 0;
}

int list_dir_now(const char* path, void (*visit)(void*, const char*), void* context) noexcept {
  DIR* folder = ::opendir(path);
  if (!folder) return -errno;
  errno = 0;
  while (const dirent* entry = ::readdir(folder)) {
    if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
      visit(context, entry->d_name);
    errno = 0;
  }
  const int failure = errno;
  ::closedir(folder);
  return -failure;
}

int lock_file_now(io_handle handle) noexcept {
  return static_cast<int>(outcome_of([&] { return ::flock(handle, LOCK_EX | LOCK_NB); }));
}

}  // namespace weir::detail
