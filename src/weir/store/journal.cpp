#include <weir/store/journal.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/base/probe.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/store/internal/journal_folder.hpp>
#include <weir/store/internal/journal_state.hpp>

#include <fmt/format.h>

#include <span>
#include <utility>

namespace weir {

namespace {

void check_options(const journal_options& options) {
  const auto refuse = [](std::string_view text) { raise(error(errc::invalid_argument, text)); };
  if (options.segment_bytes < detail::segment_bytes_min) {
    refuse(fmt::format("segment_bytes must be at least {}", detail::segment_bytes_min));
  }
  if (options.segment_bytes % 4096 != 0) refuse("segment_bytes must be a multiple of 4096");
  if (options.group_bytes_max < 1024) refuse("group_bytes_max must be at least 1024");
  if (options.group_bytes_max > options.segment_bytes / 2) {
    refuse("group_bytes_max must be at most half of segment_bytes");
  }
  if (options.pending_bytes_max < options.group_bytes_max) {
    refuse("pending_bytes_max must be at least group_bytes_max");
  }
}

std::size_t framed_size(std::span<const record_view> records) noexcept {
  std::size_t size = 0;
  for (const record_view& one : records) size += detail::record_framing_size + one.payload.size();
  return size;
}

/// The memory of one record that was read, under the view that is given out.
struct record_block final : buffer_block {
  std::string framed;
  explicit record_block(std::string text) : framed(std::move(text)) {
    release = [](buffer_block* block) noexcept {
      if (is_planted("journal: keeps the memory of what was read")) return;
      delete static_cast<record_block*>(block);
    };
  }
};

}  // namespace

journal::journal(std::unique_ptr<detail::journal_state> state) noexcept
    : state_(std::move(state)) {}

journal::~journal() = default;

task<std::unique_ptr<journal>> journal::open(std::string folder, journal_options options,
                                             journal_client& client) {
  check_options(options);
  while (folder.size() > 1 && folder.ends_with('/')) folder.pop_back();
  auto state = std::make_unique<detail::journal_state>(folder, options, client);
  co_await detail::make_folder(folder);
  state->files = co_await open_dir(folder);
  state->lock = co_await detail::lock_folder(folder, state->files);
  const int failed = state->io.status_of(state->lock.handle(), state->lock_status);
  if (failed != 0) raise(error::from_os(-failed, "status of '" + state->lock_file + "'"));
  co_await detail::recover_journal(*state);
  co_return std::unique_ptr<journal>(new journal(std::move(state)));
}

task<> journal::run() {
  WEIR_ASSERT(!state_->is_running);
  state_->is_running = true;
  // A run that is cut short leaves nobody to write: those who wait must hear of it.
  struct guard {
    detail::journal_state& state;
    ~guard() {
      state.is_running = false;
      if (!state.is_closing || !state.pending.is_empty()) {
        state.fail_with(error(errc::closed, "the journal is not running any more"));
      }
      state.snapshot_over.notify_all();
    }
  } const on_exit{*state_};
  co_await with_scope({.name = "journal"}, [this](scope& s) -> task<> {
    s.spawn(detail::prepare_segments, state_.get());
    s.spawn(detail::keep_journal, state_.get());
    co_await detail::write_groups(state_.get());
    s.cancel("the journal is closed");
  });
}

void journal::close() noexcept {
  state_->is_closing = true;
  state_->writer_wake.set();
  state_->wake_room();
}

result<std::uint64_t> journal::try_append(std::span<const record_view> records, append_class who,
                                          std::span<location> places) {
  WEIR_ASSERT(!records.empty() && places.size() >= records.size());
  for (const record_view& one : records) {
    if (one.payload.size() > record_payload_max) {
      return fail(errc::too_large, fmt::format("{} bytes are more than a record may hold ({})",
                                               one.payload.size(), record_payload_max));
    }
  }
  detail::journal_state& state = *state_;
  const std::size_t size = framed_size(records);
  if (const auto why = state.refusal(size, who)) {
    if (*why == errc::full || *why == errc::no_space) state.preparer_wake.set();
    return fail(state.refused(*why, size));
  }
  if (who == append_class::intake && maybe("weir: the journal has no room"))
    return fail(errc::full);
  const std::uint64_t lsn = state.add(records, size, places);
  state.stats.bytes_appended += size;
  state.writer_wake.set();
  if (state.stats.bytes_appended >= state.next_review) {
    // Looking at all segments is not free; once a sixteenth of one is soon enough.
    state.next_review = state.stats.bytes_appended + state.options.segment_bytes / 16;
    state.keeper_wake.set();
    state.preparer_wake.set();
  }
  return lsn;
}

task<std::uint64_t> journal::append(std::span<const record_view> records, append_class who,
                                    std::span<location> places) {
  for (;;) {
    result<std::uint64_t> lsn = try_append(records, who, places);
    if (lsn) co_return *lsn;
    if (lsn.error() != errc::full) raise(std::move(lsn.error()));
    co_await wait_room(framed_size(records), who);
  }
}

detail::append_room_wait journal::wait_room(std::size_t size, append_class who) noexcept {
  return {*state_, size, who};
}

detail::durable_wait journal::wait_durable(std::uint64_t lsn) noexcept { return {*state_, lsn}; }

task<stored_record> journal::read(location where) {
  // Its place may be made of damaged bytes: memory is taken for what a record can be.
  if (where.size > detail::record_framing_size + record_payload_max) {
    raise(error(errc::corrupt, fmt::format("{} bytes are no record's size", where.size)));
  }
  auto framed = state_->pending.find(where);
  std::uint64_t epoch = 0;
  const auto at = state_->segments.find(where.segment);
  if (at == state_->segments.end() || at->second.is_going) {
    raise(error(errc::not_found, fmt::format("segment {} is not in the journal", where.segment)));
  }
  epoch = at->second.epoch;
  if (!framed) {
    const detail::segment_hold hold(at->second);
    const std::shared_ptr<file> from = co_await state_->file_of(at->second);
    framed.emplace(where.size, '\0');
    for (std::size_t filled = 0; filled < where.size;) {
      const std::size_t got =
          co_await from->read_at(where.offset + filled, std::span(*framed).subspan(filled));
      if (got == 0) break;
      filled += got;
    }
  }
  record_view record;
  std::size_t size = 0;
  if (!detail::decode_record(*framed, epoch, where.offset, record, size) || size != where.size) {
    raise(error(errc::corrupt,
                fmt::format("the record at byte {} of '{}/{}' is damaged", where.offset,
                            state_->folder, detail::segment_name(where.segment))));
  }
  auto* block = new record_block(std::move(*framed));
  co_return stored_record{.kind = record.kind,
                          .payload = bytes(block->framed.data() + detail::record_framing_size,
                                           size - detail::record_framing_size, block)};
}

void journal::want_snapshot() noexcept {
  state_->is_snapshot_wanted = true;
  state_->keeper_wake.set();
}

task<bool> journal::write_snapshot() {
  const std::uint64_t failed = state_->stats.snapshots_failed;
  const auto is_covered = [this, upto = state_->lsn_durable] {
    return upto == 0 || (!state_->snapshots.empty() && state_->snapshots.back().header.lsn >= upto);
  };
  while (!is_covered()) {
    const bool is_in_vain = state_->failure || !state_->is_running || state_->is_closing;
    if (is_in_vain || state_->stats.snapshots_failed != failed) co_return false;
    want_snapshot();
    co_await state_->snapshot_over.wait();
  }
  co_return true;
}

std::uint64_t journal::lsn_durable() const noexcept { return state_->lsn_durable; }

location journal::durable_place() const noexcept {
  if (state_->lsn_durable + 1 == state_->pending.lsn_next()) return location::last();
  const detail::pending_group& first = state_->pending.front();
  return {.segment = first.segment, .offset = first.batch_offset(), .size = 0};
}

const journal_recovery& journal::recovery() const noexcept { return state_->recovery; }

const error* journal::growth_failure() const noexcept {
  return state_->prepare_error ? &*state_->prepare_error : nullptr;
}

bool journal::check_place() {
  auto moved = detail::moved_away(*state_);
  if (moved) state_->fail_with(std::move(*moved));
  return !moved;
}

journal_stats journal::stats() const noexcept {
  journal_stats now = state_->stats;
  now.lsn_appended = state_->pending.lsn_next() - 1;
  now.lsn_durable = state_->lsn_durable;
  now.pending_bytes = state_->pending.bytes();
  now.segments = state_->segments.size();
  now.segments_prepared = state_->prepared.size();
  now.is_out_of_space = state_->prepare_error && *state_->prepare_error == errc::no_space;
  for (const auto& [number, segment] : state_->segments) now.disk_bytes += segment.capacity;
  for (const detail::prepared_segment& one : state_->prepared) now.disk_bytes += one.capacity;
  return now;
}

const std::string& journal::name() const noexcept { return state_->folder; }

}  // namespace weir
