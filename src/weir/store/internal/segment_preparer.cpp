// Keeps segments ready ahead of the writer, and gives up those in which nothing is alive: they are
// used again under the next number, or removed.
#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/base/probe.hpp>
#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/memory_pause.hpp>
#include <weir/core/sleep.hpp>
#include <weir/store/internal/journal_folder.hpp>
#include <weir/store/internal/journal_state.hpp>

#include <list>
#include <string>
#include <utility>
#include <vector>

namespace weir::detail {

namespace {

// One more than the reserve, so that intake needn't wait at each new segment.
std::size_t prepared_wanted(const journal_state& state) noexcept {
  return std::size_t{state.options.reserve_segments} + 1;
}

bool is_unneeded(const journal_state& state, const segment_state& segment) {
  const bool is_covered = segment.lsn_last <= state.covered_lsn() ||
                          is_planted("journal: gives up what no snapshot covers");
  return state.is_sealed(segment) && segment.readers == 0 && is_covered &&
         state.client.live_bytes(segment.number) == 0;
}

/// Marks a segment whose file is on its way out, so that nobody begins to read it. It leaves the
/// journal once the file has left: one that can't be moved or removed now is tried again later.
class parting {
 public:
  parting(journal_state& state, segment_state& segment) noexcept
      : state_(state), segment_(&segment) {
    WEIR_ASSERT(segment.readers == 0);
    segment.is_going = true;
  }
  parting(const parting&) = delete;
  parting& operator=(const parting&) = delete;
  ~parting() {
    if (segment_ != nullptr) segment_->is_going = false;
  }
  void finish() noexcept {
    state_.segments.erase(std::exchange(segment_, nullptr)->number);
    ++state_.stats.segments_released;
  }

 private:
  journal_state& state_;
  segment_state* segment_;
};

task<> give_up(journal_state& state, std::uint32_t number) {
  segment_state& segment = state.segments.at(number);
  const std::string old_name = segment_name(number);
  const bool is_wanted = state.prepared.size() < prepared_wanted(state) &&
                         segment.capacity == state.options.segment_bytes &&
                         !segment.has_bad_pages && state.number_last < segment_number_max;
  sometimes(is_wanted, "a segment is used again");
  if (!is_wanted) {
    stay_in_place(state);
    parting from(state, segment);
    co_await state.files.remove(old_name);
    from.finish();
    co_return;
  }
  const std::uint32_t next = state.number_last + 1;
  const std::uint64_t capacity = segment.capacity;
  auto open = std::make_shared<file>(co_await state.files.open_file(old_name, {.write = true}));
  if (!is_unneeded(state, segment)) co_return;  // somebody has begun to read it meanwhile
  std::list<prepared_segment> made;             // has its memory before the file has its name
  made.push_back({.number = next, .capacity = capacity, .open = std::move(open)});
  std::string name = segment_name(next);
  parting from(state, segment);
  co_await publish(state, old_name, std::move(name));
  from.finish();
  state.number_last = next;
  state.prepared.splice(state.prepared.end(), made);
  state.wake_room();
}

task<> give_up_unneeded(journal_state& state) {
  std::vector<std::uint32_t> unneeded;
  for (const auto& [number, segment] : state.segments) {
    if (is_unneeded(state, segment)) unneeded.push_back(number);
  }
  if (unneeded.empty()) co_return;
  // What took the last life out of them (an acknowledgement, a move) must be durable first.
  const std::uint64_t lsn = state.pending.lsn_next() - 1;
  if (state.lsn_durable < lsn) {
    while (state.lsn_durable < lsn) co_await durable_wait(state, lsn);
  }
  for (const std::uint32_t number : unneeded) {
    const auto at = state.segments.find(number);
    if (at != state.segments.end() && is_unneeded(state, at->second)) {
      co_await give_up(state, number);
    }
  }
}

task<> fill_up(journal_state& state) {
  while (state.prepared.size() < prepared_wanted(state)) {
    // The reserve is needed at once; what comes after it can be prepared well.
    co_await add_prepared(state, state.prepared.size() >= state.options.reserve_segments);
  }
}

}  // namespace

void note_failure(journal_state& state, const error& why) {
  if (auto moved = moved_away(state)) return state.fail_with(std::move(*moved));
  if (!state.prepare_error) {
    log::error("the journal can't grow; new messages are refused",
               {{"folder", state.folder}, {"reason", describe(why)}});
  }
  state.prepare_error = why;
  // A snapshot and compaction may free space.
  state.keeper_wake.set();
}

// Numbers of segments have no gap: the next is given only after this one's name is durable.
task<> publish(journal_state& state, std::string from, std::string to) {
  stay_in_place(state);
  co_await state.files.rename(from, to);
  if (is_planted("journal: renames without a sync of the folder")) co_return;
  const auto synced = co_await as_result(state.files.sync());
  if (synced) co_return;
  if (synced.error() == errc::cancelled) co_await checkpoint();  // ends here
  // As with data: a later sync that works would prove nothing about this name.
  auto moved = moved_away(state);
  state.fail_with(
      moved ? std::move(*moved)
            : error(errc::io, "syncing the journal's folder failed").caused_by(synced.error()));
  raise(synced.error());
}

task<> add_prepared(journal_state& state, bool writes_zeros) {
  if (state.number_last >= segment_number_max) {
    raise(error(errc::unsupported, "the numbers of the journal's segments are used up"));
  }
  const std::uint32_t number = state.number_last + 1;
  std::string name = segment_name(number);
  const std::string unfinished = name + ".tmp";
  stay_in_place(state);
  auto blank = std::make_shared<file>(
      co_await make_blank_file(state.files, unfinished, state.options.segment_bytes, writes_zeros));
  std::list<prepared_segment> made;  // has its memory before the file has its name
  made.push_back(
      {.number = number, .capacity = state.options.segment_bytes, .open = std::move(blank)});
  co_await publish(state, unfinished, std::move(name));
  state.number_last = number;
  state.prepared.splice(state.prepared.end(), made);
  state.wake_room();
}

task<> prepare_segments(journal_state* journal) {
  journal_state& state = *journal;
  for (;;) {
    result<> released;
    result<> filled;
    try {
      released = co_await as_result(give_up_unneeded(state));
      filled = co_await as_result(fill_up(state));
    } catch (...) {
      filled = fail(caught_want_of_memory());
    }
    const auto& failed = filled ? released : filled;
    if (state.failure || (!failed && failed.error() == errc::cancelled)) co_return;
    if (!filled) {
      note_failure(state, filled.error());
    } else if (state.prepare_error) {
      log::info("the journal can grow again", {{"folder", state.folder}});
      state.prepare_error.reset();
    }
    // It can grow all the same: a file that stays costs its space only.
    if (!released && !state.is_giving_up_late) {
      log::error("a segment of the journal can't be given up; it is tried again",
                 {{"folder", state.folder}, {"reason", describe(released.error())}});
    }
    state.is_giving_up_late = !released;
    state.wake_room();
    const bool is_late = state.prepare_error.has_value() || state.is_giving_up_late;
    const time_point until =
        is_late ? state.io.now() + state.options.retry_delay : time_point::never();
    do {
      co_await state.preparer_wake.wait(until);
    } while (is_late && state.io.now() < until && !state.failure);
  }
}

}  // namespace weir::detail
