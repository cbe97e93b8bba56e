#include <weir/sim/virtual_disk.hpp>

#include <weir/base/assert.hpp>
#include <weir/io/detail/file_offset.hpp>
#include <weir/sim/internal/disk_node.hpp>

#include <errno.h>
#include <fcntl.h>
#include <sys/inotify.h>

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

namespace weir {

using namespace detail;

namespace {
// A sector is the least that goes to the disk and back without a kernel's memory between.
bool is_of_parts(std::uint64_t offset, std::size_t size) noexcept {
  return (offset | size) % virtual_disk::sector_size != 0;
}

// "." or ".." when a path ends so: such a name can't be removed or given away.
std::string_view dots_at_end(std::string_view path) noexcept {
  while (path.ends_with('/')) path.remove_suffix(1);
  const std::size_t slash = path.rfind('/');
  const std::string_view last = path.substr(slash == std::string_view::npos ? 0 : slash + 1);
  return last == "." || last == ".." ? last : std::string_view();
}
}  // namespace

virtual_disk::virtual_disk(const virtual_clock& clock, choice_stream random)
    : clock_(clock), random_(random), used_(std::make_shared<std::uint64_t>(0)) {
  root_ = make_node(kind_folder);
  const node_ref made = make_node(kind_folder);
  made->parent = root_.get();
  root_->entries["tmp"] = made;
}
virtual_disk::~virtual_disk() = default;

virtual_disk::node_ref virtual_disk::make_node(int kind) {
  auto made = std::make_shared<node>();
  made->kind = kind;
  made->id = ++nodes_made_;
  made->used = used_;
  made->modified_wall_ns = clock_.wall_now().ns;
  return made;
}

virtual_disk::place virtual_disk::find(const char* path, io_handle in) const {
  const std::string_view whole = path ? path : "";
  node_ref begin = root_;
  if (in >= 0 && !whole.starts_with('/')) {
    const auto found = open_.find(in);
    if (found == open_.end()) return {.error = -EBADF};
    begin = found->second.file;
    if (begin->kind != kind_folder) return {.error = -ENOTDIR};
    if (is_removed(*begin)) return {.error = -ENOENT};
  }
  if (whole.empty()) return {.error = -ENOENT};
  if (whole.size() >= path_max) return {.error = -ENAMETOOLONG};
  std::vector<node_ref> above;  // for ".."
  place at{.folder = begin, .found = begin};
  for (std::size_t from = 0; from < whole.size();) {
    const std::size_t slash = std::min(whole.find('/', from), whole.size());
    const std::string_view part = whole.substr(from, slash - from);
    from = slash + 1;
    if (part.empty()) continue;
    if (part.size() > name_max) return {.error = -ENAMETOOLONG};
    if (!at.found) return {.error = -ENOENT};
    if (at.found->kind != kind_folder) return {.error = -ENOTDIR};
    if (part == ".") continue;
    if (part == "..") {
      at.found = above.empty() ? root_ : above.back();
      if (!above.empty()) above.pop_back();
      at.folder = at.found;
      at.name.clear();
      continue;
    }
    above.push_back(at.found);
    at.folder = at.found;
    at.name = part;
    const auto found = at.folder->entries.find(at.name);
    at.found = found == at.folder->entries.end() ? nullptr : found->second;
  }
  if (whole.back() == '/' && at.found && at.found->kind != kind_folder) return {.error = -ENOTDIR};
  return at;
}

void virtual_disk::set_entry(entry_changes& log, const node_ref& folder, const std::string& name,
                             node_ref to) {
  const auto found = folder->entries.find(name);
  log.push_back({.folder = folder,
                 .name = name,
                 .before = found == folder->entries.end() ? nullptr : found->second,
                 .after = to});
  folder->modified_wall_ns = clock_.wall_now().ns;
  if (found != folder->entries.end()) found->second->parent = nullptr;
  if (to) {
    to->parent = folder.get();
    folder->entries[name] = std::move(to);
  } else {
    folder->entries.erase(name);
  }
}

bool virtual_disk::is_removed(const node& one) const noexcept {
  return !one.parent && &one != root_.get();
}

std::uint32_t virtual_disk::kind_bit(const node& one) noexcept {
  return one.kind == kind_folder ? IN_ISDIR : 0;
}

void virtual_disk::tell(const node& of, std::uint32_t what, std::string_view name,
                        std::uint32_t cookie) {
  if (listener_) listener_->heard(of.id, what, name, cookie);
}

// Of a change of a file its folder hears as well, by the name that it has by now.
void virtual_disk::tell_file(const node& file, std::uint32_t what) {
  if (!listener_ || !file.parent) return;
  const auto& names = file.parent->entries;
  const auto own =
      std::ranges::find_if(names, [&](const auto& one) { return one.second.get() == &file; });
  WEIR_ASSERT(own != names.end());
  tell(*file.parent, what, own->first);
  tell(file, what);
}

// Once no name leads to it and nobody has it open.
void virtual_disk::tell_end(const node& one) {
  if (!listener_ || !is_removed(one)) return;
  const bool is_open =
      std::ranges::any_of(open_, [&](const auto& by) { return by.second.file.get() == &one; });
  if (!is_open) tell(one, IN_DELETE_SELF);
}

void virtual_disk::keep(entry_changes log) {
  log_.push_back(std::move(log));
  if (log_.size() > changes_max) log_.pop_front();
}

int virtual_disk::open(const char* path, std::uint32_t flags, io_handle as, io_handle in) {
  place at = find(path, in);
  if (at.error) return at.error;
  const bool is_writing = (flags & O_ACCMODE) != O_RDONLY;
  if (!at.found) {
    if (!(flags & O_CREAT)) return -ENOENT;
    if (std::string_view(path).ends_with('/')) return -EISDIR;
    entry_changes log;
    at.found = make_node(kind_file);
    set_entry(log, at.folder, at.name, at.found);
    keep(std::move(log));
    tell(*at.folder, IN_CREATE, at.name);
    flags &= ~static_cast<std::uint32_t>(O_TRUNC);
  } else {
    if ((flags & O_CREAT) && (flags & O_EXCL)) return -EEXIST;
    if (at.found->kind == kind_socket) return -ENXIO;
    const bool is_folder = at.found->kind == kind_folder;
    if (is_folder && (is_writing || (flags & (O_CREAT | O_TRUNC)))) return -EISDIR;
    if (!is_folder && (flags & O_DIRECTORY)) return -ENOTDIR;
  }
  if (flags & O_TRUNC) {  // of a file that is opened for reading, too, as Linux has it
    at.found->cut(0);
    at.found->set_size(0);
    tell_file(*at.found, IN_MODIFY);
  }
  const bool is_name = in >= 0 && *path != '/';
  std::string whole = is_name ? open_.at(in).path + "/" + path : path;
  open_[as] = {.file = at.found, .flags = flags, .path = std::move(whole)};
  return 0;
}

bool virtual_disk::is_direct(const open_file& one) noexcept { return (one.flags & O_DIRECT) != 0; }

bool virtual_disk::is_direct(io_handle handle) const noexcept {
  const auto found = open_.find(handle);
  return found != open_.end() && is_direct(found->second);
}

bool virtual_disk::is_for_append(io_handle handle) const noexcept {
  const auto found = open_.find(handle);
  return found != open_.end() && (found->second.flags & O_APPEND) != 0;
}

void virtual_disk::name_open(std::map<io_handle, std::string>& into) const {
  for (const auto& [handle, one] : open_) into[handle] = "the file " + one.path;
}

int virtual_disk::make_dir(const char* path) {
  const place at = find(path);
  if (at.error) return at.error;
  if (at.found) return -EEXIST;
  entry_changes log;
  set_entry(log, at.folder, at.name, make_node(kind_folder));
  keep(std::move(log));
  tell(*at.folder, IN_CREATE | IN_ISDIR, at.name);
  return 0;
}

int virtual_disk::make_socket_file(const char* path, std::uint64_t& out) {
  const place at = find(path);
  if (at.error) return at.error;
  const bool is_dead =
      at.found && at.found->kind == kind_socket && !live_sockets_.contains(at.found->id);
  if (at.found && !is_dead) return -EADDRINUSE;
  entry_changes log;
  if (is_dead) {
    set_entry(log, at.folder, at.name, nullptr);
    tell(*at.folder, IN_DELETE, at.name);
  }
  node_ref made = make_node(kind_socket);
  out = made->id;
  live_sockets_.insert(out);
  set_entry(log, at.folder, at.name, std::move(made));
  keep(std::move(log));
  tell(*at.folder, IN_CREATE, at.name);
  return 0;
}

int virtual_disk::socket_file(const char* path, std::uint64_t& out) const {
  const place at = find(path);
  if (at.error) return at.error;
  if (!at.found) return -ENOENT;
  if (at.found->kind != kind_socket) return -ECONNREFUSED;
  out = at.found->id;
  return 0;
}

int virtual_disk::remove(const char* path, bool is_dir, io_handle in) {
  const place at = find(path, in);
  if (at.error) return at.error;
  if (!at.found) return -ENOENT;
  if (const std::string_view dots = dots_at_end(path); !dots.empty())
    return !is_dir ? -EISDIR : dots == "." ? -EINVAL : -ENOTEMPTY;
  if (at.name.empty()) return -EBUSY;
  if (is_dir && at.found->kind != kind_folder) return -ENOTDIR;
  if (!is_dir && at.found->kind == kind_folder) return -EISDIR;
  if (!at.found->entries.empty()) return -ENOTEMPTY;
  entry_changes log;
  set_entry(log, at.folder, at.name, nullptr);
  keep(std::move(log));
  tell(*at.folder, IN_DELETE | kind_bit(*at.found), at.name);
  tell_end(*at.found);
  return 0;
}

bool virtual_disk::is_inside(const node& tree, const node& sought) {
  if (&tree == &sought) return true;
  return std::ranges::any_of(tree.entries,
                             [&](const auto& entry) { return is_inside(*entry.second, sought); });
}

int virtual_disk::rename(const char* from, const char* to, io_handle in) {
  const place source = find(from, in);
  const place target = find(to, in);
  if (source.error) return source.error;
  if (!source.found) return -ENOENT;
  if (target.error) return target.error;
  if (source.name.empty() || target.name.empty()) return -EBUSY;
  if (!dots_at_end(from).empty() || !dots_at_end(to).empty()) return -EBUSY;
  if (target.found == source.found) return 0;
  const bool is_folder = source.found->kind == kind_folder;
  if (is_folder && is_inside(*source.found, *target.folder)) return -EINVAL;
  if (target.found) {
    const bool onto_folder = target.found->kind == kind_folder;
    if (onto_folder && !is_folder) return -EISDIR;
    if (!onto_folder && is_folder) return -ENOTDIR;
    if (!target.found->entries.empty()) return -ENOTEMPTY;
  }
  entry_changes log;
  set_entry(log, source.folder, source.name, nullptr);
  set_entry(log, target.folder, target.name, source.found);
  keep(std::move(log));
  const std::uint32_t kind = kind_bit(*source.found);
  const std::uint32_t cookie = ++renames_;
  tell(*source.folder, IN_MOVED_FROM | kind, source.name, cookie);
  tell(*target.folder, IN_MOVED_TO | kind, target.name, cookie);
  tell(*source.found, IN_MOVE_SELF);
  if (target.found) tell_end(*target.found);
  return 0;
}

int virtual_disk::sync_dir(const char* path) {
  const place at = find(path);
  if (at.error) return at.error;
  if (!at.found) return -ENOENT;
  return sync_entries(at.found);
}

int virtual_disk::sync_dir(io_handle handle) {
  const auto found = open_.find(handle);
  if (found == open_.end()) return -EBADF;
  return found->second.file->kind == kind_folder ? sync_entries(found->second.file) : sync(handle);
}

int virtual_disk::sync_entries(const node_ref& folder) {
  if (folder->kind != kind_folder) return -ENOTDIR;
  std::erase_if(log_, [&](const entry_changes& one) {
    return std::ranges::any_of(
        one, [&](const entry_change& change) { return change.folder.lock() == folder; });
  });
  return 0;
}

int virtual_disk::status_of(const char* path, file_status& out) const {
  const place at = find(path);
  if (at.error) return at.error;
  if (!at.found) return -ENOENT;
  out = status_of(*at.found);
  return 0;
}

int virtual_disk::status_of(io_handle handle, file_status& out) const {
  const auto found = open_.find(handle);
  if (found == open_.end()) return -EBADF;
  out = status_of(*found->second.file);
  return 0;
}

file_status virtual_disk::status_of(const node& one) noexcept {
  return {.size = one.size,
          .is_directory = one.kind == kind_folder,
          .modified_wall_ns = one.modified_wall_ns,
          .device = 1,
          .inode = one.id};
}

int virtual_disk::list_dir(const char* path, std::vector<std::string>& out, bool shuffled) {
  const place at = find(path);
  if (at.error) return at.error;
  if (!at.found) return -ENOENT;
  if (at.found->kind != kind_folder) return -ENOTDIR;
  for (const auto& [name, entry] : at.found->entries) out.push_back(name);
  if (shuffled) {
    for (std::size_t i = out.size(); i > 1; --i)
      std::swap(out[i - 1], out[i - 1 - random_.below(i)]);
  }
  return 0;
}

virtual_disk::open_file* virtual_disk::writable(io_handle handle, int& error) {
  const auto found = open_.find(handle);
  if (found == open_.end() || (found->second.flags & O_ACCMODE) == O_RDONLY) {
    error = -EBADF;
    return nullptr;
  }
  return &found->second;
}

std::int64_t virtual_disk::read_at(io_handle handle, char* into, std::size_t size,
                                   std::uint64_t offset) {
  const auto found = open_.find(handle);
  if (found == open_.end() || (found->second.flags & O_ACCMODE) == O_WRONLY) return -EBADF;
  const node& file = *found->second.file;
  if (file.kind == kind_folder) return -EISDIR;
  if (detail::is_beyond_files(offset, size)) return -EINVAL;
  if (offset >= file.size) return 0;
  if (is_direct(found->second) && is_of_parts(offset, size)) return -EINVAL;
  std::size_t count = std::min<std::uint64_t>(size, file.size - offset);
  const auto broken = file.broken.lower_bound(offset / page_size);
  if (broken != file.broken.end() && *broken * page_size < offset + count) {
    if (*broken == offset / page_size) return -EIO;
    count = static_cast<std::size_t>(*broken * page_size - offset);
  }
  file.read(into, count, offset);
  return static_cast<std::int64_t>(count);
}

std::int64_t virtual_disk::write_at(io_handle handle, std::string_view data, std::uint64_t offset) {
  int error = 0;
  open_file* open = writable(handle, error);
  if (!open) return error;
  node& file = *open->file;
  if (open->flags & O_APPEND) offset = file.size;
  if (detail::is_beyond_files(offset, data.size())) return -EINVAL;
  if (!data.empty() && is_direct(*open) && is_of_parts(offset, data.size())) return -EINVAL;
  if (offset + data.size() > file.size) {
    const std::uint64_t room = quota_ > *used_ ? quota_ - *used_ : 0;
    const std::uint64_t end_max = file.size + room;
    if (offset + data.size() > end_max) {
      if (offset >= end_max) return -ENOSPC;
      data = data.substr(0, end_max - offset);
      if (is_direct(*open)) data = data.substr(0, data.size() / sector_size * sector_size);
      if (data.empty()) return -ENOSPC;
    }
  }
  if (!file.broken.empty() && !data.empty()) {
    const std::uint64_t end = offset + data.size();
    for (const std::uint64_t edge : {offset, end}) {
      const bool is_inside = edge % page_size != 0;
      if (is_inside && file.broken.contains(edge / page_size)) return -EIO;
    }
    file.broken.erase(file.broken.lower_bound(offset / page_size),
                      file.broken.lower_bound(end / page_size));
  }
  file.write(data, offset);
  if (offset + data.size() > file.size) file.set_size(offset + data.size());
  file.modified_wall_ns = clock_.wall_now().ns;
  if (!data.empty()) tell_file(file, IN_MODIFY);
  return static_cast<std::int64_t>(data.size());
}

int virtual_disk::sync(io_handle handle) {
  const auto found = open_.find(handle);
  if (found == open_.end()) return -EBADF;
  node& file = *found->second.file;
  std::erase_if(file.before, [](const auto& one) { return !one.second.is_lost; });
  file.synced_size = file.size;
  return 0;
}

int virtual_disk::sync_range(io_handle handle, std::uint64_t offset, std::uint64_t size) {
  const auto found = open_.find(handle);
  if (found == open_.end()) return -EBADF;
  node& file = *found->second.file;
  const auto begin = file.before.lower_bound(offset / page_size);
  const auto end = file.before.lower_bound((offset + size + page_size - 1) / page_size);
  for (auto at = begin; at != end;) at = at->second.is_lost ? std::next(at) : file.before.erase(at);
  file.synced_size = std::max(file.synced_size, offset + size);
  return 0;
}

void virtual_disk::lose_sync(io_handle handle) {
  const auto found = open_.find(handle);
  if (found == open_.end()) return;
  for (auto& [index, saved] : found->second.file->before) saved.is_lost = true;
}

int virtual_disk::resize(node& file, std::uint64_t size) {
  if (size > file.size && size - file.size > (quota_ > *used_ ? quota_ - *used_ : 0)) {
    return -ENOSPC;
  }
  if (size < file.size) file.cut(size);
  file.set_size(size);
  file.modified_wall_ns = clock_.wall_now().ns;
  return 0;
}

int virtual_disk::preallocate(io_handle handle, std::uint64_t offset, std::uint64_t size) {
  int error = 0;
  open_file* open = writable(handle, error);
  if (!open) return error;
  if (size == 0 || detail::is_beyond_files(offset) || detail::is_beyond_files(size)) return -EINVAL;
  if (detail::is_beyond_files(offset, size)) return -EFBIG;
  if (offset + size > open->file->size) error = resize(*open->file, offset + size);
  if (error == 0) tell_file(*open->file, IN_MODIFY);
  return error;
}

int virtual_disk::truncate(io_handle handle, std::uint64_t size) {
  if (!has(handle)) return -EBADF;
  int error = 0;
  open_file* open = writable(handle, error);
  if (!open || detail::is_beyond_files(size)) return -EINVAL;  // a reader's, too: not EBADF here
  const int outcome = resize(*open->file, size);
  if (outcome == 0) tell_file(*open->file, IN_MODIFY);
  return outcome;
}

int virtual_disk::lock(io_handle handle) {
  const auto found = open_.find(handle);
  if (found == open_.end()) return -EBADF;
  io_handle& holder = found->second.file->lock;
  if (holder >= 0 && holder != handle) return -EWOULDBLOCK;
  holder = handle;
  return 0;
}

int virtual_disk::close(io_handle handle) {
  const auto found = open_.find(handle);
  if (found == open_.end()) return -EBADF;
  const open_file closed = std::move(found->second);
  if (closed.file->lock == handle) closed.file->lock = -1;
  open_.erase(found);
  if ((closed.flags & O_ACCMODE) != O_RDONLY) tell_file(*closed.file, IN_CLOSE_WRITE);
  tell_end(*closed.file);
  return 0;
}

std::unique_ptr<std::string> virtual_disk::content_of(const char* path) const {
  const place at = find(path);
  if (at.error || !at.found || at.found->kind != kind_file) return nullptr;
  auto content = std::make_unique<std::string>(at.found->size, '\0');
  at.found->read(content->data(), content->size(), 0);
  return content;
}

int virtual_disk::break_pages(const char* path, std::uint64_t offset, std::uint64_t size) {
  const place at = find(path);
  if (at.error) return at.error;
  if (!at.found || at.found->kind != kind_file) return -ENOENT;
  for (std::uint64_t page = offset / page_size; page * page_size < offset + size; ++page) {
    at.found->broken.insert(page);
  }
  return 0;
}

int virtual_disk::put_file(const char* path, std::string_view content) {
  const std::string whole(path);
  for (std::size_t end = whole.find('/', 1);; end = whole.find('/', end + 1)) {
    const bool is_last = end == std::string::npos;
    const place at = find(whole.substr(0, end).c_str());
    if (at.error) return at.error;
    if (!at.found) {
      const node_ref made = make_node(is_last ? kind_file : kind_folder);
      made->parent = at.folder.get();
      at.folder->entries[at.name] = made;
      tell(*at.folder, IN_CREATE | kind_bit(*made), at.name);
    }
    if (!is_last) continue;
    if (const int error = set_content(path, content); error != 0) return error;
    const node_ref file = find(path).found;
    tell_file(*file, IN_MODIFY);
    tell_file(*file, IN_CLOSE_WRITE);
    return 0;
  }
}

int virtual_disk::set_content(const char* path, std::string_view content) {
  const place at = find(path);
  if (at.error) return at.error;
  if (!at.found || at.found->kind != kind_file) return -ENOENT;
  if (const int error = resize(*at.found, content.size()); error != 0) return error;
  at.found->write(content, 0);
  at.found->before.clear();
  at.found->synced_size = content.size();
  return 0;
}

}  // namespace weir
