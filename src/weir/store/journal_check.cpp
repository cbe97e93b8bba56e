#include <weir/store/journal_check.hpp>

#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/store/internal/journal_folder.hpp>
#include <weir/store/internal/journal_scan.hpp>
#include <weir/store/internal/reading_meter.hpp>
#include <weir/store/internal/snapshot_file.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <optional>
#include <utility>

namespace weir {

namespace {

using namespace detail;

class slice_counter final : public slice_taker {
 public:
  explicit slice_counter(reading_meter& meter) noexcept : meter_(meter) {}
  void take(std::string_view slice) override { meter_.took_slice(slice.size()); }

 private:
  reading_meter& meter_;
};

class counter final : public batch_visitor {
 public:
  explicit counter(reading_meter& meter) noexcept : meter_(meter) {}
  bool visit(const parsed_batch& batch, std::uint32_t segment) override {
    meter_.reached(segment, batch.header.offset + batch.header.length);
    ++batches;
    record_cursor cursor(batch, segment);
    record_view record;
    location where;
    std::uint64_t inside = 0;
    while (cursor.next(record, where)) {
      ++inside;
      bytes += where.size;
    }
    records += inside;
    return cursor.rest.empty() && inside == batch.header.count;
  }
  std::uint64_t batches = 0;
  std::uint64_t records = 0;
  std::uint64_t bytes = 0;

