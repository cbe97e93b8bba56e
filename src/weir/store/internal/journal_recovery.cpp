// Opening: the newest whole snapshot, then every batch behind it, then the state from which the
// writer goes on.
#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/base/probe.hpp>
#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/store/internal/journal_folder.hpp>
#include <weir/store/internal/journal_scan.hpp>
#include <weir/store/internal/journal_state.hpp>
#include <weir/store/internal/reading_meter.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <span>
#include <utility>

namespace weir::detail {

namespace {

class slice_loader final : public slice_taker {
 public:
  slice_loader(journal_client& client, reading_meter& meter) noexcept
      : client_(client), meter_(meter) {}
  void take(std::string_view slice) override {
    meter_.took_slice(slice.size());
    const auto loaded = client_.load(slice);
    if (!loaded) {
      raise(error(errc::malformed, "a whole snapshot can't be loaded").caused_by(loaded.error()));
    }
  }

 private:
  journal_client& client_;
  reading_meter& meter_;
};

class replay final : public batch_visitor {
 public:
  replay(journal_client& client, std::uint64_t lsn, reading_meter& meter,
         bool accepts_loss) noexcept
      : client_(client), lsn_(lsn), meter_(meter), accepts_loss_(accepts_loss) {}

  bool visit(const parsed_batch& batch, std::uint32_t segment) override {
    meter_.reached(segment, batch.header.offset + batch.header.length);
    record_cursor records(batch, segment);
    record_view record;
    location where;
    std::uint64_t lsn = batch.header.lsn_first;
    for (; records.next(record, where); ++lsn) {
      const bool skips_one = is_planted("journal: skips the first record behind a snapshot");
      if (lsn <= lsn_ + (skips_one ? 1 : 0)) continue;
      const auto applied = client_.apply(record, where, lsn);
      if (applied) ++count_;
      if (!applied) leave_out(where, lsn, applied.error());
    }
    return records.rest.empty() && lsn == batch.header.lsn_first + batch.header.count;
  }
  std::uint64_t count() const noexcept { return count_; }
  /// Records that were left out.
  std::vector<journal_damage>& lost() noexcept { return lost_; }

 private:
  // What only a newer program can apply is no damage.
  void leave_out(location where, std::uint64_t lsn, const error& why) {
    const bool is_newer = why == errc::unsupported;
    if (is_newer || !accepts_loss_) {
      raise(error(errc::malformed, fmt::format("record {} of the journal can't be applied{}", lsn,
                                               is_newer ? "" : "; --accept-loss leaves it out"))
                .caused_by(why));
    }
    std::string name = segment_name(where.segment);
    if (!lost_.empty() && lost_.back().lsn_last + 1 == lsn && lost_.back().file == name) {
      lost_.back().lsn_last = lsn;
      lost_.back().size = where.offset + where.size - lost_.back().offset;
      return;
    }
    lost_.push_back({.file = std::move(name),
                     .offset = where.offset,
                     .size = where.size,
                     .lsn_first = lsn,
                     .lsn_last = lsn,
                     .loses_data = true,
                     .text = fmt::format("whole, but not to be applied ({})", why.message())});
  }

