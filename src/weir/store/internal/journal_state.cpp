#include <weir/store/internal/journal_state.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/base/text.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>
#include <weir/store/internal/journal_folder.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace weir::detail {

journal_state::journal_state(std::string where, journal_options chosen, journal_client& of)
    : folder(std::move(where)),
      options(chosen),
      client(of),
      io(loop::current()->io()),
      lock_file(lock_path(folder)),
      pending(chosen.group_bytes_max, chosen.recent_bytes_max) {}

journal_state::~journal_state() { WEIR_ASSERT(durable_waits.is_empty() && room_waits.is_empty()); }

// One rule for try_append() and for those who wait until it would not say `full`.
std::optional<errc> journal_state::refusal(std::size_t size, append_class who) const noexcept {
  if (failure) return failure->code();
  if (is_closing) return errc::closed;
  if (size + batch_header::size > options.group_bytes_max) return errc::too_large;
  // A record of a number beyond would be taken for damage when it is read.
  if (pending.lsn_next() - 1 + size / record_framing_size > lsn_max) return errc::unsupported;
  if (!pending.is_empty() && pending.bytes() + size > options.pending_bytes_max) return errc::full;
  // `full` would make callers wait for what may never come.
  errc no_segment = errc::full;
  if (prepare_error) no_segment = *prepare_error == errc::no_space ? errc::no_space : errc::busy;
  const bool rolls = pending.fit_of(size) == pending_groups::fit::new_segment;
  if (rolls && prepared.empty()) return no_segment;
  const std::size_t left = prepared.size() - (rolls ? 1 : 0);
  if (who == append_class::intake && left < options.reserve_segments) return no_segment;
  return std::nullopt;
}

error journal_state::refused(errc why, std::size_t size) const {
  if (failure) return *failure;
  switch (why) {
    case errc::full:
      return error(why);  // ordinary: the caller waits for room
    case errc::closed:
      return error(why, fmt::format("the journal '{}' is closed", folder));
    case errc::too_large:
      return error(why, fmt::format("{} bytes are more than one append may hold ({})", size,
                                    options.group_bytes_max - batch_header::size));
    case errc::unsupported:
      return error(why, fmt::format("the record numbers of the journal '{}' are used up", folder));
    default:
      return error(why, fmt::format("the journal '{}' can't grow", folder))
          .caused_by(prepare_error ? *prepare_error : error(why));
  }
}

void journal_state::begin_segment() {
  WEIR_ASSERT(!prepared.empty());
  segment_state& begun = segments[prepared.front().number];  // all that may fail
  if (pending.current().number != 0) {
    segments.at(pending.current().number).lsn_last = pending.lsn_next() - 1;
  }
  prepared_segment& next = prepared.front();
  begun.number = next.number;
  begun.capacity = next.capacity;
  begun.epoch = std::max<std::uint64_t>(io.random(), 1);
  begun.open = std::move(next.open);
  prepared.pop_front();
  pending.enter({.number = begun.number, .capacity = begun.capacity, .epoch = begun.epoch});
  preparer_wake.set();
}

// A segment that was begun for a group that has no memory would be one without a header: a snapshot
// that names it as its place would find nothing there.
std::uint64_t journal_state::add(std::span<const record_view> records, std::size_t size,
                                 std::span<location> places) {
  if (pending.fit_of(size) != pending_groups::fit::new_segment) {
    return pending.add(records, size, places);
  }
  const current_segment before = pending.current();
  std::list<prepared_segment> spare(1);  // has its memory, should the segment go back
  begin_segment();
  try {
    return pending.add(records, size, places);
  } catch (...) {
    const auto begun = segments.find(pending.current().number);
    spare.front() = {.number = begun->first,
                     .capacity = begun->second.capacity,
                     .open = std::move(begun->second.open)};
    prepared.splice(prepared.begin(), spare);
    segments.erase(begun);
    if (before.number != 0) segments.at(before.number).lsn_last = 0;
    pending.enter(before);
    throw;
  }
}

void journal_state::fail_with(error reason) noexcept {
  if (failure) return;
  failure = std::move(reason);
  wake_durable();
  wake_room();
  writer_wake.set();
  preparer_wake.set();
  keeper_wake.set();
  snapshot_over.notify_all();
}

void journal_state::wake_durable() noexcept {
  while (!durable_waits.is_empty()) {
    durable_wait& first = durable_waits.front();
    if (!failure && first.lsn() > lsn_durable) return;
    first.unlink();
    first.complete();
    if (is_planted("journal: wakes one of those who wait for the disk")) return;
  }
}

