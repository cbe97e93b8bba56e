#include <weir/io/dir_watch.hpp>

#include <weir/base/error.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>

#include <fmt/format.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace weir {

namespace {

constexpr std::uint32_t wanted = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_DELETE |
                                 IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF |
                                 IN_ONLYDIR | IN_EXCL_UNLINK;

dir_change change_of(std::uint32_t mask) noexcept {
  if ((mask & IN_Q_OVERFLOW) != 0) return dir_change::lost;
  if ((mask & (IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED)) != 0)
    return dir_change::gone;
  if ((mask & (IN_CREATE | IN_MOVED_TO)) != 0) return dir_change::created;
  if ((mask & (IN_DELETE | IN_MOVED_FROM)) != 0) return dir_change::removed;
  return (mask & IN_CLOSE_WRITE) != 0 ? dir_change::written : dir_change::changed;
}

error watch_failure(int number, const std::string& path) {
  const char* advice = "";
  if (number == ENOSPC) {
    advice = ": this user has fs.inotify.max_user_watches watches";
    number = ENOBUFS;  // no disk is full
  } else if (number == EMFILE) {
    advice = ": this user has fs.inotify.max_user_instances watchers, or no descriptor is left";
  } else if (number == ENOTDIR) {
    return error(errc::invalid_argument, fmt::format("watch '{}': it is no folder", path));
  }
  return error::from_os(number, fmt::format("watch '{}'{}", path, advice));
}

}  // namespace

const char* name(dir_change what) noexcept {
  switch (what) {
    case dir_change::created:
      return "created";
    case dir_change::changed:
      return "changed";
    case dir_change::written:
      return "written";
    case dir_change::removed:
      return "removed";
    case dir_change::renamed:
      return "renamed";
    case dir_change::lost:
      return "lost";
    case dir_change::gone:
      return "gone";
  }
  return "unknown";
}

struct dir_watch::raw_event {
  std::uint32_t mask = 0;
  std::uint32_t cookie = 0;
  std::size_t size = 0;
  std::string_view name;
};

// The kernel gives whole events only, each with its name and zeros behind it.
bool dir_watch::take_raw(raw_event& out) {
  struct inotify_event head;
  if (unread_.size() < sizeof head) return false;
  std::memcpy(&head, unread_.data(), sizeof head);
  const char* text = unread_.data() + sizeof head;
  out = {.mask = head.mask,
         .cookie = head.cookie,
         .size = sizeof head + head.len,
         .name = std::string_view(text, ::strnlen(text, head.len))};
  return true;
}

dir_event dir_watch::moved_away() { return *std::exchange(half_, std::nullopt); }

// The next event of what has been read; nothing when more has to be read first. An event that ends
// the wait for the other half of a rename is left for the next call.
std::optional<dir_event> dir_watch::take_event() {
  raw_event raw;
  while (take_raw(raw)) {
    const bool is_other_half = half_ && (raw.mask & IN_MOVED_TO) != 0 && raw.cookie == half_cookie_;
    if (half_ && !is_other_half) return moved_away();
    dir_event one{.what = change_of(raw.mask),
                  .name = std::string(raw.name),
                  .is_directory = (raw.mask & IN_ISDIR) != 0};
    unread_ = unread_.slice(raw.size);
    if (is_other_half) {
      one.what = dir_change::renamed;
      one.old_name = moved_away().name;
      return one;
    }
    if ((raw.mask & IN_MOVED_FROM) != 0) {
      half_ = std::move(one);
      half_cookie_ = raw.cookie;
      continue;
    }
    is_gone_ = one.what == dir_change::gone;
    return one;
  }
  return std::nullopt;
}

task<dir_event> dir_watch::next() {
  if (is_gone_) raise(error(errc::closed, "the watched folder is gone"));
  for (;;) {
    if (std::optional<dir_event> one = take_event()) co_return std::move(*one);
    if (!half_) {
      unread_ = co_await detail::receive_wait(from_.handle());
      continue;
    }
    result<bytes> more =
        co_await as_result(with_timeout(pair_wait, detail::receive_wait(from_.handle())));
    if (more) {
      unread_ = std::move(*more);  // kept also when we end here
    } else if (more.error().code() == errc::timed_out) {
      co_return moved_away();
    }
    co_await checkpoint();
    if (!more) raise(more.error());
  }
}

dir_watch watch_dir(const std::string& path) {
  if (path.find('\0') != path.npos)
    raise(error(errc::invalid_argument,
                fmt::format("watch '{}': a zero byte follows", path.c_str())));
  driver& io = loop::current()->io();
  if (!io.has_descriptors()) {
    raise(error(errc::unsupported,
                fmt::format("watch '{}': the driver '{}' can't", path, io.name())));
  }
  const int made = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (made < 0) raise(watch_failure(errno, path));
  int failure = 0;
  if (::inotify_add_watch(made, path.c_str(), wanted) < 0) failure = errno;
  if (failure == 0) failure = -io.adopt_stream(made);
  if (failure != 0) {
    ::close(made);
    raise(watch_failure(failure, path));
  }
  return dir_watch(io, made);
}

}  // namespace weir
