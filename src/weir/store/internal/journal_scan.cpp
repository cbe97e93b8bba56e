#include <weir/store/internal/journal_scan.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace weir::detail {

namespace {
constexpr std::uint64_t unused_look_max = std::uint64_t{4} << 20;
}

journal_scan::journal_scan(const folder_contents& folder, batch_visitor& visitor,
                           bool goes_past_damage)
    : folder_(folder), visitor_(visitor), goes_past_damage_(goes_past_damage) {}

void journal_scan::report(journal_damage damage) {
  has_loss_ = has_loss_ || damage.loses_data;
  damages_.push_back(std::move(damage));
}

void journal_scan::report_lost(std::string file, std::uint64_t offset, std::uint64_t size,
                               std::uint64_t lsn_next, std::string text) {
  const bool loses = lsn_next > chain_.lsn_next;
  report({.file = std::move(file),
          .offset = offset,
          .size = size,
          .lsn_first = loses ? chain_.lsn_next : 0,
          .lsn_last = loses ? lsn_next - 1 : 0,
          .loses_data = loses,
          .text = std::move(text)});
  chain_.lsn_next = std::max(chain_.lsn_next, lsn_next);
  chain_.is_crc_known = false;
}

task<> journal_scan::run(scan_start start) {
  chain_.lsn_next = start.lsn + 1;
  chain_.prev_crc = start.prev_crc;
  lsn_known_ = start.lsn_durable;
  start_segment_ = start.segment;
  check_earlier(start.segment);
  std::uint32_t number = start.segment;
  std::uint64_t offset = start.offset;
  // Begun later than the snapshot, behind a loss that was accepted: not the one that it means.
  const found_segment* first = folder_.next_begun(number);
  if (first != nullptr && first->number == number && first->header.lsn_first > start.lsn) {
    offset = segment_header::size;
  }
  chain_.is_crc_known = offset != segment_header::size;
  while (!is_over()) {
    const found_segment* next = enter(number, offset);
    if (next == nullptr) break;
    co_await scan_segment(*next, next->number == number ? offset : segment_header::size);
    number = next->number + 1;
    offset = segment_header::size;
  }
  if (is_over()) co_return;
  co_await check_prepared();
  if (!is_over() && lsn_known_ >= chain_.lsn_next) {
    report_lost(segment_ == 0 ? std::string("journal") : segment_name(segment_), end_, 0,
                lsn_known_ + 1, "records that were durable when a snapshot was made are missing");
  }
}

// Segments that are not replayed still hold what is alive in them.
void journal_scan::check_earlier(std::uint32_t first) {
  for (const found_segment& one : folder_.segments) {
    if (one.number >= first || is_over()) return;
    const bool is_whole = one.state == header_state::valid && one.size == one.header.capacity;
    if (is_whole) continue;
    report({.file = segment_name(one.number),
            .offset = 0,
            .size = one.size,
            .loses_data = true,
            .text = one.state == header_state::valid
                        ? fmt::format("the file has {} bytes instead of {}", one.size,
                                      one.header.capacity)
                        : one.header_fault()});
  }
}

// A snapshot was made while this segment was in use, so it was begun. It may have been given up
// since, but not without a successor.
void journal_scan::check_start(std::uint32_t number, const found_segment* next) {
  if (number != start_segment_ || chain_.lsn_next == 1) return;
  const found_segment* found = folder_.find(number);
  if (found == nullptr && next != nullptr) return;
  report({.file = segment_name(number),
          .size = found == nullptr ? 0 : found->size,
          .loses_data = true,
          .text = found == nullptr ? "the segment is missing" : found->header_fault()});
}

