#include <weir/io/internal/watched_tree.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/error.hpp>

#include <cerrno>
#include <exception>
#include <utility>
#include <vector>

namespace weir::detail {

// A change of the books. One that finds no memory leaves them broken, and the next makes them anew
// before it begins.
class watched_tree::change {
 public:
  explicit change(watched_tree& of) : of_(of), failures_before_(std::uncaught_exceptions()) {
    if (!of_.is_broken_) return;
    of_.start_over();
    of_.told_.push_back({.what = dir_change::lost});
    of_.is_broken_ = false;
  }
  change(const change&) = delete;
  change& operator=(const change&) = delete;
  ~change() {
    if (std::uncaught_exceptions() > failures_before_) of_.is_broken_ = true;
  }

 private:
  watched_tree& of_;
  const int failures_before_;
};

watched_tree::watched_tree(watch_host& host, io_handle watcher, std::string root,
                           std::size_t folders_max)
    : host_(host),
      watcher_(host.keep(watcher)),
      root_path_(std::move(root)),
      folders_max_(folders_max) {
  if (watcher_ < 0) raise(error::from_os(-watcher_, "watch a tree"));
  root_ = watch(root_path_, 0);
  if (root_ < 0) {
    host_.drop(watcher_);
    raise(error::from_os(-root_, "watch a tree"));
  }
  try {
    start_over();
  } catch (...) {
    host_.drop(watcher_);
    throw;
  }
}

watched_tree::~watched_tree() { host_.drop(watcher_); }

int watched_tree::watch(const std::string& path, std::uint32_t extra) const noexcept {
  return host_.watch(watcher_, path.c_str(), watch_mask | extra);
}

// What was known may be wrong: all of it is looked at again, silently. Watches that stand keep
// their numbers.
void watched_tree::start_over() {
  for (const auto& [number, one] : folders_) stale_.insert(number);
  stale_.erase(root_);
  folders_.clear();
  folders_.emplace(root_, folder{});
  was_full_ = false;
  list_failure_ = 0;
  to_look_.clear();
  to_look_.push_back({.parent = root_, .is_silent = true});
}

void watched_tree::tell(dir_event one) {
  const change begun(*this);
  told_.push_back(std::move(one));
}

bool watched_tree::hear(const watch_event& raw, dir_event& one) {
  const change begun(*this);
  heard_bytes_ += raw.size;
  if ((raw.mask & IN_Q_OVERFLOW) != 0) {
    start_over();
    return true;
  }
  if (!folders_.contains(raw.folder)) return false;
  constexpr std::uint32_t of_itself = IN_DELETE_SELF | IN_MOVE_SELF | IN_UNMOUNT | IN_IGNORED;
  if ((raw.mask & of_itself) != 0) return hear_self(raw.folder, raw.mask, one);
  if ((raw.mask & (IN_DELETE | IN_MOVED_FROM)) != 0) {
    auto& missed = folders_.at(raw.folder).missed;
    if (const auto gone = missed.find(raw.name); gone != missed.end()) missed.erase(gone);
  }
  if (is_told_already(raw.folder, raw)) return false;
  one.name = path_of(raw.folder, raw.name);
  if (one.is_directory && (raw.mask & (IN_CREATE | IN_MOVED_TO)) != 0)
    to_look_.push_back({.parent = raw.folder, .name = std::string(raw.name)});
  return true;
}

// Of a folder below the root its parent's events tell, but not when another file system goes.
bool watched_tree::hear_self(int number, std::uint32_t mask, dir_event& one) {
  if (number == root_) return true;
  if ((mask & IN_IGNORED) != 0) {
    drop(number);
    return false;
  }
  if ((mask & IN_UNMOUNT) == 0) return false;
  one.what = dir_change::lost;
  one.name = path_of(number);
  return true;
}

bool watched_tree::is_told_already(int number, const watch_event& raw) {
  folder& in = folders_.at(number);
  if (in.found.empty()) return false;
  if (heard_bytes_ > in.found_until) {
    in.found.clear();
    return false;
  }
  const auto found = in.found.find(raw.name);
  if (found == in.found.end()) return false;
  constexpr std::uint32_t ends = IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO;
  if ((raw.mask & ends) != 0) in.found.erase(found);
  return (raw.mask & IN_CREATE) != 0;  // (2)
}

std::optional<dir_event> watched_tree::next_told() {
  if (told_.empty()) return std::nullopt;
  dir_event one = std::move(told_.front());
  told_.pop_front();
  return one;
}

std::string watched_tree::path_of(int number) const {
  std::vector<const std::string*> names;
  for (; number != root_; number = folders_.at(number).parent)
    names.push_back(&folders_.at(number).name);
  std::string path;
  for (; !names.empty(); names.pop_back()) {
    if (!path.empty()) path += '/';
    path += *names.back();
  }
  return path;
}

std::string watched_tree::path_of(int parent, std::string_view name) const {
  std::string path = path_of(parent);
  if (!path.empty()) path += '/';
  return path += name;
}

bool watched_tree::is_below(int number, int other) const {
  for (; number != -1; number = folders_.at(number).parent) {
    if (number == other) return true;
  }
  return false;
}

void watched_tree::attach(int number, int parent, const std::string& name) {
  const auto before = folders_.at(parent).children.find(name);
  if (before != folders_.at(parent).children.end()) drop(before->second);
  folder& one = folders_[number];
  one.parent = parent;
  one.name = name;
  folders_.at(parent).children[name] = number;  // (1)
}

void watched_tree::detach(int number) {
  const folder& one = folders_.at(number);
  folder& parent = folders_.at(one.parent);
  const auto place = parent.children.find(one.name);
  WEIR_ASSERT(place != parent.children.end() && place->second == number);  // (1)
  parent.children.erase(place);
}

// A known folder has another place: what was missed in it and below it is looked at again.
void watched_tree::put(int number, int parent, const std::string& name) {
  detach(number);
  attach(number, parent, name);
  std::vector<int> below{number};
  while (!below.empty()) {
    const int next = below.back();
    below.pop_back();
    folder& one = folders_.at(next);
    for (const auto& [entry, is_silent] : one.missed)
      to_look_.push_back({.parent = next, .name = entry, .is_silent = is_silent});
    one.missed.clear();
    for (const auto& [entry, child] : one.children) below.push_back(child);
  }
}

void watched_tree::miss(const look& place) {
  folders_.at(place.parent).missed.insert_or_assign(place.name, place.is_silent);  // (3)
}

void watched_tree::drop(int number) {
  detach(number);
  std::vector<int> gone{number};
  while (!gone.empty()) {
    const auto one = folders_.find(gone.back());
    gone.pop_back();
    for (const auto& [name, child] : one->second.children) gone.push_back(child);
    host_.unwatch(watcher_, one->first);
    folders_.erase(one);
  }
}

void watched_tree::forget(int folder, const std::string& name) {
  const change begun(*this);
  const auto in = folders_.find(folder);
  if (in == folders_.end()) return;
  const auto child = in->second.children.find(name);
  if (child != in->second.children.end()) drop(child->second);
}

void watched_tree::move(int from, const std::string& old_name, int to, const std::string& name) {
  const change begun(*this);
  const auto source = folders_.find(from);
  if (source == folders_.end() || !folders_.contains(to)) return;
  const auto child = source->second.children.find(old_name);
  if (child == source->second.children.end()) return;  // it is found at its new place
  const int number = child->second;
  if (is_below(to, number)) {
    start_over();
    return tell({.what = dir_change::lost});
  }
  put(number, to, name);
  to_look_.push_back({.parent = from, .name = old_name});  // another may be there by now
}

void watched_tree::look_around(std::size_t unread) {
  const change begun(*this);
  unread_ = unread;
  for (std::size_t i = 0; i < looks_at_once && has_to_look(); ++i) {
    const look place = std::move(to_look_.front());
    to_look_.pop_front();
    look_at(place);
  }
  if (!to_look_.empty()) return;
  for (const int number : stale_) host_.unwatch(watcher_, number);
  stale_.clear();
}

void watched_tree::look_at(const look& place) {
  if (!folders_.contains(place.parent)) return;  // its event tells, or has told
  if (place.name.empty()) return list(place.parent, place.is_silent);
  const std::string path = path_of(place.parent, place.name);
  const int number = watch(root_path_ + '/' + path, IN_DONT_FOLLOW);
  // What is asked afterwards: another folder may be there by now, or a link to one.
  const int elsewhere = why_not_in_place(place.parent);
  if (number == -ENOENT || elsewhere != 0) {
    miss(place);
    if (number >= 0 && !folders_.contains(number) && !stale_.contains(number))
      host_.unwatch(watcher_, number);
    return tell_failure(path, elsewhere != 0 ? elsewhere : ENOENT);
  }
  if (number < 0) return tell_failure(path, -number);
  stale_.erase(number);
  const auto known = folders_.find(number);
  if (known == folders_.end()) {
    if (folders_.size() >= folders_max_) {
      host_.unwatch(watcher_, number);
      return tell_failure(path, ENOSPC);
    }
    attach(number, place.parent, place.name);
    return list(number, place.is_silent);
  }
  if (known->second.parent == place.parent && known->second.name == place.name) return;
  if (!is_below(place.parent, number))  // it has moved since; that event is to come
    return put(number, place.parent, place.name);
  // A folder below itself: what we know is wrong. When we have just looked, it is mounted there.
  if (place.is_silent) return;
  start_over();
  tell({.what = dir_change::lost});
}

// The entries of one folder, as they are read. That it is the one that the books mean is asked once
// it is open, before the first of them counts.
struct watched_tree::listing {
  watched_tree& of;
  int number;
  bool is_silent;
  std::string path = of.path_of(number);
  std::optional<int> elsewhere = {};  // as why_not_in_place()
  bool has_room = true;
  bool is_cut = false;

