// Watching a folder: what is created, changed, removed and renamed in it. The hard idea: what the
// kernel had no room for is told as an event of its own (`lost`), for a program that believes that
// it has seen everything is worse off than one that looks again. docs/guide/watching.md shows how.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/base/time.hpp>
#include <weir/core/task.hpp>
#include <weir/io/socket.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>

namespace weir {

enum class dir_change : std::uint8_t {
  created,  // or moved here from elsewhere
  changed,  // written to, or cut; equal ones in a row may come as one
  written,  // closed by somebody who could write to it: it is whole now
  removed,  // or moved elsewhere
  renamed,  // within the folder: old_name -> name
  lost,     // events were lost, for nobody took them in time: list the folder anew
  gone,     // the folder itself was removed, moved or unmounted: nothing comes after this
};

/// "created", "renamed" ...
const char* name(dir_change what) noexcept;

/// One change in a folder.
struct dir_event {
  dir_change what = dir_change::lost;
  std::string name = {};      // of the entry, within the folder; empty for lost and gone
  std::string old_name = {};  // renamed only
  bool is_directory = false;
};

/// Hears what changes in one folder, not in those below it.
///
/// Cancel:  a cancelled next() has taken no event.
/// Order:   as the changes happened. The two halves of a rename are one event; when the kernel
///          gives the second one later than pair_wait, they are `removed` and `created`.
/// Bound:   the kernel keeps fs.inotify.max_queued_events (16,384) events; then comes `lost`.
/// Errors:  `closed` after close(), and after `gone`.
/// Threads: one loop; next() by one task at a time.
class [[nodiscard]] dir_watch {
 public:
  static constexpr duration pair_wait = duration::milliseconds(10);

  dir_watch(driver& io, io_handle handle) noexcept : from_(io, handle) {}

  /// Waits for the next change.
  task<dir_event> next();
  void close() noexcept { from_.close(); }
  explicit operator bool() const noexcept { return static_cast<bool>(from_); }

 private:
  struct raw_event;
  bool take_raw(raw_event& out);
  std::optional<dir_event> take_event();
  dir_event moved_away();

  detail::socket_owner from_;
  bytes unread_;
  std::optional<dir_event> half_;  // of a rename: the other half may come
  std::uint32_t half_cookie_ = 0;
  bool is_gone_ = false;
};

/// Watches a folder from now on. Raises `not_found`, `invalid_argument` when it is no folder, and
/// `full` with the name of the limit when this user has too many watches.
dir_watch watch_dir(const std::string& path);

}  // namespace weir
