#include <weir/store/internal/segment_reader.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <span>

namespace weir::detail {

namespace {

bool may_begin(std::string_view at, std::uint64_t offset, const batch_search& what) noexcept {
  constexpr std::size_t own_offset_at = 40;  // of batch_header::offset
  std::uint32_t own = 0;
  std::memcpy(&own, at.data() + own_offset_at, sizeof own);
  return own == offset && what.wants(decode_batch_header(at));
}

}  // namespace

task<std::string_view> segment_reader::bytes_at(std::uint64_t offset, std::size_t size) {
  const bool is_here = offset >= start_ && offset + size <= start_ + window_.size();
  if (!is_here && offset < capacity_) {
    const std::size_t wanted = static_cast<std::size_t>(
        std::min<std::uint64_t>(std::max(size, window_size), capacity_ - offset));
    co_await fill_window(offset, wanted);
  }
  if (offset < start_ || offset > start_ + window_.size()) co_return std::string_view();
  co_return std::string_view(window_).substr(static_cast<std::size_t>(offset - start_));
}

// A disk fails by sectors and the kernel reads by pages, so behind a failure each page is asked for
// by itself: all around the bad ones is there.
task<> segment_reader::fill_window(std::uint64_t offset, std::size_t wanted) {
  constexpr std::uint64_t page = 4096;
  window_.resize(wanted);
  bool goes_by_pages = false;
  std::size_t filled = 0;
  while (filled < wanted) {
    const std::uint64_t at = offset + filled;
    const std::uint64_t page_end = std::min(at / page * page + page, offset + wanted);
    const std::uint64_t end = goes_by_pages ? page_end : offset + wanted;
    const std::span into(window_.data() + filled, static_cast<std::size_t>(end - at));
    const auto got = co_await as_result(file_.read_at(at, into));
    if (got) {
      if (*got == 0) break;
      filled += *got;
      continue;
    }
    if (got.error() != errc::io || unreadable_ == unreadable_bytes::raised) {
      window_.clear();
      if (got.error() == errc::cancelled) co_await checkpoint();  // ends here
      raise(error(got.error().code(), fmt::format("'{}' can't be read at byte {}", path_, at))
                .caused_by(got.error()));
    }
    if (goes_by_pages) {
      if (holes_.empty()) hole_os_ = got.error().os_code();
      note_unreadable(at / page * page, page_end);
      std::ranges::fill(into, '\0');
      filled += into.size();
    }
    goes_by_pages = true;
  }
  window_.resize(filled);
  start_ = offset;
}

void segment_reader::note_unreadable(std::uint64_t from, std::uint64_t end) {
  const auto first = std::ranges::lower_bound(holes_, from, {}, &range::end);
  auto behind = first;
  for (; behind != holes_.end() && behind->from <= end; ++behind) {
    from = std::min(from, behind->from);
    end = std::max(end, behind->end);
  }
  holes_.insert(holes_.erase(first, behind), {from, end});
}

bool segment_reader::is_unreadable(std::uint64_t from, std::uint64_t end) const noexcept {
  const auto at = std::ranges::upper_bound(holes_, from, {}, &range::end);
  return at != holes_.end() && at->from < end;
}

std::string segment_reader::unreadable_text(std::uint64_t from, std::uint64_t end) const {
  std::string places;
  for (const range& one : holes_) {
    if (one.end <= from || one.from >= end) continue;
    places += fmt::format("{}{} to {}", places.empty() ? "" : ", ", one.from, one.end);
  }
  return fmt::format("the disk can't read bytes {} ({})", places, std::strerror(hole_os_));
}

task<parsed_batch> segment_reader::batch_at(std::uint64_t offset) {
  parsed_batch parsed =
      parse_batch(co_await bytes_at(offset, batch_header::size), offset, capacity_);
  if (parsed.state != batch_state::partial) co_return parsed;
  // Its length is known now; at most the second look is final unless the file itself is cut.
  parsed = parse_batch(co_await bytes_at(offset, parsed.wanted), offset, capacity_);
  if (parsed.state == batch_state::partial) {
    parsed = parse_batch(co_await bytes_at(offset, parsed.wanted), offset, capacity_);
  }
  if (parsed.state == batch_state::partial) parsed.reason = "the file is too short";
  co_return parsed;
}

task<batches_behind> segment_reader::look_behind(std::uint64_t offset, batch_search what) {
  batches_behind found;
  std::uint64_t at = align_batch(offset);
  while (at + batch_header::size <= capacity_) {
    const std::string_view here = co_await bytes_at(at, batch_header::size);
    if (here.size() < batch_header::size) break;
    // Nearly every place is no batch's: one comparison decides, so the walk costs what reading
    // does. A body made for it can name its own offset at every place; only what is looked for is
    // summed.
    std::size_t skip = 0;
    for (; skip + batch_header::size <= here.size(); skip += batch_align) {
      if (may_begin(here.substr(skip), at + skip, what)) break;
    }
    at += skip;
    if (skip + batch_header::size > here.size()) continue;
    const parsed_batch parsed = co_await batch_at(at);
    const batch_header& header = parsed.header;
    if (parsed.state != batch_state::whole) {
      at += batch_align;
      continue;
    }
    if (!found.is_found) {
      found.is_found = true;
      found.first = header;
      found.first_offset = at;
    }
    found.lsn_durable = std::max(found.lsn_durable, header.lsn_durable);
    found.lsn_next = std::max(found.lsn_next, header.lsn_first + header.count);
    at = align_batch(at + header.length);
  }
  co_return found;
}

}  // namespace weir::detail
