// Watched folders of a virtual machine: inotify(7) over its disk. The hard idea: what a program
// receives are the kernel's own bytes, so that all above them is the code that ships; here is only
// what the kernel does, which events it makes of a change, in which order, and which it leaves out.
#pragma once

#include <weir/core/driver.hpp>
#include <weir/sim/virtual_disk.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>

namespace weir {

class network_host;

/// What changes on one machine's disk, for those of its programs that watch.
///
/// Cancel:  cancel() takes a waiting request out; one that had finished is left alone.
/// Order:   events of a watcher as the changes happened; one that equals the one before it, if that
///          was not received yet, is left out.
/// Bound:   events_max of a watcher that nobody has received, then IN_Q_OVERFLOW; watches_max in
///          all, then ENOSPC.
/// Errors:  -errno as Linux gives it.
/// Threads: one at a time.
class virtual_watches final : private disk_listener {
 public:
  static constexpr std::size_t events_max = 16'384;  // as fs.inotify.max_queued_events
  static constexpr std::size_t watches_max = 8'192;
  static constexpr std::size_t receive_max = 16 * 1024;  // bytes; the size of a driver's buffer

  virtual_watches(network_host& host, virtual_disk& disk) noexcept;
  virtual_watches(const virtual_watches&) = delete;
  virtual_watches& operator=(const virtual_watches&) = delete;
  ~virtual_watches();

  io_handle make_watcher();
  int watch(io_handle handle, const char* path, std::uint32_t mask);
  int unwatch(io_handle handle, int number);
  std::size_t unread_of(io_handle handle) const;

  /// True: finished, the outcome is set. False: it waits and finished() will be called.
  bool start(io_request& request);
  bool cancel(io_request& request);
  int close(io_handle handle);
  /// All watchers vanish, waiting requests finish with -EIO.
  void crash();

  bool has(io_handle handle) const noexcept { return watchers_.contains(handle); }
  std::size_t open_watchers() const noexcept { return watchers_.size(); }
  /// Files and folders that all of them watch.
  std::size_t open_watches() const noexcept { return watches_; }
  /// "a watch of folders", by its handle.
  void name_open(std::map<io_handle, std::string>& into) const;

 private:
  struct watcher;

  // disk_listener
  void heard(std::uint64_t of, std::uint32_t what, std::string_view name,
             std::uint32_t cookie) override;
  watcher* at(io_handle handle) const;
  std::int64_t attempt(watcher& w, io_request& request);
  std::int64_t receive(watcher& w, io_request& request);
  void retry(watcher& w);

  network_host& host_;
  virtual_disk& disk_;
  std::map<io_handle, std::unique_ptr<watcher>> watchers_;
  std::size_t watches_ = 0;
};

}  // namespace weir
