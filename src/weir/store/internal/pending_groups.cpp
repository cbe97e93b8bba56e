#include <weir/store/internal/pending_groups.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/probe.hpp>

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

namespace weir::detail {

pending_groups::fit pending_groups::fit_of(std::size_t size) const noexcept {
  if (current_.number == 0) return fit::new_segment;
  if (!groups_.empty()) {
    const pending_group& back = groups_.back();
    const bool is_open = !back.is_sealed && back.segment == current_.number;
    if (is_open && back.bytes.size() + size <= group_bytes_max_ &&
        back.end() + size <= current_.capacity) {
      return fit::extends_group;
    }
  }
  const std::uint64_t at = align_batch(current_.end);
  const std::size_t head = batch_header::size + (current_.is_begun ? 0 : segment_header::size);
  return at + head + size <= current_.capacity ? fit::new_group : fit::new_segment;
}

// With memory for `size` bytes of records. All that may fail comes before anything is touched (5).
pending_group& pending_groups::begin_group(std::size_t size) {
  pending_group made;
  made.segment = current_.number;
  made.epoch = current_.epoch;
  made.begins_segment = !current_.is_begun;
  made.offset = made.begins_segment ? 0 : static_cast<std::uint32_t>(align_batch(current_.end));
  made.lsn_first = lsn_next_;
  made.bytes = std::exchange(spare_, {});
  const std::size_t head = batch_header::size + (made.begins_segment ? segment_header::size : 0);
  made.bytes.reserve(head + size);
  made.bytes.assign(head, '\0');
  groups_.push_back(std::move(made));
  pending_group& back = groups_.back();
  bytes_ += back.bytes.size();
  current_.is_begun = true;
  current_.end = back.end();
  return back;
}

std::uint64_t pending_groups::add(std::span<const record_view> records, std::size_t size,
                                  std::span<location> places) {
  const fit where = fit_of(size);
  WEIR_ASSERT(where != fit::new_segment && places.size() >= records.size());
  pending_group& group = where == fit::extends_group ? groups_.back() : begin_group(size);
  std::size_t at = group.bytes.size();
  group.bytes.resize(at + size);
  for (std::size_t i = 0; i < records.size(); ++i) {
    const std::size_t framed = record_framing_size + records[i].payload.size();
    const auto offset = group.offset + static_cast<std::uint32_t>(at);
    encode_record(records[i], group.epoch, offset, group.bytes.data() + at);
    places[i] = {group.segment, offset, static_cast<std::uint32_t>(framed)};
    at += framed;
  }
  WEIR_ASSERT(at == group.bytes.size());
  bytes_ += size;
  group.count += static_cast<std::uint32_t>(records.size());
  lsn_next_ += records.size();
  current_.end = group.end();
  return lsn_next_ - 1;
}

bool pending_groups::add_mark() {
  WEIR_ASSERT(groups_.empty());
  if (fit_of(0) != fit::new_group) return false;
  begin_group(0).is_sealed = true;
  return true;
}

// It is durable already: without memory to keep it, it is read from the disk.
void pending_groups::keep(pending_group& done) noexcept {
  const std::size_t size = done.bytes.capacity();
  try {
    recent_.push_back(std::move(done));
    recent_bytes_ += size;
  } catch (const std::bad_alloc&) {  // NOLINT(bugprone-empty-catch): as the comment above says
  }
}

void pending_groups::pop_front() noexcept {
  pending_group& done = groups_.front();
  bytes_ -= done.bytes.size();
  if (done.count == 0) {  // a mark
    spare_ = std::move(done.bytes);
  } else {
    // A small group in the memory of a large one would drive out many others.
    if (done.bytes.capacity() / 4 > done.bytes.size()) done.bytes.shrink_to_fit();
    keep(done);
  }
  groups_.pop_front();
  while (recent_bytes_ > recent_bytes_max_) {  // (4)
    std::string& oldest = recent_.front().bytes;
    recent_bytes_ -= oldest.capacity();
    if (oldest.capacity() <= kept_buffer_max) spare_ = std::move(oldest);
    recent_.pop_front();
  }
}

std::optional<std::string> pending_groups::find(location where) const {
  const auto is_behind = [](location at, const pending_group& group) {
    return at.segment != group.segment ? at.segment < group.segment
                                       : at.offset < group.batch_offset();
  };
  for (const auto* groups : {&groups_, &recent_}) {
    if (groups == &recent_ && maybe("weir: what was just written is read from the disk")) break;
    const auto next = std::upper_bound(groups->begin(), groups->end(), where, is_behind);
    if (next == groups->begin()) continue;
    const pending_group& group = *std::prev(next);
    if (group.segment != where.segment) continue;
    const std::size_t at = where.offset - group.offset;
    if (at + where.size <= group.bytes.size()) return group.bytes.substr(at, where.size);
  }
  return std::nullopt;
}

snapshot_header pending_groups::boundary() const noexcept {
  if (!groups_.empty() && !groups_.back().is_sealed) {
    const pending_group& back = groups_.back();
    return {.lsn = back.lsn_first - 1, .segment = back.segment, .offset = back.batch_offset()};
  }
  const std::uint32_t offset = current_.is_begun
                                   ? static_cast<std::uint32_t>(align_batch(current_.end))
                                   : static_cast<std::uint32_t>(segment_header::size);
  return {.lsn = lsn_next_ - 1, .segment = current_.number, .offset = offset};
}

}  // namespace weir::detail
