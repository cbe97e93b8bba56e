// A file system in memory that knows what a crash would leave. The hard idea: what is not synced is
// kept twice, as it is seen now and as it is on the platter, page by page; folder entries are kept
// as a log of changes that sync_dir makes durable.
//
// Invariants: (1) a page is in `before` exactly when its content on the platter may differ from
//             what readers see; (2) an entry change is in the log until one of its folders is
//             synced; (3) used() is the sum of the sizes of all files that a name, a handle or a
//             change in the log reaches: a removal frees its space when it is durable.
#pragma once

#include <weir/core/driver.hpp>
#include <weir/sim/choice.hpp>
#include <weir/sim/virtual_clock.hpp>

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace weir {

/// What a crash leaves of that which was not synced.
enum class crash_loss : std::uint8_t {
  all,   // nothing of it
  some,  // sectors and the newest folder changes survive or not, by lot: torn writes
  none,  // all of it: the process died, the machine did not
};

/// Who hears what happens on a disk: the events of inotify(7).
///
/// Cancel:  no waits.
/// Order:   as it happened; it has when this is called.
/// Bound:   the listener's.
/// Errors:  none.
/// Threads: the disk's.
class disk_listener {
 public:
  /// Of a file or folder by its number (file_status::inode), or of the entry `name` in it.
  virtual void heard(std::uint64_t of, std::uint32_t what, std::string_view name,
                     std::uint32_t cookie) = 0;

 protected:
  ~disk_listener() = default;
};

/// Files and folders in memory.
///
/// Cancel:  no waits; every call is done when it returns.
/// Order:   calls take effect one after the other.
/// Bound:   set_quota() bytes of file content, then ENOSPC.
/// Errors:  -errno as Linux gives it.
/// Threads: one at a time.
class virtual_disk {
 public:
  static constexpr std::size_t page_size = 4096;
  static constexpr std::size_t sector_size = 512;
  static constexpr std::size_t path_max = 4096;
  static constexpr std::size_t name_max = 255;
  static constexpr std::size_t changes_max = 100'000;  // unsynced changes of entries; then the
                                                       // oldest become durable by themselves

  virtual_disk(const virtual_clock& clock, choice_stream random);
  virtual_disk(const virtual_disk&) = delete;
  virtual_disk& operator=(const virtual_disk&) = delete;
  ~virtual_disk();

  // Verbs on paths; relative ones start at the open directory `in`, of which ".." is "/", or
  // without one at "/". 0 or -errno.
  int open(const char* path, std::uint32_t flags, io_handle as, io_handle in = -1);
  int make_dir(const char* path);
  int remove(const char* path, bool is_dir, io_handle in = -1);
  int rename(const char* from, const char* to, io_handle in = -1);
  int sync_dir(const char* path);
  int sync_dir(io_handle handle);
  int status_of(const char* path, file_status& out) const;
  int status_of(io_handle handle, file_status& out) const;
  /// By which it was opened; empty: no such file.
  std::string_view path_of(io_handle handle) const noexcept {
    const auto found = open_.find(handle);
    return found == open_.end() ? std::string_view() : found->second.path;
  }
  /// Names in order, or by lot when `shuffled` is given, since real folders have no order.
  int list_dir(const char* path, std::vector<std::string>& out, bool shuffled);
  /// A socket's name in a folder; its number, which is never used again, in `out`. One whose socket
  /// is gone is replaced, as weir's drivers of the kernel remove it.
  int make_socket_file(const char* path, std::uint64_t& out);
  /// The socket of that number is gone; its name stays.
  void leave_socket_file(std::uint64_t number) { live_sockets_.erase(number); }
  int socket_file(const char* path, std::uint64_t& out) const;

  // Verbs on open files: a count, 0 or -errno.
  std::int64_t read_at(io_handle handle, char* into, std::size_t size, std::uint64_t offset);
  std::int64_t write_at(io_handle handle, std::string_view data, std::uint64_t offset);
  int sync(io_handle handle);
  /// Of the pages that hold these bytes only.
  int sync_range(io_handle handle, std::uint64_t offset, std::uint64_t size);
  /// A sync that fails: what was dirty counts as clean from then on, but is not on the platter, as
  /// Linux has it.
  void lose_sync(io_handle handle);
  int preallocate(io_handle handle, std::uint64_t offset, std::uint64_t size);
  int truncate(io_handle handle, std::uint64_t size);
  int lock(io_handle handle);
  int close(io_handle handle);

  /// From here on `one` hears what happens, and nobody else; null: nobody. A file without a name is
  /// silent, as IN_EXCL_UNLINK has it, and so is a crash.
  void listen(disk_listener* one) noexcept { listener_ = one; }

  /// Closes all files and drops what was not synced.
  void crash(crash_loss loss);

  void set_quota(std::uint64_t bytes) noexcept { quota_ = bytes; }
  std::uint64_t used() const noexcept { return *used_; }  // (3)
  bool has(io_handle handle) const noexcept { return open_.contains(handle); }
  /// It was opened with O_DIRECT: it takes and gives whole sectors only, from where one begins.
  /// Where the memory lies is not looked at: an address must decide nothing.
  bool is_direct(io_handle handle) const noexcept;
  /// It was opened with O_APPEND: what is written goes to the end.
  bool is_for_append(io_handle handle) const noexcept;
  std::size_t open_files() const noexcept { return open_.size(); }
  /// "the file /note" of each, by its handle.
  void name_open(std::map<io_handle, std::string>& into) const;
  /// For tests that damage or look at files from outside: null when there is no such file.
  std::unique_ptr<std::string> content_of(const char* path) const;
  /// In silence: nobody who watches hears of it.
  int set_content(const char* path, std::string_view content);
  /// The disk can't read the pages of these bytes any more (EIO). A read that begins in front of
  /// them ends there. A write of a part of such a page fails, as it reads the rest first; a write
  /// of all of it mends it.
  int break_pages(const char* path, std::uint64_t offset, std::uint64_t size);
  /// As if it had always been there: durable, with the folders that it needs. Who watches hears
  /// that it is written.
  int put_file(const char* path, std::string_view content);

 private:
  struct node;
  using node_ref = std::shared_ptr<node>;
  struct open_file {
    node_ref file;
    std::uint32_t flags = 0;
    std::string path = {};  // that it was opened by
  };
  struct place {  // where a path leads
    node_ref folder = {};
    std::string name = {};  // empty: the root
    node_ref found = {};    // null: there is no such entry
    int error = 0;
  };
  struct entry_change {
    std::weak_ptr<node> folder;
    std::string name;
    node_ref before;
    node_ref after;
  };
  using entry_changes = std::vector<entry_change>;  // of one operation, which is atomic

  static file_status status_of(const node& one) noexcept;
  static std::uint32_t kind_bit(const node& one) noexcept;
  bool is_removed(const node& one) const noexcept;
  void tell(const node& of, std::uint32_t what, std::string_view name = {},
            std::uint32_t cookie = 0);
  void tell_file(const node& file, std::uint32_t what);
  void tell_end(const node& one);
  static bool is_direct(const open_file& one) noexcept;
  place find(const char* path, io_handle in = -1) const;
  int sync_entries(const node_ref& folder);
  node_ref make_node(int kind);
  void set_entry(entry_changes& log, const node_ref& folder, const std::string& name, node_ref to);
  void keep(entry_changes log);
  open_file* writable(io_handle handle, int& error);
  int resize(node& file, std::uint64_t size);
  static bool is_inside(const node& tree, const node& sought);
  static void collect_files(node& folder, std::vector<node*>& out);
  void drop_unsynced(node& file, crash_loss loss);

  const virtual_clock& clock_;
  choice_stream random_;
  std::shared_ptr<std::uint64_t> used_;
  std::uint64_t quota_ = std::uint64_t{1} << 40;
  std::uint64_t nodes_made_ = 0;
  std::uint32_t renames_ = 0;
  disk_listener* listener_ = nullptr;
  std::set<std::uint64_t> live_sockets_;  // their files' numbers
  node_ref root_;
  std::unordered_map<io_handle, open_file> open_;
  std::deque<entry_changes> log_;  // (2), oldest first
};

}  // namespace weir