const found_segment* journal_scan::enter(std::uint32_t number, std::uint64_t offset) {
  const found_segment* next = folder_.next_begun(number);
  if (next == nullptr || next->number != number) check_start(number, next);
  if (next == nullptr || is_over()) return nullptr;
  // A segment that was begun proves that all records before it were durable.
  if (next->number != number || offset == segment_header::size) {
    const segment_header& header = next->header;
    lsn_known_ = std::max(lsn_known_, header.lsn_first - 1);
    if (header.lsn_first > chain_.lsn_next) {
      const found_segment* at = folder_.find(number);
      std::string text = "the segment is missing";
      if (next->number == number) text = "records before this segment are missing";
      if (next->number != number && at != nullptr) text = at->header_fault();
      report_lost(segment_name(number), 0, at == nullptr ? 0 : at->size, header.lsn_first,
                  std::move(text));
      if (is_over()) return nullptr;
    }
    if (header.lsn_first < chain_.lsn_next) {
      report(
          {.file = segment_name(next->number),
           .lsn_first = 0,
           .loses_data = true,
           .text = fmt::format("the segment begins with record {}, but record {} comes before it",
                               header.lsn_first, chain_.lsn_next - 1)});
      if (is_over()) return nullptr;
    }
    if (chain_.is_crc_known && chain_.prev_crc != header.prev_crc) {
      report({.file = segment_name(next->number),
              .text = "the batch before this segment was another; no record is missing"});
    }
    chain_.enter(header);
  }
  chain_.epoch = next->header.epoch;
  if (next->size != next->header.capacity) {
    report({.file = segment_name(next->number),
            .offset = next->size,
            .loses_data = true,
            .text = fmt::format("the file has {} bytes instead of {}", next->size,
                                next->header.capacity)});
    if (is_over()) return nullptr;
  }
  return next;
}

task<std::uint64_t> journal_scan::take_batches(segment_reader& reader, std::uint32_t number,
                                               std::uint64_t offset) {
  for (;;) {
    const parsed_batch batch = co_await reader.batch_at(offset);
    if (batch.state != batch_state::whole || !chain_.takes(batch.header)) {
      const bool is_begun = batch.header.offset == offset && batch.header.epoch == chain_.epoch &&
                            batch.header.lsn_first == chain_.lsn_next;
      torn_bytes_ = is_begun ? batch.header.length : 0;
      co_return offset;
    }
    chain_.advance(batch.header);
    lsn_known_ = std::max(lsn_known_, batch.header.lsn_durable);
    if (!visitor_.visit(batch, number)) {
      report({.file = segment_name(number),
              .offset = offset,
              .size = batch.header.length,
              .lsn_first = batch.header.lsn_first,
              .lsn_last = batch.header.lsn_last(),
              .loses_data = true,
              .text = "the records of a batch are malformed"});
      if (is_over()) co_return offset;
    }
    last_batch_ = offset == segment_header::size ? 0 : offset;
    offset = align_batch(offset + batch.header.length);
  }
}

task<> journal_scan::scan_segment(const found_segment& segment, std::uint64_t offset) {
  const std::string path = path_in(folder_.folder, segment_name(segment.number));
  file from = co_await open_file(path, {});
  segment_reader reader(from, std::min(segment.size, segment.header.capacity), path,
                        unreadable_bytes::noted);
  segment_ = segment.number;
  last_batch_.reset();
  co_await scan_batches(reader, segment, offset);
  if (reader.has_unreadable()) unreadable_.push_back(segment.number);
}

task<> journal_scan::scan_batches(segment_reader& reader, const found_segment& segment,
                                  std::uint64_t offset) {
  const found_segment* next = folder_.next_begun(segment.number + 1);
  for (;;) {
    end_ = co_await take_batches(reader, segment.number, offset);
    if (is_over()) co_return;
    if (next != nullptr && next->header.lsn_first == chain_.lsn_next) co_return;
    const batches_behind behind =
        co_await reader.look_behind(end_, {.epoch = chain_.epoch, .lsn_min = chain_.lsn_next});
    const bool is_damage = behind.is_found && (behind.first.lsn_first == chain_.lsn_next ||
                                               behind.lsn_durable >= chain_.lsn_next);
    if (is_damage) {
      std::string text = "no batch can be read here, but behind it";
      if (reader.is_unreadable(end_, behind.first_offset)) {
        text = reader.unreadable_text(end_, behind.first_offset);
      }
      report_lost(segment_name(segment.number), end_, behind.first_offset - end_,
                  behind.first.lsn_first, std::move(text));
      chain_.is_crc_known = false;
      if (is_over()) co_return;
      offset = behind.first_offset;
      // The batch that was found must be taken now, or the same place would be found for ever.
      const parsed_batch first = co_await reader.batch_at(offset);
      if (first.state != batch_state::whole || !chain_.takes(first.header)) co_return;
      continue;
    }
    // With a segment in between that can't be read, that one is to blame: enter() says so.
    const bool is_adjacent = next != nullptr && next->number == segment.number + 1;
    if (is_adjacent && next->header.lsn_first > chain_.lsn_next) {
      std::string text = "no batch can be read here, but a later segment was begun";
      if (reader.is_unreadable(end_, segment.size)) {
        text = reader.unreadable_text(end_, segment.size);
      }
      report_lost(segment_name(segment.number), end_, segment.size - end_, next->header.lsn_first,
                  std::move(text));
    } else if (next == nullptr) {
      report_unreadable_end(reader, segment);
    }
    co_return;
  }
}

