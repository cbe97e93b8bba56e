// The part of the driver seam that watched folders go through. The hard idea: it is inotify(7) in
// calls, and its events are bytes that a loop receives from a handle as any others. So all that
// makes changes of folders out of them, pairs renames and keeps a tree's books is the same code
// over a kernel and in the virtual world.
#pragma once

#include <weir/core/driver.hpp>

#include <cstddef>
#include <cstdint>

namespace weir {

/// Who tells what changes in folders: a kernel, or a virtual machine.
///
/// Cancel:  no waits.
/// Order:   of a watcher's events as the changes happened; an equal one right behind another may be
///          left out.
/// Bound:   by the host: ENOSPC for a watch, EMFILE for a watcher, and of events IN_Q_OVERFLOW.
/// Errors:  -errno, as inotify has it.
/// Threads: any, as long as the handle is open; make_watcher() only the loop's.
class watch_host {  // tidy-allow(shown): drivers have it, programs do not meet it
 public:
  /// A handle from which whole `struct inotify_event`s are received; or -errno.
  virtual io_handle make_watcher() noexcept = 0;
  /// The number by which the events of this path will say so, the same one when it is watched
  /// already; or -errno.
  virtual int watch(io_handle watcher, const char* path, std::uint32_t mask) noexcept = 0;
  virtual void unwatch(io_handle watcher, int number) noexcept = 0;
  /// Bytes of events that nobody has received yet.
  virtual std::size_t unread_of(io_handle watcher) noexcept = 0;
  /// A second handle of a watcher, for who goes on when the first one is closed; or -errno. Only
  /// drop() lets go of it.
  virtual io_handle keep(io_handle watcher) noexcept = 0;
  virtual void drop(io_handle kept) noexcept = 0;
  /// Calls `visit(context, name, is_folder)` for each entry of a folder but . and .. : 0 or -errno.
  /// A symbolic link is no folder, nor as the last name of `path` unless that ends with a slash.
  virtual int list_folder(const char* path, void (*visit)(void*, const char* name, bool is_folder),
                          void* context) = 0;

 protected:
  ~watch_host() = default;
};

}  // namespace weir
