// The part of the journal that is only in memory yet: groups in the order of their places. The last
// one takes appends until the writer takes it. The latest of the written ones stay for a while, so
// that whoever keeps up with the producers reads without a system call. The hard idea: places are
// given before anything is written, so the bytes of a group are laid out once, where they will be
// written from; sealing only fills the room that was left for the headers.
//
//   segment 7: ... |batch|batch|[ front: sealed, in flight ][ back: filling ]
//
// Invariants: (1) only the back takes records, and only until it is sealed; (2) offsets of groups
// in one segment grow and never overlap; (3) bytes() is the sum of the sizes of all groups
// that are not written; (4) the memory of those that are is recent_bytes_max_ at most; (5) what
// fails for want of memory has changed nothing.
#pragma once

#include <weir/store/journal_format.hpp>

#include <deque>
#include <optional>
#include <span>
#include <string>

namespace weir::detail {

/// One write and, unless it is a mark, one sync.
struct pending_group {
  std::uint32_t segment = 0;
  std::uint32_t offset = 0;  // of bytes[0] in the segment
  std::uint64_t epoch = 0;
  std::uint64_t lsn_first = 0;
  std::uint32_t count = 0;
  bool begins_segment = false;  // the segment's header is in front of the batch
  bool is_sealed = false;
  std::string bytes;

  std::uint32_t batch_offset() const noexcept {
    return offset + (begins_segment ? static_cast<std::uint32_t>(segment_header::size) : 0);
  }
  std::uint64_t end() const noexcept { return offset + bytes.size(); }
  std::uint64_t lsn_last() const noexcept { return lsn_first + count - 1; }
};

/// The segment that takes new groups.
struct current_segment {
  std::uint32_t number = 0;  // 0: none yet
  std::uint64_t capacity = 0;
  std::uint64_t epoch = 0;
  std::uint64_t end = 0;  // where the next group begins, before alignment
  bool is_begun = false;  // its header is on its way or written
};

class pending_groups {
 public:
  enum class fit : std::uint8_t { extends_group, new_group, new_segment };

  pending_groups(std::size_t group_bytes_max, std::size_t recent_bytes_max)
      : group_bytes_max_(group_bytes_max), recent_bytes_max_(recent_bytes_max) {}

  /// Where records of `size` framed bytes would go.
  fit fit_of(std::size_t size) const noexcept;
  /// From now on groups go to this segment.
  void enter(const current_segment& segment) noexcept { current_ = segment; }
  /// Lays the records out; fit_of() must not be new_segment. Gives the LSN of the last.
  std::uint64_t add(std::span<const record_view> records, std::size_t size,
                    std::span<location> places);
  /// Adds an empty batch that only says what is durable; false: no room in the segment.
  bool add_mark();

  bool is_empty() const noexcept { return groups_.empty(); }
  pending_group& front() noexcept { return groups_.front(); }
  /// The front is written.
  void pop_front() noexcept;
  /// A copy of a framed record that is still here, written or not.
  std::optional<std::string> find(location where) const;

  std::size_t bytes() const noexcept { return bytes_; }
  std::uint64_t lsn_next() const noexcept { return lsn_next_; }
  void set_lsn_next(std::uint64_t lsn) noexcept { lsn_next_ = lsn; }
  const current_segment& current() const noexcept { return current_; }
  /// The first batch boundary at which everything that follows is not sealed yet: its LSN and
  /// place.
  snapshot_header boundary() const noexcept;

 private:
  pending_group& begin_group(std::size_t size);
  void keep(pending_group& done) noexcept;

  static constexpr std::size_t kept_buffer_max = std::size_t{4} << 20;
  std::size_t group_bytes_max_;
  std::size_t recent_bytes_max_;
  std::deque<pending_group> groups_;
  std::deque<pending_group> recent_;  // written, oldest first
  std::size_t recent_bytes_ = 0;      // of their memory
  std::string spare_;                 // the memory of a group, for the next
  current_segment current_;
  std::uint64_t lsn_next_ = 1;
  std::size_t bytes_ = 0;  // (3)
};

}  // namespace weir::detail
