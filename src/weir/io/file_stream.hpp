// A file as a source or a sink of bytes, from an offset on: for readers, writers, copies and pipes.
//
//   weir::file log = co_await weir::open_file(path);
//   weir::file_source bytes(log);
//   weir::reader lines(bytes);
//
// The hard idea: the offset moves only after a read or a write is complete, so a cancelled one can
// be repeated as if it had not been.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/core/task.hpp>
#include <weir/io/file.hpp>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace weir {

struct file_stream_options {
  std::uint64_t offset = 0;              // where it begins
  std::size_t piece_bytes = 128 * 1024;  // what one read or write takes at most
};

/// The bytes of a file, which outlives it.
///
/// Cancel:  a cancelled receive has taken nothing.
/// Order:   from `offset` to the end, one receive at a time.
/// Bound:   piece_bytes a receive, in a block of its own.
/// Errors:  those of the file; the end is empty, and a later receive sees what was added since.
/// Threads: one loop.
class file_source {
 public:
  explicit file_source(file& of, file_stream_options options = {}) noexcept
      : file_(&of), options_(options) {}

  task<bytes> receive();
  /// Makes the next receive begin at these bytes again, which are the last that it gave.
  bool put_back(const bytes& rest) noexcept {
    options_.offset -= rest.size();
    return true;
  }
  std::uint64_t offset() const noexcept { return options_.offset; }
  explicit operator bool() const noexcept { return static_cast<bool>(*file_); }

 private:
  file* file_;
  file_stream_options options_;
};

/// Writes to a file, which outlives it: one piece after the other, or, to a file that was opened
/// with `append`, a send as one append(), so that nothing of another's is between its pieces.
///
/// Cancel:  a cancelled send has written what `sent` says; a part of what follows may be written,
///          too, and is written again by whoever goes on. Of what is appended, `sent` says all.
/// Order:   from `offset` on; with `append` at the end of the file, and offset() only counts. One
///          send at a time.
/// Bound:   piece_bytes a write, with `append` a send; nothing is buffered.
/// Errors:  those of the file: `no_space`, `io` ..., which leave what a cancelled send leaves;
///          nothing is durable before file::sync_data().
/// Threads: one loop.
class file_sink {
 public:
  explicit file_sink(file& of, file_stream_options options = {}) noexcept
      : file_(&of), options_(options) {}

  task<> send(std::string_view data, std::size_t* sent = nullptr);
  task<> send(std::span<const io_slice> pieces, std::size_t* sent = nullptr);
  std::uint64_t offset() const noexcept { return options_.offset; }
  explicit operator bool() const noexcept { return static_cast<bool>(*file_); }

 private:
  file* file_;
  file_stream_options options_;
};

}  // namespace weir
