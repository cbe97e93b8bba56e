// Files and directories: open, read and write at offsets, sync, rename. Every call that may touch
// the disk is a wait; each goes through as_result() without a throw. Durability is in the caller's
// hands: data after sync_data(), a new or renamed name after sync_dir() of its folder (see "All
// File Systems Are Not Created Equal", Pillai et al., 2014).
#pragma once

#include <weir/io/detail/file_waits.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {

struct open_options {
  bool read = true;
  bool write = false;
  bool create = false;     // makes the file when it is missing
  bool exclusive = false;  // with create: it must be missing (`already_exists`)
  bool truncate = false;   // drops what it held
  bool append = false;     // with write: each append() goes to the end, and no other write is taken
  bool direct = false;     // O_DIRECT: memory, offset and size are the caller's to align
  std::uint32_t mode = 0600;
};

/// An open file.
///
/// Cancel:  a cancelled write has written a prefix or nothing, and may be repeated; an append()
///          says how much is there; all others happened or did not.
/// Order:   none between operations in flight at once; await one before the next to order them.
/// Bound:   the driver's blocking pool or ring; memory is the caller's until the wait ends.
/// Errors:  `no_space`, `io`, ...; a failed write says how much was written; `closed` after close;
///          `permission_denied` for what it was not opened for, write_at() and preallocate() with
///          `append` among it.
/// Threads: one loop.
class [[nodiscard]] file {
 public:
  file() = default;
  file(driver& io, io_handle handle, bool is_for_append = false) noexcept
      : io_(&io), handle_(handle), is_for_append_(is_for_append) {}
  file(file&& other) noexcept
      : io_(other.io_),
        handle_(std::exchange(other.handle_, -1)),
        is_for_append_(other.is_for_append_) {}
  file& operator=(file&& other) noexcept {
    std::swap(io_, other.io_);
    std::swap(handle_, other.handle_);
    std::swap(is_for_append_, other.is_for_append_);
    return *this;
  }
  /// Closes without a wait. Does not sync.
  ~file() { close(); }

  /// Reads up to memory.size() bytes; fewer only near the end of the file, 0 at it.
  auto read_at(std::uint64_t offset, std::span<char> memory) noexcept {
    return detail::read_wait(detail::handle_here(io_, handle_), offset, memory.data(),
                             memory.size());
  }
  /// Writes all of `data`, which must live until the wait ends.
  auto write_at(std::uint64_t offset, std::string_view data) noexcept {
    return write(offset, cursor_over(data), detail::write_wait::way::at_offset);
  }
  /// The same for several pieces, one after the other.
  auto write_at(std::uint64_t offset, std::span<const io_slice> pieces) noexcept {
    return write(offset, detail::slice_cursor(pieces.data(), pieces.size()),
                 detail::write_wait::way::at_offset);
  }
  /// The same, and it is durable when the wait ends, as after sync_data(): one trip to the disk
  /// instead of two. Says nothing of what was written before.
  auto write_durably_at(std::uint64_t offset, std::string_view data) noexcept {
    return write(offset, cursor_over(data), detail::write_wait::way::at_offset_durably);
  }
  /// Of a file that was opened with `append`: writes all of `data` behind what is there by then,
  /// whoever else appends; a part of another's may be between two parts of it only where the disk
  /// takes less than all at once, as of more than 1,024 pieces. What is written is in `appended`,
  /// also after a cancellation.
  auto append(std::string_view data, std::size_t* appended = nullptr) noexcept {
    return write(0, cursor_over(data), detail::write_wait::way::at_end, appended);
  }
  /// The same for several pieces, one after the other.
  auto append(std::span<const io_slice> pieces, std::size_t* appended = nullptr) noexcept {
    return write(0, detail::slice_cursor(pieces.data(), pieces.size()),
                 detail::write_wait::way::at_end, appended);
  }
  /// Makes the data durable, and the size if it has grown (fdatasync).
  detail::done_wait sync_data() noexcept;
  /// Makes data and attributes durable (fsync).
  detail::done_wait sync() noexcept;
  /// Reserves zero-filled space, so that later writes into it neither fail for lack of space nor
  /// need to make metadata durable.
  detail::done_wait preallocate(std::uint64_t offset, std::size_t size) noexcept;
  detail::done_wait truncate(std::uint64_t size) noexcept;

