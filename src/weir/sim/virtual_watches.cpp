#include <weir/sim/virtual_watches.hpp>

#include <weir/sim/internal/network_endpoint.hpp>
#include <weir/sim/internal/one_at_a_time.hpp>
#include <weir/sim/virtual_network.hpp>

#include <errno.h>
#include <poll.h>
#include <sys/inotify.h>

#include <algorithm>
#include <deque>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weir {

using namespace detail;

namespace {

struct watch_entry {
  std::uint64_t of = 0;  // the number of a file or folder
  std::uint32_t mask = 0;
};

struct queued_event {
  int number = -1;
  std::uint32_t mask = 0;
  std::uint32_t cookie = 0;
  std::string name = {};

  bool is_like(const queued_event& other) const noexcept {
    return number == other.number && mask == other.mask && name == other.name;
  }
  /// A name has zeros behind it, up to where another head may begin.
  std::size_t name_size() const noexcept {
    constexpr std::size_t unit = sizeof(struct inotify_event);
    return name.empty() ? 0 : (name.size() + unit) / unit * unit;
  }
  std::size_t size() const noexcept { return sizeof(struct inotify_event) + name_size(); }
  void put(std::string& into) const {
    struct inotify_event head = {};
    head.wd = number;
    head.mask = mask;
    head.cookie = cookie;
    head.len = static_cast<std::uint32_t>(name_size());
    into.append(reinterpret_cast<const char*>(&head), sizeof head);
    into.append(name);
    into.append(name_size() - name.size(), '\0');
  }
};

}  // namespace

struct virtual_watches::watcher {
  int last_number = 0;
  std::map<int, watch_entry> watches = {};
  std::unordered_map<std::uint64_t, int> numbers = {};  // of what is watched
  std::deque<queued_event> events = {};
  std::vector<io_request*> waiting = {};

  bool has_overflown = false;  // and that is still to be received

  void put(queued_event one) {
    if (events.size() >= events_max) {
      if (!std::exchange(has_overflown, true)) events.push_back({.mask = IN_Q_OVERFLOW});
      return;
    }
    const bool is_end = (one.mask & IN_IGNORED) != 0;
    if (!is_end && !events.empty() && events.back().is_like(one)) return;
    events.push_back(std::move(one));
  }
  /// False: there is no such watch.
  bool forget(int number) {
    const auto found = watches.find(number);
    if (found == watches.end()) return false;
    numbers.erase(found->second.of);
    watches.erase(found);
    put({.number = number, .mask = IN_IGNORED});
    return true;
  }
};

virtual_watches::virtual_watches(network_host& host, virtual_disk& disk) noexcept
    : host_(host), disk_(disk) {}
virtual_watches::~virtual_watches() = default;

virtual_watches::watcher* virtual_watches::at(io_handle handle) const {
  const auto found = watchers_.find(handle);
  return found == watchers_.end() ? nullptr : found->second.get();
}

io_handle virtual_watches::make_watcher() {
  if (!host_.has_room()) return -EMFILE;
  const io_handle handle = host_.new_handle();
  watchers_[handle] = std::make_unique<watcher>();
  disk_.listen(this);
  return handle;
}

int virtual_watches::watch(io_handle handle, const char* path, std::uint32_t mask) {
  watcher* const w = at(handle);
  if (!w) return -EBADF;
  file_status found;
  if (const int error = disk_.status_of(path, found); error != 0) return error;
  if ((mask & IN_ONLYDIR) != 0 && !found.is_directory) return -ENOTDIR;
  if (const auto known = w->numbers.find(found.inode); known != w->numbers.end()) {
    w->watches.at(known->second).mask = mask;
    return known->second;
  }
  if (watches_ >= watches_max) return -ENOSPC;
  ++watches_;
  const int number = ++w->last_number;
  w->watches[number] = {.of = found.inode, .mask = mask};
  w->numbers[found.inode] = number;
  return number;
}

int virtual_watches::unwatch(io_handle handle, int number) {
  watcher* const w = at(handle);
  if (!w) return -EBADF;
  if (!w->forget(number)) return -EINVAL;
  --watches_;
  retry(*w);
  return 0;
}

std::size_t virtual_watches::unread_of(io_handle handle) const {
  const watcher* const w = at(handle);
  std::size_t all = 0;
  if (w) {
    for (const queued_event& one : w->events) all += one.size();
  }
  return all;
}

// What is gone is watched no more, and that is told to all, whatever they have asked for.
void virtual_watches::heard(std::uint64_t of, std::uint32_t what, std::string_view name,
                            std::uint32_t cookie) {
  for (auto& [handle, w] : watchers_) {
    const auto found = w->numbers.find(of);
    if (found == w->numbers.end()) continue;
    const int number = found->second;
    if ((w->watches.at(number).mask & what & IN_ALL_EVENTS) != 0)
      w->put({.number = number, .mask = what, .cookie = cookie, .name = std::string(name)});
    if ((what & IN_DELETE_SELF) != 0 && w->forget(number)) --watches_;
    retry(*w);
  }
}

bool virtual_watches::start(io_request& request) {
  return start_at(at(request.handle), request,
                  [this](watcher& w, io_request& one) { return attempt(w, one); });
}

bool virtual_watches::cancel(io_request& request) { return cancel_at(at(request.handle), request); }

std::int64_t virtual_watches::attempt(watcher& w, io_request& request) {
  switch (request.op) {
    case io_op::receive:
      return receive(w, request);
    case io_op::poll:
      return w.events.empty() || (request.flags & POLLIN) == 0 ? would_block : POLLIN;
    default:
      return -EINVAL;
  }
}

// Whole events only: fewer of them where a transfer is short.
std::int64_t virtual_watches::receive(watcher& w, io_request& request) {
  if (w.events.empty()) return would_block;
  std::size_t count = 0;
  for (std::size_t bytes_now = 0; count < w.events.size(); ++count) {
    bytes_now += w.events[count].size();
    if (bytes_now > receive_max) break;
  }
  std::string taken;
  for (count = host_.part_of(count); count > 0; --count) {
    if (w.events.front().mask == IN_Q_OVERFLOW) w.has_overflown = false;
    w.events.front().put(taken);
    w.events.pop_front();
  }
  request.received = bytes::copy_of(taken);
  return static_cast<std::int64_t>(taken.size());
}

void virtual_watches::retry(watcher& w) {
  for (io_request* request : std::exchange(w.waiting, {})) {
    request->outcome = attempt(w, *request);
    if (request->outcome == would_block) {
      w.waiting.push_back(request);
    } else {
      host_.finished(*request);
    }
  }
}

int virtual_watches::close(io_handle handle) {
  const auto found = watchers_.find(handle);
  if (found == watchers_.end()) return -EBADF;
  const std::unique_ptr<watcher> gone = std::move(found->second);
  watchers_.erase(found);
  watches_ -= gone->watches.size();
  if (watchers_.empty()) disk_.listen(nullptr);
  for (io_request* request : gone->waiting) {
    request->outcome = -ECANCELED;
    host_.finished(*request);
  }
  return 0;
}

void virtual_watches::crash() {
  const auto gone = std::exchange(watchers_, {});
  watches_ = 0;
  disk_.listen(nullptr);
  for (const auto& [handle, w] : gone) {
    for (io_request* request : w->waiting) {
      request->outcome = -EIO;
      host_.finished(*request);
    }
  }
}

void virtual_watches::name_open(std::map<io_handle, std::string>& into) const {
  for (const auto& [handle, w] : watchers_) into[handle] = "a watch of folders";
}

}  // namespace weir