  bool is_in_place() {
    if (!elsewhere) elsewhere = of.why_not_in_place(number);
    return *elsewhere == 0;
  }
  void add(const char* name, bool is_directory) {
    if (!is_in_place()) return;
    if (is_directory && (of.folders_.size() + of.to_look_.size()) / 2 >= of.folders_max_) {
      if (!std::exchange(is_cut, true)) of.tell_failure(path, ENOSPC);
    } else if (is_directory) {
      of.to_look_.push_back({.parent = number, .name = name, .is_silent = is_silent});
    }
    if (is_silent || !has_room) return;
    has_room = of.told_.size() < told_max;
    if (!has_room) return of.tell({.what = dir_change::lost, .name = path});
    of.folders_.at(number).found.insert(name);
    of.tell({.what = dir_change::created,
             .name = of.path_of(number, name),
             .is_directory = is_directory,
             .is_found = true});
  }
};

void watched_tree::list(int number, bool is_silent) {
  listing all{.of = *this, .number = number, .is_silent = is_silent};
  const auto add = [](void* to, const char* name, bool is_directory) {
    static_cast<listing*>(to)->add(name, is_directory);
  };
  // The root may be a link: its path ends with a slash.
  const int failure = -host_.list_folder((root_path_ + '/' + all.path).c_str(), add, &all);
  if (!all.is_in_place() || failure == ENOENT) {
    miss({.parent = number, .is_silent = is_silent});
    return tell_failure(all.path, all.is_in_place() ? ENOENT : *all.elsewhere);
  }
  if (failure == EMFILE || failure == ENFILE || failure == ENOMEM) {
    list_failure_ = failure;
    tell({.what = dir_change::lost, .name = all.path});
  }
  if (failure != 0) return tell_failure(all.path, failure);
  folder& in = folders_.at(number);
  in.found_until = end_of_events();
  if (in.found_until == heard_bytes_) in.found.clear();  // no event of before is to come
}

// Where the stream of events will be when all is heard that has happened by now.
std::uint64_t watched_tree::end_of_events() const noexcept {
  return heard_bytes_ + unread_ + host_.unread_of(watcher_);
}

// 0: a known folder is where it is said to be; ENOENT: it is not; or why that can't be asked. Of
// another folder there only a watch that was not there before is removed.
int watched_tree::why_not_in_place(int number) const {
  const int found = number == root_ ? watch(root_path_, 0)
                                    : watch(root_path_ + '/' + path_of(number), IN_DONT_FOLLOW);
  if (found == number) return 0;
  if (found < 0 && found != -ENOSPC) return -found;
  if (found >= 0 && !folders_.contains(found) && !stale_.contains(found))
    host_.unwatch(watcher_, found);
  return ENOENT;
}

void watched_tree::tell_failure(const std::string& path, int number) {
  if (number == ENOENT || number == ENOTDIR || number == ELOOP) {
    // Gone again, or a link now. When a folder above the root was renamed, no event says so.
    if (gone_at_ == UINT64_MAX && why_not_in_place(root_) != 0) gone_at_ = end_of_events();  // (4)
    return;
  }
  if (number == ENOSPC) was_full_ = true;
  tell({.what = dir_change::unwatched, .name = path, .is_directory = true});
}

}  // namespace weir::detail
