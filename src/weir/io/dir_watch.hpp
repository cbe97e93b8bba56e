// Watching a folder, or a tree of them: what is created, changed, removed and renamed in it. The
// hard idea: what the kernel had no room for is told as an event of its own (`lost`), for a program
// that believes that it has seen everything is worse off than one that looks again.
// docs/guide/watching.md shows how.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/io/socket.hpp>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace weir {

namespace detail {
class watched_tree;
struct watch_event;
}  // namespace detail

enum class dir_change : std::uint8_t {
  created,    // or moved here from elsewhere
  changed,    // written to, or cut; equal ones in a row may come as one
  written,    // closed by somebody who could write to it: it is whole now
  removed,    // or moved elsewhere
  renamed,    // within the folder: old_name -> name
  lost,       // events were lost, for nobody took them in time: list the folder anew
  gone,       // the folder itself was removed, moved or unmounted: nothing comes after this
  unwatched,  // of trees: nothing is heard from this folder on down: a limit, or no permission
};

/// "created", "renamed" ...
const char* name(dir_change what) noexcept;

/// One change in a folder.
struct dir_event {
  dir_change what = dir_change::lost;
  std::string name = {};  // within the folder: "a", in a tree also "sub/a"; none for all that was
                          // lost, and for gone
  std::string old_name = {};  // renamed only
  bool is_directory = false;
  bool is_found =
      false;  // created: was in a new folder before that was watched; may be whole, or not
};

struct tree_options {
  std::size_t folders_max = 8192;  // the root included; the kernel takes about 1 KiB for each
};

/// Hears what changes in one folder, or in all folders of a tree.
///
/// Cancel:  a cancelled next() has taken no event.
/// Order:   as the changes happened. The two halves of a rename are one event; when the kernel
///          gives the second one later than pair_wait, they are `removed` and `created`.
/// Bound:   the kernel keeps fs.inotify.max_queued_events (16,384) events; then comes `lost`. A
///          tree has tree_options::folders_max folders; of those beyond comes `unwatched`.
/// Errors:  `closed` after close(), and after `gone`.
/// Threads: one loop; next() by one task at a time.
class [[nodiscard]] dir_watch {
 public:
  static constexpr duration pair_wait = duration::milliseconds(10);

  dir_watch(driver& io, io_handle handle) noexcept : from_(io, handle) {}

  /// Waits for the next change.
  task<dir_event> next();
  void close() noexcept {
    from_.close();
    tree_.reset();
  }
  explicit operator bool() const noexcept { return static_cast<bool>(from_); }

 private:
  friend task<dir_watch> watch_tree(std::string path, tree_options options);

  /// Of a rename: the other half may come.
  struct first_half {
    dir_event event;
    std::uint32_t cookie = 0;
    int folder = -1;         // the kernel's number
    std::string entry = {};  // the name there
    bool is_alone = false;   // it has been waited for
  };

  bool take_raw(detail::watch_event& out) const;
  std::optional<dir_event> take_event();
  dir_event moved_away();
  task<> read_more();

  detail::socket_owner from_;
  std::shared_ptr<detail::watched_tree> tree_;
  bytes unread_;
  std::optional<first_half> half_;
  bool is_gone_ = false;
};

/// Watches a folder from now on. Raises `not_found`, `invalid_argument` when it is no folder, and
/// `full` with the name of the limit when this user has too many watches.
dir_watch watch_dir(const std::string& path);

/// Watches a folder and all below it from now on. Symbolic links are not followed, but for `path`
/// itself. A folder that is made or moved into the tree is watched, too, before it is told as
/// `created`; what it has by then is told as well (`is_found`). Raises as watch_dir(), and `full`
/// when the tree has more than folders_max folders, or more than this user may watch.
[[nodiscard]] task<dir_watch> watch_tree(std::string path, tree_options options = {});

}  // namespace weir
