// The one writer: takes the oldest group, seals it, writes it, syncs, and tells who waited. While
// it waits for the disk the next group fills.
#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/probe.hpp>
#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/store/internal/journal_folder.hpp>
#include <weir/store/internal/journal_state.hpp>

#include <fmt/format.h>

#include <string_view>

namespace weir::detail {

namespace {

void seal(journal_state& state, pending_group& group) {
  group.is_sealed = true;
  char* batch = group.bytes.data();
  std::uint32_t prev_crc = state.last_crc;
  if (state.boundary.is_on && !group.begins_segment) {
    const bool is_behind =
        group.segment == state.boundary.segment && group.offset >= state.boundary.offset;
    if (is_behind) {
      state.boundary.prev_crc = prev_crc;
      state.boundary.is_on = false;
    }
  }
  if (group.begins_segment) {
    const segment_state& segment = state.segments.at(group.segment);
    if (state.boundary.is_on && group.segment > state.boundary.segment) {
      state.boundary.prev_crc = prev_crc;
      state.boundary.is_on = false;
    }
    segment_header header{.number = segment.number,
                          .epoch = segment.epoch,
                          .lsn_first = group.lsn_first,
                          .capacity = segment.capacity,
                          .prev_crc = prev_crc};
    encode(header, batch);
    const bool is_whole = decode({batch, segment_header::size}, header);  // for the checksum
    WEIR_ASSERT(is_whole);
    prev_crc = header.crc;
    batch += segment_header::size;
  }
  const std::uint32_t head = group.batch_offset() - group.offset;
  state.last_crc = seal_batch({.length = static_cast<std::uint32_t>(group.bytes.size() - head),
                               .epoch = group.epoch,
                               .lsn_first = group.lsn_first,
                               .lsn_durable = state.lsn_durable,
                               .count = group.count,
                               .prev_crc = prev_crc,
                               .offset = group.batch_offset(),
                               .run = state.run},
                              batch);
}

// The defect that write_or_fail() tells of.
task<> sync_again(file* to) {
  if (!co_await as_result(to->sync_data())) co_await to->sync_data();
}

task<> write_front(journal_state& state, bool is_synced) {
  pending_group& group = state.pending.front();
  seal(state, group);
  const std::shared_ptr<file> to = state.segments.at(group.segment).open;
  const bool syncs = is_synced && !is_planted("journal: writes groups without a sync");
  if (syncs && state.unsynced_mark && state.unsynced_mark != to) {  // at the end of the one before
    co_await state.unsynced_mark->sync_data();
    state.unsynced_mark.reset();
  }
  if (syncs && !state.unsynced_mark) {  // one trip to the disk, for these bytes alone
    co_await to->write_durably_at(group.offset, group.bytes);
  } else {
    co_await to->write_at(group.offset, std::string_view(group.bytes));
    const bool tries_again = is_planted("journal: believes a second sync");
    if (syncs && tries_again) co_await sync_again(to.get());
    if (syncs && !tries_again) co_await to->sync_data();
    state.unsynced_mark = is_synced ? nullptr : to;
  }
  // After the write: what is confirmed is in the folder of this name.
  if (auto moved = moved_away(state)) raise(std::move(*moved));
  sometimes(group.count > 1, "a group holds several records");
  const std::uint64_t lsn_last = group.lsn_last();
  const bool is_mark = group.count == 0;
  state.pending.pop_front();
  if (is_synced && !is_mark) {
    WEIR_ASSERT(lsn_last > state.lsn_durable);
    state.lsn_durable = lsn_last;
    state.is_mark_wanted = true;
    ++state.stats.groups;
    ++state.stats.syncs;
    state.wake_durable();
  }
  if (is_mark) state.is_mark_wanted = false;
  state.wake_room();
}

/// A failed write or sync is final: the kernel may have dropped the pages and called them clean, so
/// a second sync that works proves nothing (Rebello et al., "Can Applications Recover from fsync
/// Failures?", 2020).
task<> write_or_fail(journal_state& state, bool is_synced) {
  const std::uint32_t segment = state.pending.front().segment;
  auto done = co_await as_result(write_front(state, is_synced));
  if (done) co_return;
  if (done.error() == errc::cancelled) {
    state.fail_with(error(errc::closed, "the journal was cut short"));
    co_await checkpoint();
  }
  state.fail_with(
      error(errc::io, fmt::format("writing '{}' failed; the journal takes nothing more until it "
                                  "is opened anew",
                                  path_in(state.folder, segment_name(segment))))
          .caused_by(done.error()));
  raise(*state.failure);
}

// Behind a loss the journal goes on in a new segment. It is begun at once, with a mark, so that the
// snapshot that ends the asking has a place on the disk from which to replay.
task<> begin_behind_loss(journal_state& state) {
  const bool is_wanted = state.recovery.losses != 0 && state.pending.current().number == 0;
  if (!is_wanted || state.prepared.empty() || state.failure) co_return;
  state.begin_segment();
  if (state.pending.add_mark()) co_await write_or_fail(state, true);
  state.keeper_wake.set();
}

}  // namespace

task<> write_groups(journal_state* journal) {
  journal_state& state = *journal;
  if (state.pending.is_empty()) co_await begin_behind_loss(state);
  for (;;) {
    if (state.failure) raise(*state.failure);
    if (!state.pending.is_empty()) {
      co_await write_or_fail(state, true);
      continue;
    }
    if (state.is_closing) break;
    // When it is quiet, note what is durable: else damage to the last group would look as if a
    // crash had torn it.
    const bool marks = state.is_mark_wanted;
    const time_point until =
        marks ? state.io.now() + state.options.mark_delay : time_point::never();
    co_await state.writer_wake.wait(until);
    const bool is_quiet = marks && state.pending.is_empty() && !state.is_closing;
    if (!is_quiet || state.io.now() < until) continue;
    state.is_mark_wanted = false;
    if (state.pending.add_mark()) co_await write_or_fail(state, false);
  }
  if (state.lsn_durable != 0 && state.pending.add_mark()) co_await write_or_fail(state, true);
}

}  // namespace weir::detail