  /// Takes an exclusive lock that ends with this handle or the process; false: somebody holds it.
  bool try_lock();
  std::uint64_t size() const;
  void close() noexcept;

  /// False after close() or a move.
  explicit operator bool() const noexcept { return handle_ >= 0; }
  io_handle handle() const noexcept { return handle_; }
  bool is_for_append() const noexcept { return is_for_append_; }

 private:
  static detail::slice_cursor cursor_over(std::string_view data) noexcept {
    return detail::slice_cursor(io_slice{data.data(), data.size()});
  }
  detail::write_wait write(std::uint64_t offset, detail::slice_cursor what,
                           detail::write_wait::way how, std::size_t* written = nullptr) noexcept {
    const bool is_open_for_it = (how == detail::write_wait::way::at_end) == is_for_append_;
    return {detail::handle_here(io_, handle_), offset, what, how, is_open_for_it, written};
  }

  driver* io_ = nullptr;
  io_handle handle_ = -1;
  bool is_for_append_ = false;
};

/// An open directory. A path is walked anew by each call and may lead elsewhere by then; what is
/// done by a name in an open directory is done there, wherever it was moved and whatever took its
/// place. A symbolic link among its entries is followed by open_file().
///
/// Cancel:  each of its waits happened or did not.
/// Order:   none between operations in flight at once; await one before the next to order them.
/// Bound:   one descriptor; the driver's blocking pool.
/// Errors:  those of the calls on paths, below, with the path that it was opened by in their texts;
///          `invalid_argument` for a name with a / and for . and ..; `closed` after close(). Each
///          call makes a text: std::bad_alloc comes from the call itself.
/// Threads: one loop.
class [[nodiscard]] directory {
 public:
  directory() = default;
  /// `path` is for messages.
  directory(driver& io, io_handle handle, std::string path) noexcept;
  directory(directory&& other) noexcept
      : io_(other.io_), handle_(std::exchange(other.handle_, -1)), path_(std::move(other.path_)) {}
  directory& operator=(directory&& other) noexcept {
    std::swap(io_, other.io_);
    std::swap(handle_, other.handle_);
    std::swap(path_, other.path_);
    return *this;
  }
  ~directory() { close(); }

  [[nodiscard]] detail::open_wait open_file(std::string_view name, open_options options = {}) const;
  /// Replaces what `to` names, atomically. Durable after sync().
  [[nodiscard]] detail::done_wait rename(std::string_view from, std::string_view to) const;
  /// Removes a file.
  [[nodiscard]] detail::done_wait remove(std::string_view name) const;
  /// Makes creations, renames and removals in it durable. Opens nothing, as sync_dir() must.
  [[nodiscard]] detail::done_wait sync() const;

  /// Of an entry of that name, for messages: by the path that the directory was opened by.
  std::string path_of(std::string_view name) const;
  void close() noexcept;

  /// False after close() or a move.
  explicit operator bool() const noexcept { return handle_ >= 0; }
  io_handle handle() const noexcept { return handle_; }

 private:
  detail::request_path entry(std::string_view name) const;

  driver* io_ = nullptr;
  io_handle handle_ = -1;
  std::string path_;
};

[[nodiscard]] inline auto open_dir(std::string path) noexcept {
  return detail::open_dir_wait(std::move(path));
}
[[nodiscard]] inline auto open_file(std::string path, open_options options = {}) noexcept {
  return detail::open_wait({std::move(path)}, options);
}
/// Replaces what `to` names, atomically. Durable after sync_dir() of the folder.
[[nodiscard]] detail::done_wait rename_path(std::string from, std::string to) noexcept;
/// Removes a file.
[[nodiscard]] detail::done_wait remove_path(std::string path) noexcept;
/// Removes an empty folder.
[[nodiscard]] detail::done_wait remove_dir(std::string path) noexcept;
[[nodiscard]] detail::done_wait make_dir(std::string path, std::uint32_t mode = 0700) noexcept;
/// Makes creations, renames and removals in a folder durable.
[[nodiscard]] detail::done_wait sync_dir(std::string path) noexcept;

/// The names in a folder but . and .., in no order. Does not wait: folders of a few thousand names
/// at start-up; larger ones belong into blocking().
std::vector<std::string> list_dir(const std::string& path);
/// Size, kind and time of a path; `not_found` is the ordinary error.
result<file_status> path_status(
    const std::string& path, std::source_location place = std::source_location::current()) noexcept;

}  // namespace weir
