// Internal to io: the folders of a watched tree. The kernel watches single folders and knows them
// by number; this keeps which number is where, so that events get paths. The hard idea: what the
// books say of a place is checked against the disk each time a folder appears or moves (adding a
// watch to it again gives its number), since by the time that an event is read the place may be
// another's. A place that is not where the books say is looked at again once the event comes by
// which they are right.
//
//   event -> hear(): its path, and perhaps a place to look at    the loop's thread
//         -> look_around(): watch the folder, tell what is in it  the blocking pool
//         -> next_told()
//
// Invariants: (1) each folder but the root is a child of one other, under its name;
//             (2) an entry that was made is told when it is found or when its event comes, not at
//                 both times. (One that was moved here between the two may be told twice, and
//                 so may what a new folder has that moves on before it is listed);
//             (3) a look that found nothing, or another folder's entry, waits in `missed` of the
//                 folder in which it was to be, until that one or one above it is where it is
//                 known to be, or its entry goes;
//             (4) a root that a look did not find is told as gone after the events of before, if
//                 none of them tells it.
#pragma once

#include <weir/io/dir_watch.hpp>
#include <weir/io/watch_host.hpp>

#include <sys/inotify.h>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>

namespace weir::detail {

/// What is asked of the kernel for each folder.
inline constexpr std::uint32_t watch_mask = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_DELETE |
                                            IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF |
                                            IN_MOVE_SELF | IN_ONLYDIR | IN_EXCL_UNLINK;

/// An event of the kernel.
struct watch_event {
  int folder = -1;  // its number
  std::uint32_t mask = 0;
  std::uint32_t cookie = 0;
  std::size_t size = 0;
  std::string_view name = {};
};

/// The folders below a root, and what is to be told of them.
///
/// Cancel:  no waits; look_around() goes on where it was when it is called again.
/// Order:   what was found in a folder comes before the events of that folder.
/// Bound:   folders_max folders, twice as many with those to be looked at, told_max events; a
///          folder whose content has no room is `lost`.
/// Errors:  a folder that can't be watched is told as `unwatched`. After std::bad_alloc the books
///          are made anew by the next call, and `lost` is told.
/// Threads: one at a time.
class watched_tree {
 public:
  static constexpr std::size_t told_max = 16'384;   // as the kernel's queue
  static constexpr std::size_t looks_at_once = 64;  // so much a cancel waits for

  /// Keeps a second handle of the watcher. Raises as watch_dir().
  watched_tree(watch_host& host, io_handle watcher, std::string root, std::size_t folders_max);
  watched_tree(const watched_tree&) = delete;
  watched_tree& operator=(const watched_tree&) = delete;
  ~watched_tree();

  /// Puts the path into `one`, what the event says. False: there is nothing to tell.
  bool hear(const watch_event& raw, dir_event& one);
  /// An entry has left: the first half of a rename whose second does not come.
  void forget(int folder, const std::string& name);
  /// Both halves of a rename of a folder.
  void move(int from, const std::string& old_name, int to, const std::string& name);

  void tell(dir_event one);
  std::optional<dir_event> next_told();
  /// The root is not where it was, and all that happened before that was noticed has been told.
  bool is_gone() const noexcept { return told_.empty() && heard_bytes_ >= gone_at_; }

  /// There are places to look at, and room for what is found.
  bool has_to_look() const noexcept {
    return is_broken_ || (!to_look_.empty() && told_.size() < told_max);
  }
  /// Looks at some of them. `unread` bytes of events have been read but not heard.
  void look_around(std::size_t unread);
  /// More folders than folders_max, or the system's limit, was met since the last start_over().
  bool was_full() const noexcept { return was_full_; }
  /// Why a folder could not be listed (EMFILE, ENFILE, ENOMEM) since then; 0: all were.
  int list_failure() const noexcept { return list_failure_; }

 private:
  struct folder {
    int parent = -1;
    std::string name = {};
    std::map<std::string, int, std::less<>> children = {};
    std::set<std::string, std::less<>> found = {};         // (2): told, and their events may come
    std::uint64_t found_until = 0;                         // up to here in the stream of events
    std::map<std::string, bool, std::less<>> missed = {};  // (3): the look and its is_silent
  };
  struct look {
    int parent;
    std::string name = {};   // none: the folder itself is listed
    bool is_silent = false;  // of the start: what is found is not told
  };

  class change;
  struct listing;

  void start_over();
  bool hear_self(int number, std::uint32_t mask, dir_event& one);
  std::string path_of(int number) const;
  std::string path_of(int parent, std::string_view name) const;
  int watch(const std::string& path, std::uint32_t extra) const noexcept;
  int why_not_in_place(int number) const;
  bool is_below(int number, int other) const;
  void attach(int number, int parent, const std::string& name);
  void detach(int number);
  void put(int number, int parent, const std::string& name);
  void miss(const look& place);
  void drop(int number);
  void look_at(const look& place);
  void list(int number, bool is_silent);
  std::uint64_t end_of_events() const noexcept;
  void tell_failure(const std::string& path, int number);
  bool is_told_already(int number, const watch_event& raw);

  watch_host& host_;
  io_handle watcher_;
  std::string root_path_;
  std::size_t folders_max_;
  int root_ = -1;
  std::unordered_map<int, folder> folders_;
  std::unordered_set<int> stale_;  // watches from before start_over()
  std::deque<look> to_look_;
  std::deque<dir_event> told_;
  std::uint64_t heard_bytes_ = 0;
  std::size_t unread_ = 0;              // as look_around() was told
  std::uint64_t gone_at_ = UINT64_MAX;  // (4): in the stream of events
  bool is_broken_ = false;              // a change of the books was not carried to its end
  bool was_full_ = false;
  int list_failure_ = 0;
};

}  // namespace weir::detail