  journal_client& client_;
  std::uint64_t lsn_;
  reading_meter& meter_;
  bool accepts_loss_;
  std::uint64_t count_ = 0;
  std::vector<journal_damage> lost_;
};

/// The last snapshot that there is: what the disk can't read now it may read the next time.
[[noreturn]] void raise_unread(const std::string& folder, const error& why) {
  raise(error(errc::io, fmt::format("{1}. `weir check {0}` tells more; with --accept-loss the rest "
                                    "is opened",
                                    folder, why.message()))
            .caused_by(why));
}

/// Loads the newest whole snapshot; gives where the replay begins. A newer one that is left out
/// still says by its name what was durable.
task<scan_start> load_newest(journal_state& state, const folder_contents& contents,
                             reading_meter& meter) {
  for (auto at = contents.snapshots.begin(); at != contents.snapshots.end(); ++at) {
    state.client.reset();
    slice_loader loader(state.client, meter);
    const std::string path = path_in(state.folder, at->name);
    if (const auto status = path_status(path)) meter.begin_snapshot(status->size);
    const auto info = co_await as_result(read_snapshot(path, at->lsn, loader));
    if (!info && info.error() == errc::cancelled) co_await checkpoint();  // ends here
    // A disk that can't read the newest may well read the one before it.
    const bool may_miss_it = at + 1 != contents.snapshots.end() || state.options.accept_loss;
    const bool is_left_out =
        !info && (info.error() == errc::corrupt || (info.error() == errc::io && may_miss_it));
    if (!info && info.error() == errc::io && !is_left_out) raise_unread(state.folder, info.error());
    if (!info && !is_left_out) raise(info.error());
    if (!info) {
      log::warn("a damaged snapshot is left out",
                {{"file", path}, {"reason", describe(info.error())}});
      continue;
    }
    // The one before it is kept in case that this one is damaged later.
    if (at + 1 != contents.snapshots.end()) {
      state.snapshots.push_back({.header = {.lsn = (at + 1)->lsn}});
    }
    state.snapshots.push_back(*info);
    const snapshot_header& header = info->header;
    co_return scan_start{.lsn = header.lsn,
                         .segment = std::max(header.segment, 1u),
                         .offset = header.offset,
                         .prev_crc = info->prev_crc,
                         .lsn_durable = std::max(info->lsn_end, durable_by_name(contents))};
  }
  state.client.reset();
  co_return scan_start{.lsn_durable = durable_by_name(contents)};
}

/// `io` when there is something that the disk can't read: nobody knows then whether it is damaged.
[[noreturn]] void raise_loss(const std::string& folder, const folder_contents& contents,
                             const journal_scan& scan, const std::vector<journal_damage>& damages) {
  const auto first = std::ranges::find_if(damages, &journal_damage::loses_data);
  const bool is_unread = std::ranges::any_of(contents.segments, [&](const found_segment& one) {
    return one.read_errno != 0 || scan.has_unreadable(one.number);
  });
  raise(
      error(is_unread ? errc::io : errc::corrupt,
            fmt::format("acknowledged data in '{0}' is damaged: {1}. `weir check {0}` tells more; "
                        "with --accept-loss the rest is opened",
                        folder, describe(*first))));
}

/// What is alive in a segment that isn't there is lost, too.
void check_alive(const journal_state& state, const folder_contents& contents,
                 std::vector<journal_damage>& damages) {
  for (const std::uint32_t number : state.client.live_segments()) {
    if (number >= contents.last_begun()) return;
    const found_segment* found = contents.find(number);
    if (found != nullptr && found->state == header_state::valid) continue;
    const std::uint64_t live = state.client.live_bytes(number);
    damages.push_back(
        {.file = segment_name(number),
         .size = live,
         .loses_data = true,
         .text = fmt::format("the segment is missing, and {} bytes in it are needed", live)});
  }
}

/// Writes the bytes of a file again as they are.
task<> write_again(file& to, std::uint64_t from, std::uint64_t end) {
  std::string bytes(static_cast<std::size_t>(end - from), '\0');
  for (std::size_t filled = 0; filled < bytes.size();) {
    const std::size_t got =
        co_await to.read_at(from + filled, std::span(bytes.data() + filled, bytes.size() - filled));
    if (got == 0) raise(error(errc::corrupt, "a segment became shorter while it was opened"));
    filled += got;
  }
  co_await to.write_at(from, std::string_view(bytes));
}

/// A begun segment without records in the place of one that is lost.
task<> put_empty_segment(journal_state& state, std::uint32_t number, std::uint64_t lsn_first) {
  const std::string name = segment_name(number);
  constexpr auto size = static_cast<std::uint32_t>(segment_bytes_min);
  file made = co_await make_blank_file(state.files, name + ".tmp", size, true);
  char header[segment_header::size];
  encode(segment_header{.number = number,
                        .epoch = std::max<std::uint64_t>(state.io.random(), 1),
                        .lsn_first = lsn_first,
                        .capacity = size},
         header);
  co_await made.write_at(0, std::string_view(header, sizeof header));
  co_await made.sync();
  co_await publish(state, name + ".tmp", name);
}

/// The first number from `number` on without a file.
std::uint32_t first_missing(const folder_contents& contents, std::uint32_t number) {
  while (contents.find(number) != nullptr) ++number;
  return number;
}

/// A file that was cut gets its size back. One whose header says what no segment here has, and no
/// setting asks for, would make each opening read as much.
void refuse_foreign_sizes(const journal_state& state, const folder_contents& contents) {
  std::uint64_t most = state.options.segment_bytes;
  for (const found_segment& one : contents.segments) most = std::max(most, one.size);
  for (const found_segment& one : contents.segments) {
    if (one.state != header_state::valid || one.header.capacity <= most) continue;
    raise(error(
        errc::malformed,
        fmt::format("'{}' says that it has {} bytes, and it has {}: no segment here has more than "
                    "{}, nor is one to have (journal.segment_bytes). Move it away to open the rest "
                    "with --accept-loss, or ask for segments as large as that",
                    path_in(state.folder, segment_name(one.number)), one.header.capacity, one.size,
                    most)));
  }
}

/// With accept_loss: makes the folder one that may be opened without it the next time. A file that
/// is of no use stays beside, for whoever can make something of it. Crashed in between, the gap in
/// the numbers of records remains: only a snapshot behind it ends the refusal.
task<> accept_losses(journal_state& state, const folder_contents& contents,
                     const journal_scan& scan, const std::vector<journal_damage>& damages) {
  const std::uint32_t last = contents.last_begun();
  // From here on: the number that is begun next, and behind it no gap.
  const std::uint32_t next = std::max(last + 1, scan.start_segment());
  const std::uint32_t gap = first_missing(contents, next);
  // Behind the last that was begun lie prepared ones, and one that has lost its header. A file
  // behind a gap may be one that lost its name; its number would burn all that lie between.
  const auto is_lost = [&](const found_segment& one) {
    return one.number < last || one.number > gap ||
           std::ranges::any_of(damages, [&](const journal_damage& damage) {
             return damage.loses_data && damage.file == segment_name(one.number);
           });
  };
  for (const found_segment& one : contents.segments) {
    const std::string name = segment_name(one.number);
    const bool is_begun = one.state == header_state::valid;
    const bool is_cut = one.state == header_state::cut;
    if (is_begun && one.size != one.header.capacity) {
      file cut = co_await state.files.open_file(name, {.write = true});
      co_await cut.truncate(one.header.capacity);
      co_await cut.sync();
    } else if (is_cut || (!is_begun && is_lost(one))) {
      co_await publish(state, name, name + ".damaged");
    }
  }
  std::vector<std::uint32_t> lost;
  for (const found_segment& one : contents.segments) {
    if (one.number < last && one.state != header_state::valid) lost.push_back(one.number);
  }
  for (const std::uint32_t number : state.client.live_segments()) {
    if (number < next && contents.find(number) == nullptr) lost.push_back(number);
  }
  for (const std::uint32_t number : lost) {
    const found_segment* behind = contents.next_begun(number);
    co_await put_empty_segment(
        state, number, behind != nullptr ? behind->header.lsn_first : scan.chain().lsn_next);
  }
}

/// Prepared files that can't hold the largest append go: they were made for a smaller segment_bytes
/// or are cut, or the disk can't read them. New ones are made in their place. The last goes first,
/// each durably, since numbers have no gap.
task<> drop_unfit_segments(journal_state& state, folder_contents& contents,
                           const journal_scan& scan) {
  const std::uint64_t wanted = segment_header::size + state.options.group_bytes_max;
  std::vector<found_segment>& all = contents.segments;
  const auto first = std::ranges::find_if(all, [&](const found_segment& one) {
    const bool is_unfit = one.size < wanted || one.size > segment_bytes_max ||
                          one.read_errno != 0 || scan.has_unreadable(one.number);
    return one.number > contents.last_begun() && is_unfit;
  });
  for (auto left = all.end() - first; left > 0; --left) {
    co_await state.files.remove(segment_name(all.back().number));
    co_await state.files.sync();
    all.pop_back();
  }
}

task<> adopt_segments(journal_state& state, const folder_contents& contents,
                      const journal_scan& scan, bool has_loss) {
  std::uint64_t lsn_next = scan.chain().lsn_next;
  // What is begun next must not lie in front of the place from which the snapshot replays.
  state.number_last = scan.start_segment() - 1;
  for (auto at = contents.segments.rbegin(); at != contents.segments.rend(); ++at) {
    state.number_last = std::max(state.number_last, at->number);
    const bool is_begun = at->state == header_state::valid;
    if (is_begun) {
      state.segments[at->number] = {.number = at->number,
                                    .capacity = at->header.capacity,
                                    .epoch = at->header.epoch,
                                    .lsn_last = lsn_next - 1,
                                    .open = nullptr,
                                    .has_bad_pages = scan.has_unreadable(at->number)};
      lsn_next = at->header.lsn_first;
    }
  }
  for (const found_segment& one : contents.segments) {
    if (one.number <= contents.last_begun()) continue;
    state.prepared.push_back({.number = one.number,
                              .capacity = one.size,
                              .open = std::make_shared<file>(co_await state.files.open_file(
                                  segment_name(one.number), {.write = true}))});
  }
  const std::uint32_t last = contents.last_begun();
  if (last == 0) co_return;
  segment_state& current = state.segments.at(last);
  current.open =
      std::make_shared<file>(co_await state.files.open_file(segment_name(last), {.write = true}));
  // What was accepted may only be in the memory of this machine yet. A sync that failed in the life
  // before has even marked it as clean there, so that this one would not write it: the last group,
  // which is the only one that can be meant, is written again.
  const bool is_trusted = is_planted("journal: trusts the cache when it opens");
  if (!has_loss && scan.segment() == last && scan.last_batch() && !is_trusted) {
    co_await write_again(*current.open, *scan.last_batch(), scan.end());
  }
  if (!is_trusted) co_await current.open->sync_data();
  // Behind damage nothing is appended: the chain of batches is broken there. Nor where the disk
  // can't read: a write of less than a page reads it first.
  if (has_loss || current.has_bad_pages || scan.segment() != last) co_return;
  current.lsn_last = 0;
  state.pending.enter({.number = last,
                       .capacity = current.capacity,
                       .epoch = current.epoch,
                       .end = scan.end(),
                       .is_begun = true});
}

task<> clean_up(journal_state& state, const folder_contents& contents) {
  for (const std::string& name : contents.leftovers) {
    co_await state.files.remove(name);
  }
  for (const found_snapshot& one : contents.snapshots) {
    const bool is_kept = std::ranges::any_of(
        state.snapshots, [&](const snapshot_info& kept) { return kept.header.lsn == one.lsn; });
    if (!is_kept) co_await state.files.remove(one.name);
  }
  // Names that were found may not be durable yet: whoever gave them may have died before its sync.
  co_await state.files.sync();
}

void log_outcome(const journal_state& state, const std::vector<journal_damage>& damages) {
  for (const journal_damage& one : damages) {
    log::warn(one.loses_data ? "acknowledged data is lost" : "damage without loss",
              {{"folder", state.folder}, {"what", describe(one)}});
  }
  if (state.recovery.torn_bytes != 0) {
    log::info("an unacknowledged group that a crash cut was dropped",
              {{"folder", state.folder}, {"bytes", state.recovery.torn_bytes}});
  }
}

}  // namespace

task<> recover_journal(journal_state& state) {
  folder_contents contents = co_await read_folder(state.folder);
  reading_meter meter(state.options.progress, contents);
  const scan_start start = co_await load_newest(state, contents, meter);
  meter.begin_segments(start.segment);
  replay player(state.client, start.lsn, meter, state.options.accept_loss);
  journal_scan scan(contents, player, state.options.accept_loss);
  co_await scan.run(start);
  stay_in_place(state);  // what was read by its path was in our folder: it decides what is changed
  std::vector<journal_damage>& damages = scan.damages();
  std::ranges::move(player.lost(), std::back_inserter(damages));
  check_alive(state, contents, damages);
  const bool has_loss = std::ranges::any_of(damages, &journal_damage::loses_data);
  if (has_loss && !state.options.accept_loss) raise_loss(state.folder, contents, scan, damages);
  if (has_loss) {
    refuse_foreign_sizes(state, contents);
    co_await accept_losses(state, contents, scan, damages);
    contents = co_await read_folder(state.folder);
  }
  co_await drop_unfit_segments(state, contents, scan);
  co_await adopt_segments(state, contents, scan, has_loss);
  co_await clean_up(state, contents);
  state.pending.set_lsn_next(scan.chain().lsn_next);
  state.lsn_durable = scan.chain().lsn_next - 1;
  state.last_crc = scan.chain().prev_crc;
  state.run = static_cast<std::uint32_t>(state.io.random());
  state.is_snapshot_wanted = has_loss;  // so that the damage need not be accepted again
  state.recovery = {.snapshot_lsn = start.lsn,
                    .records_replayed = player.count(),
                    .torn_bytes = scan.torn_bytes()};
  if (state.recovery.torn_bytes != 0) sometimes(true, "a crash has torn the last group");
  sometimes(start.lsn != 0, "the journal opens from a snapshot");
  for (const journal_damage& one : damages) {
    state.recovery.losses += one.loses_data ? 1 : 0;
    state.recovery.records_lost += one.records_lost();
  }
  log_outcome(state, damages);
  // One segment and the reserve at once; more once the journal runs.
  const std::size_t wanted = state.options.reserve_segments + (state.segments.empty() ? 1u : 0u);
  while (state.prepared.size() < wanted) {
    const auto added = co_await as_result(add_prepared(state, false));
    if (added) continue;
    if (added.error() == errc::cancelled) co_return;
    if (state.failure) raise(*state.failure);
    note_failure(state, added.error());  // a full disk must not keep anybody from what is there
    co_return;
  }
}

}  // namespace weir::detail
