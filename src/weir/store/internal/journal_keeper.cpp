// Snapshots and compaction: what keeps the journal's size near that of what is alive in it, and its
// opening short. Both work in small steps between the appends of others.
#include <weir/base/log.hpp>
#include <weir/base/probe.hpp>
#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/memory_pause.hpp>
#include <weir/core/sleep.hpp>
#include <weir/store/internal/journal_folder.hpp>
#include <weir/store/internal/journal_state.hpp>
#include <weir/store/internal/segment_reader.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <string>

namespace weir::detail {

namespace {

bool is_snapshot_due(const journal_state& state) {
  if (state.pending.current().number == 0) return false;  // no place to replay from yet
  const std::uint64_t lsn = state.pending.boundary().lsn;
  if (lsn == 0 || (!state.snapshots.empty() && state.snapshots.back().header.lsn == lsn)) {
    return false;
  }
  if (state.is_snapshot_wanted || state.prepare_error) return true;
  // Never more often than it is worth: a large state is written after as many bytes of changes.
  const std::uint64_t last_size = state.snapshots.empty() ? 0 : state.snapshots.back().bytes;
  return state.stats.bytes_appended - state.appended_at_snapshot >=
         std::max(state.options.snapshot_bytes, last_size);
}

task<> remove_oldest_snapshot(journal_state& state) {
  const std::string name = snapshot_name(state.snapshots.front().header.lsn);
  stay_in_place(state);
  state.snapshots.erase(state.snapshots.begin());
  co_await state.files.remove(name);
}

task<> write_snapshot(journal_state& state, snapshot_file_writer& writer, snapshot_header from) {
  state.boundary = {.is_on = true, .segment = from.segment, .offset = from.offset};
  state.client.begin_snapshot();
  stay_in_place(state);
  co_await writer.begin();
  std::string slice;
  for (;;) {
    slice.clear();
    const bool has_more = state.client.next_slice(slice, state.options.snapshot_slice_bytes);
    if (!has_more) break;
    co_await writer.add(slice);
    co_await yield();
  }
  // The slices may hold effects of everything appended until now.
  const std::uint64_t lsn_end = state.pending.lsn_next() - 1;
  co_await durable_wait(state, lsn_end);
  const std::uint32_t prev_crc = state.boundary.is_on ? state.last_crc : state.boundary.prev_crc;
  const snapshot_info written = co_await writer.finish(lsn_end, prev_crc);
  co_await publish(state, writer.unfinished_name(), snapshot_name(from.lsn));
  state.snapshots.push_back(written);
}

task<> take_snapshot(journal_state& state) {
  state.is_snapshot_wanted = false;
  state.appended_at_snapshot = state.stats.bytes_appended;
  // On a full disk the older of two makes room for the next.
  if (state.prepare_error && state.snapshots.size() > 1) co_await remove_oldest_snapshot(state);
  const snapshot_header from = state.pending.boundary();
  snapshot_file_writer writer(state.files, from);
  result<> written;
  try {
    written = co_await as_result(write_snapshot(state, writer, from));
  } catch (...) {
    written = fail(caught_want_of_memory());
  }
  state.boundary.is_on = false;
  if (!written) {
    ++state.stats.snapshots_failed;
    if (state.failure || written.error() == errc::cancelled) co_return;
    log::error("a snapshot of the journal failed",
               {{"folder", state.folder}, {"reason", describe(written.error())}});
    state.snapshot_retry_at = state.io.now() + state.options.retry_delay;
    state.is_snapshot_wanted = true;
    (void)co_await as_result(state.files.remove(writer.unfinished_name()));
    co_return;
  }
  ++state.stats.snapshots_written;
  while (state.snapshots.size() > 2) co_await remove_oldest_snapshot(state);
  state.preparer_wake.set();
}

/// The sealed segment of which the least is alive, when that is less than half; null: none, or
/// those that there are were looked at a short while ago.
segment_state* emptiest(journal_state& state, time_point now) {
  if (state.snapshots.empty()) return nullptr;
  const std::uint64_t covered = state.snapshots.back().header.lsn;
  segment_state* found = nullptr;
  std::uint64_t found_live = 0;
  for (auto& [number, segment] : state.segments) {
    if (!state.is_sealed(segment) || segment.lsn_last > covered || segment.is_left) continue;
    if (segment.look_again > now) continue;
    const std::uint64_t live = state.client.live_bytes(number);
    if (live == 0 || live * 2 >= segment.capacity) continue;
    if (found == nullptr || live * found->capacity < found_live * segment.capacity) {
      found = &segment;
      found_live = live;
    }
  }
  return found;
}

// A client that raises may have noted half of the move, and what it is asked for later would be
// wrong: it has to be loaded anew. Want of memory before anything was done it gives as an error.
result<void> relocate(journal_state& state, const record_view& record, location where) {
  try {
    return state.client.relocate(record, where);
  } catch (...) {
    state.fail_with(error(errc::closed, "moving a record in the journal was cut short"));
    throw;
  }
}

task<> relocate_batch(journal_state& state, const parsed_batch& batch, std::uint32_t segment) {
  record_cursor records(batch, segment);
  record_view record;
  location where;
  while (records.next(record, where)) {
    for (;;) {
      const auto moved = relocate(state, record, where);
      if (moved) break;
      const bool is_of_journal = moved.error() == errc::full && moved.error().os_code() == 0;
      if (!is_of_journal) raise(moved.error());
      co_await append_room_wait(state, record_framing_size + record.payload.size(),
                                append_class::completion);
    }
  }
}

// All of it was read, and something lives in it. Its owner is about to give that up, or takes it to
// be where it is not, as after a loss that was accepted: then this is so for long, and the others
// must not wait for it.
void look_later(journal_state& state, segment_state& segment) {
  constexpr std::uint32_t doublings_max = 12;
  const std::int64_t times = std::int64_t{1} << std::min(segment.looks++, doublings_max);
  segment.look_again = state.io.now() + state.options.retry_delay * times;
}

/// False: it is to be looked at again in a while.
task<bool> compact(journal_state& state, segment_state& segment) {
  const segment_hold hold(segment);
  const std::shared_ptr<file> from = co_await state.file_of(segment);
  segment_reader reader(*from, segment.capacity,
                        path_in(state.folder, segment_name(segment.number)),
                        unreadable_bytes::noted);
  std::uint64_t at = segment_header::size;
  const auto leave = [&](const char* why) {
    segment.is_left = true;
    segment.has_bad_pages = segment.has_bad_pages || reader.has_unreadable();
    log::error("a segment of the journal can't be emptied",
               {{"file", path_in(state.folder, segment_name(segment.number))}, {"reason", why}});
  };
  std::uint64_t lsn_next = 0;
  bool has_skipped = false;
  while (state.client.live_bytes(segment.number) != 0) {
    const parsed_batch batch = co_await reader.batch_at(at);
    const bool is_next = batch.state == batch_state::whole && batch.header.epoch == segment.epoch &&
                         batch.header.lsn_first <= segment.lsn_last + 1;
    if (is_next) {
      const auto moved = co_await as_result(relocate_batch(state, batch, segment.number));
      if (!moved && moved.error() == errc::too_large) {
        leave("a record in it is larger than an append of today may be; it stays");
        co_return true;
      }
      if (!moved) raise(moved.error());
      at = align_batch(at + batch.header.length);
      lsn_next = std::max(lsn_next, batch.header.lsn_first + batch.header.count);
      co_await yield();
      continue;
    }
    const batches_behind behind = co_await reader.look_behind(at, {.epoch = segment.epoch});
    if (!behind.is_found) break;
    has_skipped = true;
    // One that can't belong here, taken up, would be found again for ever.
    if (behind.first.lsn_first > segment.lsn_last + 1) break;
    at = behind.first_offset;
  }
  if (state.client.live_bytes(segment.number) == 0) {
    ++state.stats.segments_compacted;
    co_return true;
  }
  if (!has_skipped && lsn_next > segment.lsn_last) {
    look_later(state, segment);
    co_return false;
  }
  leave(reader.has_unreadable() ? "the disk can't read all of it" : "records in it are damaged");
  co_return true;
}

/// Gives when there is something to look at again.
task<time_point> compact_all(journal_state& state) {
  for (;;) {
    const time_point now = state.io.now();  // of both looks, so that no moment lies between them
    segment_state* const next = emptiest(state, now);
    if (next == nullptr) {
      time_point again = time_point::never();
      for (const auto& [number, segment] : state.segments) {
        if (segment.look_again > now) again = std::min(again, segment.look_again);
      }
      co_return again;
    }
    sometimes(true, "a segment is compacted");
    // Moves use the reserve, but its last segment belongs to acknowledgements.
    if (state.prepare_error && state.prepared.size() < 2) co_return time_point::never();
    if (co_await compact(state, *next)) state.preparer_wake.set();
  }
}

}  // namespace

task<> keep_journal(journal_state* journal) {
  journal_state& state = *journal;
  while (!state.failure) {
    if (is_snapshot_due(state) && state.io.now() >= state.snapshot_retry_at) {
      result<> taken;
      try {
        taken = co_await as_result(take_snapshot(state));
      } catch (...) {
        taken = fail(caught_want_of_memory());
      }
      state.snapshot_over.notify_all();
      if (!taken && taken.error() == errc::cancelled) co_return;
    }
    result<time_point> compacted = time_point::never();
    try {
      compacted = co_await as_result(compact_all(state));
    } catch (...) {
      if (state.failure) throw;
      compacted = fail(caught_want_of_memory());
    }
    if (!compacted) {
      const bool is_over = state.failure || state.is_closing;
      if (compacted.error() == errc::cancelled || is_over) co_return;
      if (compacted.error() != errc::no_space) {
        log::error("the journal can't be compacted",
                   {{"folder", state.folder}, {"reason", describe(compacted.error())}});
      }
    }
    const bool retries = is_snapshot_due(state) || !compacted;
    const time_point retry_at =
        retries ? std::max(state.snapshot_retry_at, state.io.now() + state.options.retry_delay)
                : time_point::never();
    const time_point until = compacted ? std::min(retry_at, *compacted) : retry_at;
    co_await state.keeper_wake.wait(until);
  }
}

}  // namespace weir::detail
