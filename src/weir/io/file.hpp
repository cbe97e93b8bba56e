// Files and directories: open, read and write at offsets, sync, rename. Every call that may touch
// the disk is a wait; each goes through as_result() without a throw. Durability is in the caller's
// hands: data after sync_data(), a new or renamed name after sync_dir() of its folder (see "All
// File Systems Are Not Created Equal", Pillai et al., 2014).
#pragma once

#include <weir/io/io_wait.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace weir {

class directory;
class file;

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

namespace detail {

/// What a request is about: a path, or a name in an open directory with that one's path in front,
/// for messages.
struct request_path {
  std::string text = {};
  std::size_t begin = 0;  // of the name; 0: it is a path

  const char* c_str() const noexcept { return text.empty() ? nullptr : text.c_str() + begin; }
  /// It has a zero byte, or is a name that leads out of its directory.
  bool is_refused() const noexcept;
  error refusal(const char* what, std::source_location place) const noexcept;
  /// It is a name in a directory that was closed, whose place nothing else may take.
  bool is_homeless(io_handle directory) const noexcept { return begin != 0 && directory < 0; }
};

/// A request without a value: sync, rename, remove ... Owns the paths it works on.
class [[nodiscard]] done_wait final : public io_wait<done_wait, void> {
 public:
  done_wait(const wait_kind& of, io_op what, io_handle on) noexcept : io_wait(of) {
    op = what;
    handle = on;
  }
  done_wait(const wait_kind& of, io_op what, std::string from, std::string to = {}) noexcept
      : done_wait(of, what, -1, {std::move(from)}, {std::move(to)}) {}
  done_wait(const wait_kind& of, io_op what, io_handle in, request_path from,
            request_path to = {}) noexcept
      : done_wait(of, what, in) {
    from_ = std::move(from);
    to_ = std::move(to);
  }
  done_wait& with(std::uint32_t flag_bits, std::uint64_t at = 0, std::size_t length = 0) noexcept {
    flags = flag_bits;
    offset = at;
    size = length;
    return *this;
  }
  done_wait& with_mode(std::uint32_t bits) noexcept {
    mode = bits;
    return *this;
  }
  bool try_now() noexcept;
  result<void> take() noexcept;

 private:
  request_path from_;
  request_path to_;
};

class [[nodiscard]] open_wait final : public io_wait<open_wait, file> {
 public:
  open_wait(request_path what, open_options options, io_handle in = -1) noexcept;
  bool try_now() noexcept;
  result<file> take() noexcept;

 private:
  request_path what_;
};

class [[nodiscard]] open_dir_wait final : public io_wait<open_dir_wait, directory> {
 public:
  explicit open_dir_wait(std::string name) noexcept;
  bool try_now() noexcept;
  result<directory> take() noexcept;

 private:
  request_path what_;
};

class [[nodiscard]] read_wait final : public io_wait<read_wait, std::size_t> {
 public:
  read_wait(io_handle from, std::uint64_t at, char* into, std::size_t length) noexcept;
  result<std::size_t> take() noexcept;
};

/// Writes all of it, however many system calls that takes.
class [[nodiscard]] write_wait final : public io_wait<write_wait, void> {
 public:
  static constexpr auto when_cancelled = cancel_safety::partial;
  enum class way : std::uint8_t { at_offset, at_offset_durably, at_end };
  /// `is_open_for_it`: a file is opened for one of the ways, at an offset or at the end.
  write_wait(io_handle to, std::uint64_t at, slice_cursor what, way how, bool is_open_for_it,
             std::size_t* written = nullptr) noexcept;
  bool try_now() noexcept;
  bool goes_on() noexcept;
  result<void> take() noexcept;

 private:
  bool is_refused() const noexcept { return handle >= 0 && !is_open_for_it_; }

  slice_cursor left_;
  std::uint64_t done_ = 0;
  std::size_t* written_;
  way how_;
  bool is_open_for_it_;
};

}  // namespace detail

/// An open file.
///
/// Cancel:  a cancelled write has written a prefix or nothing, and may be repeated; an append()
///          says how much is there; all others happened or did not.
/// Order:   none between operations in flight at once; await one before the next to order them.
/// Bound:   the driver's blocking pool or ring; memory is the caller's until the wait ends.
/// Errors:  `no_space`, `io`, ...; a failed write says how much was written; `closed` after close;
///          `permission_denied` for what it was not opened for, write_at() with `append` among it.
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
  /// takes less than all at once. What is written is in `appended`, also after a cancellation.
  auto append(std::string_view data, std::size_t* appended = nullptr) noexcept {
    return detail::write_wait(detail::handle_here(io_, handle_), 0, cursor_over(data),
                              detail::write_wait::way::at_end, is_for_append_, appended);
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
                           detail::write_wait::way how) noexcept {
    return {detail::handle_here(io_, handle_), offset, what, how, !is_for_append_};
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
