// Reads batches from a segment's file through a window of memory, and looks for batches behind
// damage. Recovery, compaction and the check read through it.
#pragma once

#include <weir/core/task.hpp>
#include <weir/io/file.hpp>
#include <weir/store/journal_format.hpp>

#include <string>
#include <utility>
#include <vector>

namespace weir::detail {

/// What lies behind a place at which no batch can be read.
struct batches_behind {
  bool is_found = false;
  batch_header first;  // the first whole batch
  std::uint64_t first_offset = 0;
  std::uint64_t lsn_durable = 0;  // the most that any whole batch says was durable
  std::uint64_t lsn_next = 0;     // behind the last record of any whole batch
};

/// Which batches are looked for. What clients sent lies in a segment as well and may look like any
/// batch, but they know no epoch and no run.
struct batch_search {
  std::uint64_t epoch = 0;    // 0: any
  std::uint32_t run = 0;      // 0: any
  std::uint64_t lsn_min = 1;  // they begin with this record or a later one

  bool wants(const batch_header& header) const noexcept {
    return (epoch == 0 || header.epoch == epoch) && (run == 0 || header.run == run) &&
           header.lsn_first >= lsn_min;
  }
};

/// What becomes of bytes that the disk can't give (EIO).
enum class unreadable_bytes : std::uint8_t {
  raised,  // as an error with the file's name
  noted,   // they are read as zeros, which are no batch, and the reader can tell where they lie
};

class segment_reader {
 public:
  static constexpr std::size_t window_size = std::size_t{1} << 20;

  /// `from` and `capacity` (the bytes to look at) are the caller's; `from` must outlive the reader.
  /// `path` is for errors.
  segment_reader(file& from, std::uint64_t capacity, std::string path,
                 unreadable_bytes unreadable = unreadable_bytes::raised) noexcept
      : file_(from), capacity_(capacity), path_(std::move(path)), unreadable_(unreadable) {}

  /// What is at `offset`: at least `size` bytes unless the file ends before. Valid until the next
  /// call.
  task<std::string_view> bytes_at(std::uint64_t offset, std::size_t size);
  /// The batch at `offset`; never `partial` but where the file is cut. Its body is valid until the
  /// next call.
  task<parsed_batch> batch_at(std::uint64_t offset);
  /// Looks through everything from `offset` on for whole batches.
  task<batches_behind> look_behind(std::uint64_t offset, batch_search what);

  std::uint64_t capacity() const noexcept { return capacity_; }
  bool has_unreadable() const noexcept { return !holes_.empty(); }
  /// True when some of these bytes were to be read and couldn't be.
  bool is_unreadable(std::uint64_t from, std::uint64_t end) const noexcept;
  /// "the disk can't read bytes 4096 to 8192 (Input/output error)": which of these, in words.
  std::string unreadable_text(std::uint64_t from, std::uint64_t end) const;

 private:
  struct range {
    std::uint64_t from;
    std::uint64_t end;
  };
  task<> fill_window(std::uint64_t offset, std::size_t wanted);
  void note_unreadable(std::uint64_t from, std::uint64_t end);

  file& file_;
  std::uint64_t capacity_;
  std::string path_;
  unreadable_bytes unreadable_;
  std::uint64_t start_ = 0;
  std::string window_;
  std::vector<range> holes_;  // sorted, apart from each other
  int hole_os_ = 0;           // the errno of the first
};

}  // namespace weir::detail