// Where damaged bytes would be a torn tail, unreadable ones need not be: they may hold the batch
// that is due, or behind one that seems torn what would prove that it was durable. With the bytes
// of its header there, and no batch in them, it was never begun.
void journal_scan::report_unreadable_end(const segment_reader& reader,
                                         const found_segment& segment) {
  if (!reader.is_unreadable(end_, segment.size)) return;
  const bool loses = torn_bytes_ != 0 || reader.is_unreadable(end_, end_ + batch_header::size);
  if (loses) torn_bytes_ = 0;
  report({.file = segment_name(segment.number),
          .offset = end_,
          .size = segment.size - end_,
          .loses_data = loses,
          .text = reader.unreadable_text(end_, segment.size) +
                  (loses ? "; what was written last may lie there" : "; nothing lies there")});
}

// Files behind the last segment that was begun: nothing in them may have been acknowledged.
task<> journal_scan::check_prepared() {
  std::uint32_t number = std::max(folder_.last_begun() + 1, start_segment_);
  bool may_be_begun = true;  // the next that would be, or one behind it that can't be read either
  for (const found_segment& one : folder_.segments) {
    if (one.number < number) continue;
    if (one.number > number) report_missing(number, one.number - 1);
    if (is_over()) co_return;
    co_await check_unused(one, may_be_begun);
    may_be_begun = may_be_begun && one.read_errno != 0;
    number = one.number + 1;
  }
}

// In one report: a file whose name was damaged may be the only one for a billion numbers.
void journal_scan::report_missing(std::uint32_t first, std::uint32_t last) {
  std::string text = "the segment is missing";
  if (first != last) text = fmt::format("the segments {} to {} are missing", first, last);
  report({.file = segment_name(first), .loses_data = true, .text = std::move(text)});
}

task<> journal_scan::check_unused(const found_segment& segment, bool may_be_begun) {
  const std::string name = segment_name(segment.number);
  if (segment.state == header_state::cut) {
    report({.file = name,
            .size = segment.size,
            .loses_data = true,
            .text = fmt::format("the file has only {} bytes", segment.size)});
    co_return;
  }
  if (segment.state == header_state::stale && segment.header.lsn_first >= chain_.lsn_next) {
    report(
        {.file = name,
         .loses_data = true,
         .text = fmt::format("the file is segment {} under another name", segment.header.number)});
    co_return;
  }
  const std::string path = path_in(folder_.folder, name);
  file from = co_await open_file(path, {});
  const std::uint64_t size = std::min(segment.size, segment_bytes_max);
  segment_reader whole(from, size, path, unreadable_bytes::noted);
  const parsed_batch first = co_await whole.batch_at(segment_header::size);
  const bool is_begun =
      first.state == batch_state::whole && first.header.lsn_first >= chain_.lsn_next;
  // A header that was wiped looks like one that was never written, so a part is looked through in
  // any case. Record numbers only grow: what is left of an earlier use is older than what is
  // sought. But there lies what clients sent then, too, which may look like any batch. No client's
  // bytes are at the first batch's place, so its epoch is to be trusted. Without it a file with the
  // whole header of an earlier use needs more to be suspected: the run of the last batch.
  batch_search what{.lsn_min = chain_.lsn_next};
  if (first.state == batch_state::whole) what.epoch = first.header.epoch;
  if (segment.state == header_state::stale && !is_begun) {
    if (chain_.run == 0) co_return;
    what.epoch = 0;
    what.run = chain_.run;
  }
  const bool is_suspect = is_begun || segment.state == header_state::damaged;
  segment_reader reader(from, is_suspect ? size : std::min(size, unused_look_max), path,
                        unreadable_bytes::noted);
  const batches_behind behind = co_await reader.look_behind(segment_header::size, what);
  if (whole.has_unreadable() || reader.has_unreadable()) unreadable_.push_back(segment.number);
  if (behind.is_found && behind.lsn_durable >= chain_.lsn_next) {
    report_lost(name, 0, segment.size, behind.lsn_next, segment.header_fault());
  } else if (segment.read_errno != 0) {
    report({.file = name,
            .size = segment.size,
            .loses_data = may_be_begun,
            .text = segment.header_fault() + (may_be_begun ? "; what was written last may lie there"
                                                           : "; nothing lies there")});
  }
}

}  // namespace weir::detail
