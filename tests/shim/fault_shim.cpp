// A library that tests load into the real server before libc (LD_PRELOAD): it moves the wall clock,
// makes file calls fail, and writes down every change of the files of one folder, so that a test
// can rebuild that folder as a power cut would have left it. tests/e2e/shim.py is its other half.
//
// The hard idea: a write counts as made when it was begun, a sync as done when it has returned.
// What is written down keeps this order, and `position` in the shared page says how far it is; so
// whoever reads the position after it got an answer knows that a cut from there on is behind it.
//
// A write that is durable by itself (RWF_DSYNC) is written down as a write and, once it has
// returned, as a sync of its own bytes and no others, which is all that Linux promises. A rule for
// syncs strikes it behind its write.
//
// With io_uring, writes and syncs do not pass through libc. The shim looks at the submission queue
// before each call of liburing that hands it over, and at the completions when the call returns.
//
//   WEIR_SHIM         the shared page (layout below), made by the test
//   WEIR_SHIM_FOLDER  files below it are seen, no others
//   WEIR_SHIM_LOG     where changes are written down; absent: nowhere
#include <dlfcn.h>
#include <fcntl.h>
#include <liburing.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <map>
#include <mutex>
#include <string>
#include <string_view>

namespace {

enum class op : std::uint8_t {
  open = 1,
  write,
  sync,
  preallocate,
  truncate,
  rename,
  remove,
  read,
  make_dir,
  sync_dir,
};

/// A call of this kind on a path that contains `path` (or ends with it, if `path` ends with '$')
/// fails with `error`, `count` times (-1: for ever), after `after` calls that were let through. A
/// count of 0 switches the rule off.
struct rule {
  std::uint32_t kind;
  std::int32_t error;
  std::atomic<std::int64_t> after;
  std::atomic<std::int64_t> count;
  char path[104];
};
static_assert(sizeof(rule) == 128);

struct page {
  std::atomic<std::int64_t> clock_offset_ns;
  std::atomic<std::uint64_t> position;
  std::atomic<std::uint64_t> failed;  // calls that were made to fail
  char unused[104];
  rule rules[8];
};

enum class phase : std::uint8_t { begin, done };

/// One entry of the log, before its path and its data. A sync of a size of 0 is one of all bytes.
struct entry {
  std::uint32_t path_bytes = 0;
  op kind = op::open;
  phase when = phase::begin;
  std::uint8_t is_zeros = 0;  // the data were zeros and are left out
  std::uint8_t is_new = 0;    // open: the file was made
  std::uint64_t position = 0;
  std::uint64_t file = 0;  // number of the inode
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
  std::uint64_t begun = 0;       // of `done`: where its `begin` is
  std::uint64_t data_bytes = 0;  // behind the path
};
static_assert(sizeof(entry) == 56);

/// A write or sync that the ring has, until its completion.
struct ring_call {
  entry begun;
  bool is_durable = false;  // a write that syncs
  int sync_failure = 0;     // what is said instead of its outcome
};

struct shim_state {
  page* shared = nullptr;
  int log = -1;
  std::string folder;
  std::mutex mutex;
  std::map<std::uint64_t, ring_call> in_ring;  // by user_data