void journal_state::wake_room() noexcept {
  // All whose size fits by itself: they ask again, in this order, and the late ones wait again.
  // Those of one class keep their order; intake that must wait doesn't hold up completions.
  bool is_blocked[2] = {};
  for (auto at = room_waits.begin(); at != room_waits.end();) {
    append_room_wait& one = *at;
    ++at;
    bool& blocked = is_blocked[one.who() == append_class::intake ? 0 : 1];
    blocked = blocked || !one.is_over();
    if (blocked) continue;
    one.unlink();
    one.complete();
  }
}

task<std::shared_ptr<file>> journal_state::file_of(segment_state& segment) {
  segment.used_at = ++use_clock;
  if (segment.open) co_return segment.open;
  auto found = co_await as_result(files.open_file(segment_name(segment.number)));
  if (!found && found.error() == errc::cancelled) co_await checkpoint();  // ends here
  stay_in_place(*this);
  if (!found) raise(std::move(found.error()));
  auto opened = std::make_shared<file>(std::move(*found));
  segment.open = opened;
  std::size_t count = 0;
  segment_state* oldest = nullptr;
  for (auto& [number, one] : segments) {
    if (!one.open || !is_sealed(one)) continue;
    ++count;
    if (&one != &segment && (!oldest || one.used_at < oldest->used_at)) oldest = &one;
  }
  // A read in flight keeps its own share of the file, so it may be closed here at any time.
  if (oldest && count > options.open_files_max) oldest->open.reset();
  co_return opened;
}

std::uint64_t journal_state::covered_lsn() const noexcept {
  // Two snapshots, so that one may be damaged; but on a full disk one must do.
  if (snapshots.empty() || (snapshots.size() < 2 && !prepare_error)) return 0;
  return snapshots.front().header.lsn;
}

bool journal_state::is_sealed(const segment_state& segment) const noexcept {
  return segment.lsn_last != 0 && segment.lsn_last <= lsn_durable;
}

std::optional<error> moved_away(const journal_state& state) {
  const auto now = path_status(state.lock_file);
  if (now && now->is_same_file(state.lock_status)) return std::nullopt;
  const int code = now ? 0 : now.error().os_code();
  const bool is_gone = code == ENOENT || code == ENOTDIR || code == ELOOP;
  if (!now && !is_gone) return std::nullopt;  // says nothing of where the folder is
  return error(errc::io,
               fmt::format("the data folder '{}' was moved, removed or replaced while it is in use "
                           "('{}' is {}): nothing more is taken",
                           state.folder, state.lock_file,
                           is_gone ? "not there any more" : "another file than the one locked"));
}

void stay_in_place(journal_state& state) {
  auto moved = moved_away(state);
  if (!moved) return;
  state.fail_with(*moved);
  raise(std::move(*moved));
}

constinit const wait_kind durable_wait::kind_{"records to be durable", &durable_wait::leave,
                                              &durable_wait::describe};

durable_wait::durable_wait(journal_state& of, std::uint64_t number) noexcept
    : leaf_wait(kind_), of_(&of), lsn_(number) {}

bool durable_wait::try_now() noexcept {
  return lsn_ <= of_->lsn_durable || of_->failure.has_value();
}

void durable_wait::enlist() noexcept {
  // Nearly always the largest: sorted from the back, the place is found at once.
  durable_wait* after = nullptr;
  for (auto at = of_->durable_waits.end(); at != of_->durable_waits.begin();) {
    --at;
    if (at->lsn_ <= lsn_) break;
    after = &*at;
  }
  if (after) {
    of_->durable_waits.insert_before(*after, *this);
  } else {
    of_->durable_waits.push_back(*this);
  }
}

result<void> durable_wait::take() noexcept {
  if (lsn_ <= of_->lsn_durable) return {};
  return fail(*of_->failure);
}

void durable_wait::leave(wait& w) noexcept {
  auto& self = static_cast<durable_wait&>(w);
  self.unlink();
  self.complete_cancelled();
}

void durable_wait::describe(const wait& w, text_sink& out) noexcept {
  const auto& self = static_cast<const durable_wait&>(w);
  out.put("up to ");
  out.put_number(self.lsn_);
  out.put(" (now ");
  out.put_number(self.of_->lsn_durable);
  out.put(")");
}

constinit const wait_kind append_room_wait::kind_{"room in the journal", &append_room_wait::leave};

append_room_wait::append_room_wait(journal_state& of, std::size_t size, append_class who) noexcept
    : leaf_wait(kind_), of_(&of), size_(size), who_(who) {}

bool append_room_wait::is_over() const noexcept { return of_->refusal(size_, who_) != errc::full; }

bool append_room_wait::try_now() noexcept { return is_over(); }

void append_room_wait::enlist() noexcept { of_->room_waits.push_back(*this); }

void append_room_wait::leave(wait& w) noexcept {
  auto& self = static_cast<append_room_wait&>(w);
  self.unlink();
  self.complete_cancelled();
}

}  // namespace weir::detail
