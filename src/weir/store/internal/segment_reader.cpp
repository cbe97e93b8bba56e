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
    window_.resize(wanted);
    std::size_t filled = 0;
    while (filled < wanted) {
      const auto got = co_await as_result(
          file_.read_at(offset + filled, std::span(window_.data() + filled, wanted - filled)));
      if (!got) {
        window_.clear();
        if (got.error() == errc::cancelled) co_await checkpoint();  // ends here
        raise(error(got.error().code(),
                    fmt::format("'{}' can't be read at byte {}", path_, offset + filled))
                  .caused_by(got.error()));
      }
      if (*got == 0) break;
      filled += *got;
    }
    window_.resize(filled);
    start_ = offset;
  }
  if (offset < start_ || offset > start_ + window_.size()) co_return std::string_view();
  co_return std::string_view(window_).substr(static_cast<std::size_t>(offset - start_));
}

task<parsed_batch> segment_reader::batch_at(std::uint64_t offset) {
  parsed_batch parsed =
      parse_batch(co_await bytes_at(offset, batch_header::size), offset, capacity_);
  if (parsed.state != parse_state::partial) co_return parsed;
  // Its length is known now; at most the second look is final unless the file itself is cut.
  parsed = parse_batch(co_await bytes_at(offset, parsed.wanted), offset, capacity_);
  if (parsed.state == parse_state::partial) {
    parsed = parse_batch(co_await bytes_at(offset, parsed.wanted), offset, capacity_);
  }
  if (parsed.state == parse_state::partial) parsed.reason = "the file is too short";
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
    if (parsed.state != parse_state::whole) {
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