 private:
  reading_meter& meter_;
};

/// The snapshots; gives where opening would begin to replay.
task<scan_start> check_snapshots(const folder_contents& contents, journal_report& found,
                                 reading_meter& meter) {
  scan_start start;
  bool is_last_unread = false;
  for (const found_snapshot& one : contents.snapshots) {
    const std::string path = path_in(contents.folder, one.name);
    if (const auto status = path_status(path)) meter.begin_snapshot(status->size);
    slice_counter slices(meter);
    const auto info = co_await as_result(read_snapshot(path, one.lsn, slices));
    if (!info) {
      if (info.error() == errc::cancelled) co_await checkpoint();  // ends here
      is_last_unread = info.error() == errc::io;
      if (info.error() != errc::corrupt && !is_last_unread) raise(info.error());
      found.damages.push_back(
          {.file = one.name,
           .text = is_last_unread ? describe(info.error()) : std::string(info.error().message())});
      continue;
    }
    if (found.snapshots++ == 0) {
      found.snapshot_lsn = info->header.lsn;
      start = {.lsn = info->header.lsn,
               .segment = std::max(info->header.segment, 1u),
               .offset = info->header.offset,
               .prev_crc = info->prev_crc,
               .lsn_durable = info->lsn_end};
    }
  }
  start.lsn_durable = std::max(start.lsn_durable, durable_by_name(contents));
  // Opening refuses then: what the disk can't read today, it may read tomorrow.
  if (found.snapshots == 0 && is_last_unread) found.damages.back().loses_data = true;
  co_return start;
}

/// Batches in front of the replay are read by nobody when the journal is opened: damage there shows
/// up only when a message in it is wanted.
task<> check_earlier(const folder_contents& contents, const scan_start& start,
                     const found_segment& segment, counter& count, journal_report& found) {
  const std::string name = segment_name(segment.number);
  const std::string path = path_in(contents.folder, name);
  file from = co_await open_file(path, {});
  segment_reader reader(from, std::min(segment.size, segment.header.capacity), path,
                        unreadable_bytes::noted);
  const found_segment* next = contents.next_begun(segment.number + 1);
  const std::uint64_t stop = segment.number == start.segment ? start.offset : reader.capacity();
  const std::uint64_t lsn_stop = segment.number == start.segment ? start.lsn + 1
                                 : next != nullptr               ? next->header.lsn_first
                                                                 : start.lsn + 1;
  batch_chain chain{.lsn_next = segment.header.lsn_first};
  chain.enter(segment.header);
  std::uint64_t at = segment_header::size;
  while (at < stop && chain.lsn_next < lsn_stop) {
    const parsed_batch batch = co_await reader.batch_at(at);
    if (batch.state == batch_state::whole && chain.takes(batch.header)) {
      chain.advance(batch.header);
      count.visit(batch, segment.number);
      at = align_batch(at + batch.header.length);
      continue;
    }
    const batches_behind behind =
        co_await reader.look_behind(at, {.epoch = chain.epoch, .lsn_min = chain.lsn_next});
    const bool is_more = behind.is_found && behind.first_offset < stop;
    // Segments between two that are there may have been given up, with their records.
    const bool is_known = next != nullptr && next->number == segment.number + 1;
    const std::uint64_t lsn_next = is_more ? behind.first.lsn_first : lsn_stop;
    const bool is_sure = is_more || is_known || segment.number == start.segment;
    const std::uint64_t end = is_more ? behind.first_offset : stop;
    const bool is_unread = reader.is_unreadable(at, end);
    if (is_sure || is_unread) {
      const bool loses = is_sure && lsn_next > chain.lsn_next;
      const std::string what =
          is_unread ? reader.unreadable_text(at, end) : "no batch can be read here";
      found.damages.push_back({.file = name,
                               .offset = at,
                               .size = end - at,
                               .lsn_first = loses ? chain.lsn_next : 0,
                               .lsn_last = loses ? lsn_next - 1 : 0,
                               .text = what + "; a snapshot covers it, but messages in it can't "
                                              "be delivered"});
    }
    if (!is_more) co_return;
    at = behind.first_offset;
    chain.lsn_next = lsn_next;
    chain.is_crc_known = false;
  }
}

}  // namespace

std::string describe(const journal_damage& damage) {
  std::string text = damage.file;
  if (damage.size != 0) {
    text += fmt::format(", bytes {} to {}", damage.offset, damage.offset + damage.size);
  } else if (damage.offset != 0) {
    text += fmt::format(", from byte {}", damage.offset);
  }
  text += fmt::format(": {}", damage.text);
  if (damage.lsn_first != 0) {
    text += fmt::format("; records {} to {} can't be read", damage.lsn_first, damage.lsn_last);
  }
  return text;
}

task<journal_report> check_journal(std::string folder, progress_listener* progress) {
  journal_report found;
  found.folder = folder;
  const auto status = path_status(folder);
  if (!status || !status->is_directory) {
    raise(error(errc::not_found, fmt::format("there is no folder '{}'", folder)));
  }
  const std::optional<file> lock = co_await lock_to_read(folder);
  const folder_contents contents = co_await read_folder(folder);
  if (contents.segments.empty() && contents.snapshots.empty()) {
    raise(error(errc::not_found, fmt::format("there is no journal in '{}'", folder)));
  }
  const std::uint32_t last = contents.last_begun();
  for (const found_segment& one : contents.segments) {
    (one.number <= last ? found.segments : found.segments_prepared)++;
  }
  reading_meter meter(progress, contents);
  const scan_start start = co_await check_snapshots(contents, found, meter);
  found.segments_gone = start.segment - 1;
  for (const found_segment& one : contents.segments) {
    found.segments_gone -= one.number < start.segment ? 1 : 0;
  }
  meter.begin_segments(1);
  counter earlier(meter);
  for (const found_segment& one : contents.segments) {
    if (one.number > start.segment || one.state != header_state::valid) continue;
    co_await check_earlier(contents, start, one, earlier, found);
  }
  counter replayed(meter);
  journal_scan scan(contents, replayed, true);
  co_await scan.run(start);
  for (journal_damage& one : scan.damages()) found.damages.push_back(std::move(one));
  found.batches = earlier.batches + replayed.batches;
  found.records = earlier.records + replayed.records;
  found.record_bytes = earlier.bytes + replayed.bytes;
  found.replayed = replayed.records;
  found.lsn_last = scan.chain().lsn_next - 1;
  found.torn_bytes = scan.torn_bytes();
  co_return found;
}

}  // namespace weir
