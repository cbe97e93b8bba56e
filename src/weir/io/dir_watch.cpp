#include <weir/io/dir_watch.hpp>

#include <weir/base/error.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/io/blocking.hpp>
#include <weir/io/internal/watched_tree.hpp>
#include <weir/io/internal/zero_byte.hpp>
#include <weir/io/watch_host.hpp>

#include <fmt/format.h>
#include <sys/inotify.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <string_view>
#include <utility>

namespace weir {

namespace {

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
    case dir_change::unwatched:
      return "unwatched";
  }
  return "unknown";
}

// The kernel gives whole events only, each with its name and zeros behind it.
bool dir_watch::take_raw(detail::watch_event& out) const {
  struct inotify_event head;
  if (unread_.size() < sizeof head) return false;
  std::memcpy(&head, unread_.data(), sizeof head);
  const char* text = unread_.data() + sizeof head;
  out = {.folder = head.wd,
         .mask = head.mask,
         .cookie = head.cookie,
         .size = sizeof head + head.len,
         .name = std::string_view(text, ::strnlen(text, head.len))};
  return true;
}

dir_event dir_watch::moved_away() {
  const first_half half = *std::exchange(half_, std::nullopt);
  if (tree_ && half.event.is_directory) tree_->forget(half.folder, half.entry);
  return half.event;
}

// The next event of what has been read; nothing when more has to be read first. An event that ends
// the wait for the other half of a rename is left for the next call.
std::optional<dir_event> dir_watch::take_event() {
  if (half_ && half_->is_alone) return moved_away();
  detail::watch_event raw;
  while (take_raw(raw)) {
    const bool is_other_half =
        half_ && (raw.mask & IN_MOVED_TO) != 0 && raw.cookie == half_->cookie;
    if (half_ && !is_other_half) return moved_away();
    dir_event one{.what = change_of(raw.mask),
                  .name = std::string(raw.name),
                  .is_directory = (raw.mask & IN_ISDIR) != 0};
    std::string entry = one.name;
    const bool is_told = !tree_ || tree_->hear(raw, one);
    unread_ = unread_.slice(raw.size);
    if (!is_told) continue;
    if (is_other_half) {
      const first_half half = *std::exchange(half_, std::nullopt);
      if (tree_ && one.is_directory) tree_->move(half.folder, half.entry, raw.folder, entry);
      one.what = dir_change::renamed;
      one.old_name = half.event.name;
      return one;
    }
    if ((raw.mask & IN_MOVED_FROM) == 0) return one;
    half_ = {.event = std::move(one),
             .cookie = raw.cookie,
             .folder = raw.folder,
             .entry = std::move(entry)};
  }
  return std::nullopt;
}

// What has been read is kept also when the task ends at once.
task<> dir_watch::read_more() {
  if (!half_) {
    unread_ = co_await detail::receive_wait(from_.handle());
    co_return;
  }
  result<bytes> more =
      co_await as_result(with_timeout(pair_wait, detail::receive_wait(from_.handle())));
  const bool is_alone = !more && more.error().code() == errc::timed_out;
  if (more) unread_ = std::move(*more);
  half_->is_alone = is_alone;
  co_await checkpoint();
  if (!more && !is_alone) raise(more.error());
}

task<dir_event> dir_watch::next() {
  if (is_gone_) raise(error(errc::closed, "the watched folder is gone"));
  for (;;) {
    if (from_.handle_here() < 0) raise(error(errc::closed, "the watch was closed"));
    std::optional<dir_event> one;
    if (const std::shared_ptr<detail::watched_tree> tree = tree_) {
      while (tree->has_to_look()) {
        const std::size_t unread = unread_.size();
        co_await blocking([tree, unread] { tree->look_around(unread); });
      }
      if (!tree_) continue;
      one = tree->next_told();
      if (!one) {
        if (std::optional<dir_event> heard = take_event()) {
          tree->tell(std::move(*heard));
          continue;
        }
        if (!half_ && tree->is_gone()) one = {.what = dir_change::gone};
      }
    } else {
      one = take_event();
    }
    if (one) {
      is_gone_ = one->what == dir_change::gone;
      co_return std::move(*one);
    }
    co_await read_more();
  }
}

dir_watch watch_dir(const std::string& path) {
  if (detail::has_zero(path)) raise(detail::zero_byte("watch", path));
  driver& io = loop::current()->io();
  watch_host* const host = io.watches();
  if (!host) {
    raise(error(errc::unsupported,
                fmt::format("watch '{}': the driver '{}' can't", path, io.name())));
  }
  const io_handle made = host->make_watcher();
  if (made < 0) raise(watch_failure(-made, path));
  int outcome = io.adopt_stream(made);
  if (outcome == 0) outcome = host->watch(made, path.c_str(), detail::watch_mask);
  if (outcome < 0) {
    io.close_now(made);
    raise(watch_failure(-outcome, path));
  }
  return dir_watch(io, made);
}

task<dir_watch> watch_tree(std::string path, tree_options options) {
  dir_watch made = watch_dir(path);
  driver& io = loop::current()->io();
  // A virtual machine's programs have no other folder than "/" to be in.
  const std::string root = io.has_descriptors() ? std::filesystem::absolute(path).string() : path;
  made.tree_ = std::make_shared<detail::watched_tree>(*io.watches(), made.from_.handle(), root,
                                                      options.folders_max);
  const std::shared_ptr<detail::watched_tree> tree = made.tree_;
  while (tree->has_to_look()) {
    co_await blocking([tree] { tree->look_around(0); });
    if (tree->list_failure() != 0) raise(watch_failure(tree->list_failure(), path));
    if (!tree->was_full()) continue;
    raise(
        error(errc::full, fmt::format("watch '{}': it has more than {} folders, or this user more "
                                      "than fs.inotify.max_user_watches",
                                      path, options.folders_max)));
  }
  co_return made;
}

}  // namespace weir