  shim_state() {
    const char* where = std::getenv("WEIR_SHIM");
    const char* seen = std::getenv("WEIR_SHIM_FOLDER");
    if (!where || !seen) return;
    folder = seen;
    const int file = static_cast<int>(::syscall(SYS_openat, AT_FDCWD, where, O_RDWR | O_CLOEXEC));
    if (file < 0) return;
    void* memory = ::mmap(nullptr, sizeof(page), PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    ::syscall(SYS_close, file);
    if (memory == MAP_FAILED) return;
    shared = static_cast<page*>(memory);
    if (const char* name = std::getenv("WEIR_SHIM_LOG")) {
      log = static_cast<int>(
          ::syscall(SYS_openat, AT_FDCWD, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    }
  }
};

shim_state& state() {
  static shim_state* one = new shim_state;  // never destroyed: calls come until the very end
  return *one;
}

/// Made before the first thread: the guard of a static is not seen by ThreadSanitizer in this
/// library, which would take the first use on another thread for a race.
[[gnu::constructor]] void make_state() { state(); }

template <class F>
F* next(const char* name) {
  return reinterpret_cast<F*>(::dlsym(RTLD_NEXT, name));
}

std::string path_of(int handle) {
  char link[64];
  char path[PATH_MAX];
  std::snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
  const ssize_t size = ::readlink(link, path, sizeof path);
  return size < 0 ? std::string() : std::string(path, static_cast<std::size_t>(size));
}

bool is_seen(const std::string& path) {
  const std::string& folder = state().folder;
  return state().shared && path.compare(0, folder.size(), folder) == 0 &&
         (path.size() == folder.size() || path[folder.size()] == '/');
}

std::uint64_t number_of(int handle) {
  struct stat found;
  return ::fstat(handle, &found) == 0 ? found.st_ino : 0;
}

bool is_meant(std::string_view rule, std::string_view path) {
  if (!rule.ends_with('$')) return path.find(rule) != std::string_view::npos;
  rule.remove_suffix(1);
  return path.ends_with(rule);
}

/// What a rule says: 0 or an errno.
int failure_of(op kind, const std::string& path) {
  page* shared = state().shared;
  if (!shared) return 0;
  for (rule& one : shared->rules) {
    if (one.count.load() == 0 || one.kind != static_cast<std::uint32_t>(kind)) continue;
    if (!is_meant(one.path, path)) continue;
    if (one.after.load() > 0) {
      one.after.fetch_sub(1);
      continue;
    }
    if (one.count.load() > 0) one.count.fetch_sub(1);
    shared->failed.fetch_add(1);
    return one.error;
  }
  return 0;
}

bool are_zeros(const struct iovec* pieces, int count) {
  for (int i = 0; i < count; ++i) {
    const auto* at = static_cast<const char*>(pieces[i].iov_base);
    const std::size_t size = pieces[i].iov_len;
    if (size != 0 && (at[0] != 0 || std::memcmp(at, at + 1, size - 1) != 0)) return false;
  }
  return true;
}

/// Writes an entry down and gives its position.
std::uint64_t note(entry what, const std::string& path, const struct iovec* pieces, int count) {
  shim_state& my = state();
  if (my.log < 0) return 0;
  struct iovec parts[66];
  what.path_bytes = static_cast<std::uint32_t>(path.size());
  what.is_zeros = pieces && are_zeros(pieces, count) ? 1 : 0;
  what.data_bytes = what.is_zeros || !pieces ? 0 : what.size;
  parts[0] = {&what, sizeof what};
  parts[1] = {const_cast<char*>(path.data()), path.size()};
  int used = 2;
  for (int i = 0; what.data_bytes != 0 && i < count && used < 66; ++i) parts[used++] = pieces[i];
  const std::lock_guard guard(my.mutex);
  what.position = my.shared->position.load() + 1;
  if (::syscall(SYS_writev, my.log, parts, used) < 0) std::abort();
  my.shared->position.store(what.position);
  return what.position;
}

void note_done(entry begun, std::uint64_t at, const std::string& path) {
  begun.when = phase::done;
  begun.begun = at;
  note(begun, path, nullptr, 0);
}

/// What a durable write has synced when it returns.
void note_own_sync(const entry& write, std::size_t written) {
  if (written == 0) return;
  entry what{.kind = op::sync, .file = write.file, .offset = write.offset, .size = written};
  note_done(what, note(what, "", nullptr, 0), "");
}

/// The frame of every call on an open file: fail it, or write it down around the call.
template <class Call>
ssize_t around(op kind, int handle, off_t offset, std::size_t size, const struct iovec* pieces,
               int count, Call call) {
  const std::string path = state().shared ? path_of(handle) : std::string();
  if (!is_seen(path)) return call();
  if (const int failure = failure_of(kind, path)) {
    errno = failure;
    return -1;
  }
  entry what{.kind = kind,
             .file = number_of(handle),
             .offset = static_cast<std::uint64_t>(offset),
             .size = size};
  const std::uint64_t at = note(what, path, pieces, count);
  const ssize_t outcome = call();
  if (outcome >= 0 && kind != op::read) note_done(what, at, path);
  return outcome;
}

/// The same for calls on names.
template <class Call>
int around_name(op kind, const std::string& path, const std::string& to, Call call) {
  if (!is_seen(path)) return call();
  if (const int failure = failure_of(kind, path)) {
    errno = failure;
    return -1;
  }
  const struct iovec data{const_cast<char*>(to.data()), to.size()};
  entry what{.kind = kind, .size = to.size()};
  const std::uint64_t at = note(what, path, kind == op::rename ? &data : nullptr, 1);
  const int outcome = call();
  if (outcome == 0) note_done(what, at, path);
  return outcome;
}

template <class Call>
int open_seen(const std::string& path, int flags, Call call) {
  if (!is_seen(path)) return call();
  if (const int failure = failure_of(op::open, path)) {
    errno = failure;
    return -1;
  }
  const bool was_there = ::access(path.c_str(), F_OK) == 0;
  const int outcome = call();
  if (outcome < 0 || (flags & O_DIRECTORY) != 0) return outcome;
  entry what{.kind = op::open,
             .when = phase::done,
             .is_new = static_cast<std::uint8_t>(was_there ? 0 : 1),
             .file = number_of(outcome),
             .size = (flags & O_TRUNC) != 0 ? 1u : 0u};
  if (what.is_new != 0 || what.size != 0) note(what, path, nullptr, 0);
  return outcome;
}

std::size_t size_of(const struct iovec* pieces, int count) {
  std::size_t size = 0;
  for (int i = 0; i < count; ++i) size += pieces[i].iov_len;
  return size;
}

ssize_t real_fdatasync(int handle) {
  static auto* const real = next<int(int)>("fdatasync");
  return real(handle);
}

/// What a name in an open folder means; "" when nobody asks.
std::string whole(int folder, const char* path) {
  if (!state().shared) return "";
  return folder == AT_FDCWD || path[0] == '/' ? path : path_of(folder) + "/" + path;
}

bool is_folder(int handle) {
  struct stat found;
  return ::fstat(handle, &found) == 0 && S_ISDIR(found.st_mode);
}

}  // namespace

extern "C" {

int openat(int folder, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  static auto* const real = next<int(int, const char*, int, ...)>("openat");
  return open_seen(whole(folder, path), flags, [&] { return real(folder, path, flags, mode); });
}

int openat64(int folder, const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  return openat(folder, path, flags, mode);
}

int open(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  static auto* const real = next<int(const char*, int, ...)>("open");
  return open_seen(path, flags, [&] { return real(path, flags, mode); });
}

int open64(const char* path, int flags, ...) {
  va_list rest;
  va_start(rest, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(rest, mode_t) : 0;
  va_end(rest);
  static auto* const real = next<int(const char*, int, ...)>("open64");
  return open_seen(path, flags, [&] { return real(path, flags, mode); });
}

ssize_t pread(int handle, void* into, std::size_t size, off_t offset) {
  static auto* const real = next<ssize_t(int, void*, std::size_t, off_t)>("pread");
  const auto call = [&] { return real(handle, into, size, offset); };
  const std::string path = state().shared ? path_of(handle) : std::string();
  const int failure = is_seen(path) ? failure_of(op::read, path) : 0;
  if (failure == 0) return call();
  errno = failure;
  return -1;
}

ssize_t pread64(int handle, void* into, std::size_t size, off_t offset) {
  return pread(handle, into, size, offset);
}

ssize_t pwrite(int handle, const void* from, std::size_t size, off_t offset) {
  static auto* const real = next<ssize_t(int, const void*, std::size_t, off_t)>("pwrite");
  const struct iovec piece{const_cast<void*>(from), size};
  return around(op::write, handle, offset, size, &piece, 1,
                [&] { return real(handle, from, size, offset); });
}

ssize_t pwrite64(int handle, const void* from, std::size_t size, off_t offset) {
  return pwrite(handle, from, size, offset);
}

ssize_t pwritev(int handle, const struct iovec* pieces, int count, off_t offset) {
  static auto* const real = next<ssize_t(int, const struct iovec*, int, off_t)>("pwritev");
  return around(op::write, handle, offset, size_of(pieces, count), pieces, count,
                [&] { return real(handle, pieces, count, offset); });
}

ssize_t pwritev64(int handle, const struct iovec* pieces, int count, off_t offset) {
  return pwritev(handle, pieces, count, offset);
}

ssize_t pwritev2(int handle, const struct iovec* pieces, int count, off_t offset, int flags) {
  static auto* const real = next<ssize_t(int, const struct iovec*, int, off_t, int)>("pwritev2");
  if ((flags & RWF_DSYNC) == 0) {
    return around(op::write, handle, offset, size_of(pieces, count), pieces, count,
                  [&] { return real(handle, pieces, count, offset, flags); });
  }
  const std::string path = state().shared ? path_of(handle) : std::string();
  if (!is_seen(path)) return real(handle, pieces, count, offset, flags);
  const ssize_t written =
      around(op::write, handle, offset, size_of(pieces, count), pieces, count,
             [&] { return real(handle, pieces, count, offset, flags & ~RWF_DSYNC); });
  if (written < 0) return written;
  const auto size = static_cast<std::size_t>(written);
  if (around(op::sync, handle, offset, size, nullptr, 0, [&] { return real_fdatasync(handle); }) !=
      0)
    return -1;
  return written;
}

ssize_t pwritev64v2(int handle, const struct iovec* pieces, int count, off_t offset, int flags) {
  return pwritev2(handle, pieces, count, offset, flags);
}

int fsync(int handle) {
  static auto* const real = next<int(int)>("fsync");
  return static_cast<int>(around(is_folder(handle) ? op::sync_dir : op::sync, handle, 0, 0, nullptr,
                                 0, [&] { return ssize_t{real(handle)}; }));
}

int fdatasync(int handle) {
  return static_cast<int>(
      around(op::sync, handle, 0, 0, nullptr, 0, [&] { return real_fdatasync(handle); }));
}

int fallocate(int handle, int mode, off_t offset, off_t size) {
  static auto* const real = next<int(int, int, off_t, off_t)>("fallocate");
  return static_cast<int>(around(op::preallocate, handle, offset, static_cast<std::size_t>(size),
                                 nullptr, 0,
                                 [&] { return ssize_t{real(handle, mode, offset, size)}; }));
}

int fallocate64(int handle, int mode, off64_t offset, off64_t size) {
  return fallocate(handle, mode, offset, size);
}

int ftruncate(int handle, off_t size) noexcept {
  static auto* const real = next<int(int, off_t)>("ftruncate");
  return static_cast<int>(around(op::truncate, handle, size, 0, nullptr, 0,
                                 [&] { return ssize_t{real(handle, size)}; }));
}

int ftruncate64(int handle, off64_t size) noexcept { return ftruncate(handle, size); }

int renameat(int folder, const char* from, int to_folder, const char* to) noexcept {
  static auto* const real = next<int(int, const char*, int, const char*)>("renameat");
  return around_name(op::rename, whole(folder, from), whole(to_folder, to),
                     [&] { return real(folder, from, to_folder, to); });
}

int unlinkat(int folder, const char* path, int flags) noexcept {
  static auto* const real = next<int(int, const char*, int)>("unlinkat");
  const auto call = [&] { return real(folder, path, flags); };
  return (flags & AT_REMOVEDIR) != 0 ? call()
                                     : around_name(op::remove, whole(folder, path), "", call);
}

int mkdir(const char* path, mode_t mode) noexcept {
  static auto* const real = next<int(const char*, mode_t)>("mkdir");
  return around_name(op::make_dir, path, "", [&] { return real(path, mode); });
}

int clock_gettime(clockid_t clock, struct timespec* out) noexcept {
  const auto outcome = static_cast<int>(::syscall(SYS_clock_gettime, clock, out));
  page* shared = clock == CLOCK_REALTIME ? state().shared : nullptr;
  if (outcome != 0 || !shared) return outcome;
  const std::int64_t moved = std::int64_t{out->tv_sec} * 1'000'000'000 + out->tv_nsec +
                             shared->clock_offset_ns.load(std::memory_order_relaxed);
  out->tv_sec = moved / 1'000'000'000;
  out->tv_nsec = moved % 1'000'000'000;
  return 0;
}

}  // extern "C"

namespace {

/// An entry that is about to be handed to the kernel: written down, or turned into a failure.
void look_at(struct io_uring_sqe& sqe) {
  const bool is_write = sqe.opcode == IORING_OP_WRITEV || sqe.opcode == IORING_OP_WRITE;
  const bool is_read = sqe.opcode == IORING_OP_READV || sqe.opcode == IORING_OP_READ;
  if (!is_write && !is_read && sqe.opcode != IORING_OP_FSYNC) return;
  const std::string path = path_of(sqe.fd);
  if (!is_seen(path)) return;
  const op kind = is_write ? op::write : is_read ? op::read : op::sync;
  if (failure_of(kind, path) != 0) {
    sqe.opcode = 0xff;  // the kernel refuses it: an error at the right place, if another one
    return;
  }
  if (is_read) return;
  struct iovec single{reinterpret_cast<void*>(sqe.addr), sqe.len};
  const struct iovec* pieces = &single;
  int count = 1;
  if (sqe.opcode == IORING_OP_WRITEV) {
    pieces = reinterpret_cast<const struct iovec*>(sqe.addr);
    count = static_cast<int>(sqe.len);
  }
  const std::uint64_t offset = is_write ? std::uint64_t{sqe.off} : 0;
  entry what{.kind = kind, .file = number_of(sqe.fd), .offset = offset};
  if (is_write) what.size = size_of(pieces, count);
  what.begun = note(what, path, is_write ? pieces : nullptr, count);
  const bool is_durable = is_write && (sqe.rw_flags & RWF_DSYNC) != 0;
  const int sync_failure = is_durable ? failure_of(op::sync, path) : 0;
  if (sync_failure != 0) sqe.rw_flags &= ~RWF_DSYNC;
  state().in_ring[sqe.user_data] = {what, is_durable, sync_failure};
}

void look_at_submissions(struct io_uring& ring) {
  if (!state().shared) return;
  const unsigned mask = ring.sq.ring_mask;
  for (unsigned at = ring.sq.sqe_head; at != ring.sq.sqe_tail; ++at) {
    look_at(ring.sq.sqes[at & mask]);
  }
}

void look_at_completions(struct io_uring& ring) {
  shim_state& my = state();
  if (!my.shared || my.in_ring.empty()) return;
  const unsigned mask = ring.cq.ring_mask;
  const unsigned end = __atomic_load_n(ring.cq.ktail, __ATOMIC_ACQUIRE);
  for (unsigned at = *ring.cq.khead; at != end; ++at) {
    struct io_uring_cqe& cqe = ring.cq.cqes[at & mask];
    const auto found = my.in_ring.find(cqe.user_data);
    if (found == my.in_ring.end()) continue;
    const ring_call& call = found->second;
    if (cqe.res >= 0) {
      note_done(call.begun, call.begun.begun, "");
      if (call.sync_failure != 0) {
        cqe.res = -call.sync_failure;
      } else if (call.is_durable) {
        note_own_sync(call.begun, static_cast<std::size_t>(cqe.res));
      }
    }
    my.in_ring.erase(found);
  }
}

template <class Call>
int around_ring(struct io_uring* ring, Call call) {
  look_at_submissions(*ring);
  const int outcome = call();
  look_at_completions(*ring);
  return outcome;
}

}  // namespace

extern "C" {

int io_uring_submit(struct io_uring* ring) {
  static auto* const real = next<int(struct io_uring*)>("io_uring_submit");
  return around_ring(ring, [&] { return real(ring); });
}

int io_uring_submit_and_wait(struct io_uring* ring, unsigned count) {
  static auto* const real = next<int(struct io_uring*, unsigned)>("io_uring_submit_and_wait");
  return around_ring(ring, [&] { return real(ring, count); });
}

int io_uring_submit_and_wait_timeout(struct io_uring* ring, struct io_uring_cqe** first,
                                     unsigned count, struct __kernel_timespec* time,
                                     sigset_t* mask) {
  static auto* const real =
      next<int(struct io_uring*, struct io_uring_cqe**, unsigned, struct __kernel_timespec*,
               sigset_t*)>("io_uring_submit_and_wait_timeout");
  return around_ring(ring, [&] { return real(ring, first, count, time, mask); });
}

int io_uring_submit_and_get_events(struct io_uring* ring) {
  static auto* const real = next<int(struct io_uring*)>("io_uring_submit_and_get_events");
  return around_ring(ring, [&] { return real(ring); });
}

}  // extern "C"
