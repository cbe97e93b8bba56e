#include <weir/store/internal/reading_meter.hpp>

#include <algorithm>

namespace weir::detail {

void reading_meter::begin_snapshot(std::uint64_t size) noexcept {
  if (hears_ == nullptr) return;
  snapshot_bytes_ += size;
  if (segment_bytes_ == 0) {  // an upper bound until begin_segments() says more
    for (const found_segment& one : folder_->segments) {
      if (one.state == header_state::valid) segment_bytes_ += one.size;
    }
  }
  tell();
}

void reading_meter::took_slice(std::size_t size) noexcept {
  if (hears_ == nullptr) return;
  slice_bytes_ += size;
  tell();
}

void reading_meter::begin_segments(std::uint32_t first) noexcept {
  if (hears_ == nullptr) return;
  slice_bytes_ = snapshot_bytes_;
  segment_ = first;
  segment_bytes_ = 0;
  for (const found_segment& one : folder_->segments) {
    if (one.number >= first && one.state == header_state::valid) segment_bytes_ += one.size;
  }
  tell();
}

void reading_meter::reached(std::uint32_t segment, std::uint64_t end) noexcept {
  if (hears_ == nullptr) return;
  if (segment != segment_) {
    for (const found_segment& one : folder_->segments) {
      const bool is_between = one.number >= segment_ && one.number < segment;
      if (is_between && one.state == header_state::valid) before_bytes_ += one.size;
    }
    segment_ = segment;
  }
  end_ = end;
  tell();
}

void reading_meter::tell() noexcept {
  const std::uint64_t total = snapshot_bytes_ + segment_bytes_;
  hears_->progressed(std::min(slice_bytes_ + before_bytes_ + end_, total), total);
}

}  // namespace weir::detail
