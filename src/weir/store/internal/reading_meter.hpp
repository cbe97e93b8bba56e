// Tells somebody how much of a journal has been gone over: its snapshots first, then its segments.
#pragma once

#include <weir/base/progress.hpp>
#include <weir/store/internal/journal_folder.hpp>

namespace weir::detail {

class reading_meter {
 public:
  /// `hears` may be null: then nothing is told, nor counted.
  reading_meter(progress_listener* hears, const folder_contents& folder) noexcept
      : hears_(hears), folder_(&folder) {}

  /// A snapshot of `size` bytes is about to be read.
  void begin_snapshot(std::uint64_t size) noexcept;
  void took_slice(std::size_t size) noexcept;
  /// The segments from `first` on are about to be read.
  void begin_segments(std::uint32_t first) noexcept;
  /// All of `segment` up to `end` has been read, and all before it.
  void reached(std::uint32_t segment, std::uint64_t end) noexcept;

 private:
  void tell() noexcept;

  progress_listener* hears_;
  const folder_contents* folder_;
  std::uint64_t snapshot_bytes_ = 0;  // of the snapshots that were begun
  std::uint64_t slice_bytes_ = 0;
  std::uint64_t segment_bytes_ = 0;  // of the segments to read
  std::uint64_t before_bytes_ = 0;   // of those before the one that is being read
  std::uint64_t end_ = 0;            // what of that one has been read
  std::uint32_t segment_ = 0;
};

}  // namespace weir::detail
