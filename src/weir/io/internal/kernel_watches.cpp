#include <weir/io/internal/kernel_watches.hpp>

#include <dirent.h>
#include <fcntl.h>
#include <sys/inotify.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace weir::detail {

namespace {

struct open_folder {
  DIR* stream = nullptr;

  explicit open_folder(const char* path) noexcept {
    const int number = ::open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
    if (number < 0) return;
    stream = ::fdopendir(number);
    if (!stream) ::close(number);
  }
  open_folder(const open_folder&) = delete;
  open_folder& operator=(const open_folder&) = delete;
  ~open_folder() {
    if (stream) ::closedir(stream);
  }

  /// The next entry but . and .. ; null at the end.
  const dirent* next() noexcept {
    while (const dirent* entry = ::readdir(stream)) {
      if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0)
        return entry;
    }
    return nullptr;
  }
  bool is_folder(const dirent& entry) noexcept {
    if (entry.d_type != DT_UNKNOWN) return entry.d_type == DT_DIR;
    struct stat found;
    return ::fstatat(::dirfd(stream), entry.d_name, &found, AT_SYMLINK_NOFOLLOW) == 0 &&
           S_ISDIR(found.st_mode);
  }
};

class kernel_watch_host final : public watch_host {
 public:
  io_handle make_watcher() noexcept override {
    const int made = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    return made >= 0 ? made : -errno;
  }
  int watch(io_handle watcher, const char* path, std::uint32_t mask) noexcept override {
    const int number = ::inotify_add_watch(watcher, path, mask);
    return number >= 0 ? number : -errno;
  }
  void unwatch(io_handle watcher, int number) noexcept override {
    ::inotify_rm_watch(watcher, number);
  }
  std::size_t unread_of(io_handle watcher) noexcept override {
    int queued = 0;
    ::ioctl(watcher, FIONREAD, &queued);
    return static_cast<std::size_t>(queued);
  }
  io_handle keep(io_handle watcher) noexcept override {
    const int made = ::fcntl(watcher, F_DUPFD_CLOEXEC, 0);
    return made >= 0 ? made : -errno;
  }
  void drop(io_handle kept) noexcept override { ::close(kept); }
  int list_folder(const char* path, void (*visit)(void*, const char*, bool),
                  void* context) override {
    open_folder from(path);
    if (!from.stream) return -errno;
    while (const dirent* entry = from.next()) visit(context, entry->d_name, from.is_folder(*entry));
    return 0;
  }
};

}  // namespace

watch_host& kernel_watches() noexcept {
  static constinit kernel_watch_host of_the_process;
  return of_the_process;
}

}  // namespace weir::detail
