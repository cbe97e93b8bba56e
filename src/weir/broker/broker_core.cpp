// The broker's side of the journal and of the state machine: committing, recovery, snapshots,
// compaction, and noting whom a change concerns.
#include <weir/broker/internal/broker_core.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/broker/record_io.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/error_group.hpp>
#include <weir/core/memory_pause.hpp>
#include <weir/core/sleep.hpp>

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>

namespace weir::detail {

broker_core::broker_core(broker_options given, hash_key key, file held)
    : on(loop::current()),
      options(std::move(given)),
      secret(key),
      ids(key),
      lock(std::move(held)),
      state(std::make_unique<broker_state>(key, options.limits)),
      lines(0, keyed_hash{key}),
      reading(reading_units(options), "room to read bodies"),
      replies_room(
          std::make_shared<semaphore>(units(options.replies_bytes_max), "room for replies")) {
  failure.reserve(lost_effect.size());
}

result<std::uint64_t> broker_core::commit(append_class who) {
  if (!failure.empty()) return fail(errc::closed);
  records.clear();
  for (std::size_t i = 0; i < batch.size(); ++i) {
    records.push_back(
        {.kind = static_cast<std::uint8_t>(batch[i].kind), .payload = batch[i].payload});
  }
  places.resize(records.size());
  make_room_for_batch();
  const auto lsn = log->try_append(records, who, places);
  if (!lsn) return lsn;
  lsn_last = *lsn;
  try {
    apply_batch();
  } catch (...) {
    // Room was made, so this is a fault of ours. The journal is ahead of the state, which nobody
    // may use any more: as when the journal fails, the next start tells.
    failure = lost_effect;
    wake_everybody();
    throw;
  }
  appended.notify_all();
  nudge();
  return lsn;
}

namespace {

/// The name in a record that sets a queue.
std::string_view name_in(const broker_record& queue_set) noexcept {
  std::uint8_t version = 0;
  std::uint32_t number = 0;
  std::int64_t created = 0;
  std::string_view name;
  field_reader read(queue_set.payload);
  read(version, number, created, name);
  return name;
}

}  // namespace

// A queue has its lines before it is there: what tells of a message makes none.
void broker_core::make_room_for_batch() {
  state->make_room_for(batch);
  bool is_first = true;
  for (std::size_t i = 0; i < batch.size(); ++i) {
    if (batch[i].kind != record_kind::queue_set) continue;
    if (std::exchange(is_first, false)) sweep_lines();
    make_lines(name_in(batch[i]));
  }
}

void broker_core::apply_batch() {
  state->set_durable(log->durable_place());
  for (std::size_t i = 0; i < batch.size(); ++i) {
    applying = batch[i].kind;
    const auto applied = state->apply(batch[i], places[i]);
    WEIR_ASSERT(applied && "what was decided can be applied");
    wake_room_made_by(batch[i]);
  }
  applying = {};
}

// Changes that make room where no message changed by itself.
void broker_core::wake_room_made_by(broker_record record) {
  if (record.kind == record_kind::redrive) {
    for (auto& [name, at] : lines) at.room.wake();
  } else if (record.kind == record_kind::queue_set) {
    const auto found = lines.find(name_in(record));
    if (found != lines.end()) found->second.room.wake();
  }
}

std::string broker_core::too_large_text(std::size_t size) const {
  return fmt::format(
      "its records are {} bytes and go to the disk as one group of at most {}: submit fewer "
      "messages "
      "at once",
      size, options.journal.group_bytes_max);
}

void broker_core::begin_close() noexcept {
  is_closing = true;
  wake_everybody();
}

void broker_core::wake_everybody() noexcept {
  nudge();
  appended.notify_all();
  for (auto& [name, line] : lines) {
    line.leases.wake_all();
    line.room.wake_all();
  }
  for (auto& [sequence, waiting] : ends) waiting.ended.notify_all();
  replies_due.notify_all();
  replies_room->close();
  for (subscription& one : subscriptions) one.close();
}

error first_error(const std::exception_ptr& failure) {
  try {
    std::rethrow_exception(failure);
  } catch (const error_group& group) {
    return first_error(group.first());
  } catch (const exception& e) {
    return e.reason();
  }
}

std::unexpected<refusal> unknown_queue(std::string_view name) {
  return refuse(broker_errc::queue_not_found, "there is no queue '" + std::string(name) + "'");
}
std::unexpected<refusal> unknown_message() {
  return refuse(broker_errc::message_not_found,
                "no message has this id: it never existed, or its retention is over");
}
std::unexpected<refusal> unknown_receipt() {
  return refuse(broker_errc::stale_receipt,
                "the lease has ended: it was acknowledged, returned, or ran out");
}
std::unexpected<refusal> too_many_waiters(std::size_t limit) {
  return refuse(broker_errc::busy,
                std::to_string(limit) + " calls wait already (waiters_max): try again later");
}

queue_lines& broker_core::lines_of(std::string_view queue) {
  if (const auto found = lines.find(queue); found != lines.end()) return found->second;
  sweep_lines();
  return make_lines(queue);
}

void broker_core::sweep_lines() {
  if (lines.size() < lines_sweep_at) return;
  std::erase_if(lines, [this](const auto& one) {
    const queue_lines& at = one.second;
    const bool is_used = at.leases.is_busy() || at.room.is_busy() || at.is_fresh;
    return !is_used && !state->has_queue(one.first);
  });
  lines_sweep_at = std::max<std::size_t>(64, 2 * lines.size());
}

queue_lines& broker_core::make_lines(std::string_view queue) {
  if (lines.size() >= fresh.capacity()) fresh.reserve(std::max<std::size_t>(8, 2 * lines.size()));
  if (const auto found = lines.find(queue); found != lines.end()) return found->second;
  return lines.try_emplace(std::string(queue)).first->second;
}

void broker_core::make_all_lines() {
  for (const auto& info : state->queues({}, SIZE_MAX)) make_lines(info.name);
}

void broker_core::reset() {
  loader.reset();
  state = std::make_unique<broker_state>(secret, options.limits);
}

result<> broker_core::load(std::string_view slice) {
  if (!loader) loader = std::make_unique<snapshot_loader>(*state);
  return loader->feed(slice);
}

result<> broker_core::finish_loading() {
  if (!loader) return {};
  const auto done = loader->finish();
  loader.reset();
  return done;
}

result<> broker_core::apply(const record_view& what, location where, std::uint64_t lsn) {
  if (auto loaded = finish_loading(); !loaded) {
    // Not the record's fault: it must not be left out in a state that lacks the rest.
    raise(error(errc::malformed, "a whole snapshot can't be loaded").caused_by(loaded.error()));
  }
  lsn_last = lsn;
  return state->apply({.kind = static_cast<record_kind>(what.kind), .payload = what.payload},
                      where);
}

void broker_core::begin_snapshot() {
  appended_at_snapshot = log->stats().bytes_appended;
  writer = std::make_unique<snapshot_writer>(*state);
}

bool broker_core::next_slice(std::string& into, std::size_t budget) {
  if (!failure.empty()) raise(error(errc::closed, failure));
  into = writer->next(budget);
  if (!into.empty()) return true;
  writer.reset();
  return false;
}

std::uint64_t broker_core::live_bytes(std::uint32_t segment) const {
  return state->live_bytes(segment);
}

std::vector<std::uint32_t> broker_core::live_segments() const { return state->live_segments(); }

result<> broker_core::relocate(const record_view& what, location where) {
  const broker_record record{.kind = static_cast<record_kind>(what.kind), .payload = what.payload};
  if (!state->is_live(record, where)) return {};
  batch.clear();
  try {
    batch.append(broker_state::relocated(record));
    const auto done = commit(append_class::completion);
    if (!done) return fail(done.error());
  } catch (...) {
    if (!failure.empty()) throw;
    return fail(caught_want_of_memory());
  }
  return {};
}

// Null when nobody has a use for it, or there is no memory: then they hear that it is unknown.
std::shared_ptr<const message_view> broker_core::last_view(const message_change& change,
                                                           bool is_awaited) {
  if (!change.last) return nullptr;
  bool is_used = is_awaited;
  for (const subscription& one : subscriptions) {
    is_used = is_used || one.sequence_ == change.sequence;
  }
  if (!is_used) return nullptr;
  try {
    const auto known = state->find_message(change.sequence, wall_now());
    auto view = std::make_shared<message_view>(view_from(*known));
    view->has_result = change.state == message_state::done;
    view->result = change.last->result.text;
    view->result_type = change.last->content_type;
    return view;
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void broker_core::wake_at_end(const message_change& change) {
  const auto found = ends.find(change.sequence);
  if (found == ends.end()) return;
  end_waiters& waiting = found->second;
  if (change.last) {
    waiting.last = last_view(change, true);
    waiting.last_lsn = lsn_last;
  }
  waiting.ended.notify_all();
}

void broker_core::message_changed(const message_change& change) {
  // Marked even if nobody waits yet: a call that found nothing durable may be about to.
  queue_lines& at = lines_of(change.queue);
  if (change.state == message_state::ready) {
    at.fresh_last = lsn_last;
    if (!std::exchange(at.is_fresh, true)) {
      at.fresh_first = lsn_last;
      fresh.push_back(&at);
    }
  }
  const bool has_left = change.is_forgotten || has_ended(change.state) || !change.origin.empty();
  if (has_left) {
    if (!is_planted("broker: wakes nobody when there is room")) at.room.wake();
    // A dead letter that dies again leaves another queue than the one that it died in first.
    for (const std::string_view had_it : {change.origin, change.left}) {
      if (const auto found = lines.find(had_it); found != lines.end()) found->second.room.wake();
    }
    if (!is_planted("broker: wakes nobody at the end of a message")) wake_at_end(change);
  }
  if (!subscriptions.is_empty() && !change.is_forgotten) note_event(change);
}

namespace {

std::optional<event_kind> event_of(record_kind applied, message_state state) noexcept {
  switch (applied) {
    case record_kind::submit:
      return event_kind::submitted;
    case record_kind::lease:
      return event_kind::leased;
    case record_kind::retry:
    case record_kind::redrive:
      return event_kind::retried;
    case record_kind::dead:
      return event_kind::dead;
    case record_kind::end:
      return state == message_state::expired ? event_kind::expired
             : state == message_state::dead  ? event_kind::dead
                                             : event_kind::completed;
    default:
      return std::nullopt;
  }
}

}  // namespace

// An event for which there is no memory is one that its subscribers were too slow for.
void broker_core::note_event(const message_change& change) {
  try {
    make_event(change);
  } catch (const std::bad_alloc&) {
    const std::string_view queue = change.origin.empty() ? change.queue : change.origin;
    for (subscription& one : subscriptions) {
      if (one.wants(queue, change.sequence)) ++one.dropped_;
    }
  }
}

void broker_core::make_event(const message_change& change) {
  const auto kind = event_of(applying, change.state);
  if (!kind) return;
  const std::string_view queue = change.origin.empty() ? change.queue : change.origin;
  bool is_wanted = false;
  for (const subscription& one : subscriptions) {
    is_wanted = is_wanted || one.wants(queue, change.sequence);
  }
  if (!is_wanted) return;
  broker_event what{.kind = *kind,
                    .id = ids.id_text(change.sequence),
                    .queue = std::string(queue),
                    .at = wall_now()};
  if (const auto known = state->find_message(change.sequence, what.at)) {
    what.attempt = known->attempts;
    what.error = known->last_error;
  }
  what.last = last_view(change, false);
  events.push_back({.lsn = lsn_last,
                    .queue = std::string(queue),
                    .sequence = change.sequence,
                    .what = std::move(what)});
}

void broker_core::queue_deleted(std::string_view queue) {
  if (const auto found = lines.find(queue); found != lines.end()) {
    found->second.leases.wake_all();
    found->second.room.wake_all();
  }
  for (subscription& one : subscriptions) {
    const bool is_gone =
        one.sequence_ == 0 ? one.queue_ == queue : !state->find_message(one.sequence_, wall_now());
    if (is_gone) one.close();
  }
  for (auto& [sequence, waiting] : ends) waiting.ended.notify_all();  // its messages went with it
}

void broker_core::wake_fresh() {
  const std::uint64_t durable = log->lsn_durable();
  std::erase_if(fresh, [durable](queue_lines* at) {
    if (at->fresh_first > durable) return false;  // (2) woken now, they would find nothing yet
    at->leases.wake();
    at->fresh_first = durable + 1;
    at->is_fresh = at->fresh_last > durable;
    return !at->is_fresh;
  });
}

// Everything up to the durable mark may be told: to those who wait for messages, to subscribers.
void broker_core::tell_what_is_durable() {
  state->set_durable(log->durable_place());
  wake_fresh();
  const std::uint64_t durable = log->lsn_durable();
  while (!events.empty() && events.front().lsn <= durable) {
    const waiting_event& first = events.front();
    for (subscription& one : subscriptions) {
      if (one.wants(first.queue, first.sequence)) one.put(first.what);
    }
    events.pop_front();
    if (is_planted("broker: tells only the first event of a group")) events.clear();
  }
}

task<> broker_core::follow_durability() {
  for (;;) {
    if (!failure.empty()) raise(error::from_os(ENOMEM, failure));
    // Also when nothing is pending: a record may have become durable while we were about to wait.
    tell_what_is_durable();
    if (log->lsn_durable() < lsn_last) {
      co_await log->wait_durable(lsn_last);
    } else if (is_closing) {
      co_return;
    } else {
      co_await appended.wait();
    }
  }
}

// Before the journal stops: when opening would have much to replay, a snapshot spares it that.
task<> broker_core::finish_journal() {
  constexpr std::uint64_t replayed_bytes_max = 4u << 20;
  constexpr std::uint64_t replayed_records_max = 10'000;
  constexpr duration snapshot_time_max = duration::seconds(5);
  const std::uint64_t fresh_bytes = log->stats().bytes_appended - appended_at_snapshot;
  const bool was_read = appended_at_snapshot == 0;
  // A loss that was accepted is asked about again until there is a snapshot behind it.
  const bool has_loss = log->recovery().losses != 0 && log->stats().snapshots_written == 0;
  if (fresh_bytes > replayed_bytes_max || has_loss ||
      (was_read && log->recovery().records_replayed > replayed_records_max)) {
    co_await with_scope(
        {.name = "last snapshot", .timeout = snapshot_time_max},
        [this](scope&) -> task<> { (void)co_await as_result(log->write_snapshot()); });
  }
  log->close();
}

result<bool> broker_core::tick_once() {
  // A message's record may carry the text of its last error, and all must fit into one group.
  constexpr std::size_t messages_max = 256;
  constexpr std::size_t record_bytes_max = 2'048;
  const std::size_t fitting = options.journal.group_bytes_max / record_bytes_max;
  if (!failure.empty()) return fail(errc::closed);
  batch.clear();
  const bool has_more = state->tick(wall_now(), std::min(messages_max, fitting), batch);
  if (batch.empty()) return has_more;
  if (const auto done = commit(append_class::completion); !done) return fail(done.error());
  return has_more;
}

void broker_core::catch_up() {
  state->set_durable(log->durable_place());
  // What the journal refuses now is tried again by the keeper, which hears why.
  if (state->next_due() <= wall_now()) static_cast<void>(tick_once());
}

task<> broker_core::tick_on_time() {
  memory_pause memory("broker clock", options.dir);
  while (!is_closing) {
    try {
      if (!co_await tick_and_wait()) co_return;
      continue;
    } catch (...) {
      if (!failure.empty()) throw;
      memory.found_none();
    }
    co_await sleep_until(memory.until());
  }
}

// False: the journal has failed.
task<bool> broker_core::tick_and_wait() {
  constexpr duration sleep_max = duration::seconds(60);  // the wall clock may be set meanwhile
  is_nudged = false;
  if (!give_back_owed()) {
    co_await log->wait_room(batch_bytes(), append_class::completion);
    co_return true;
  }
  const auto has_more = tick_once();
  is_nudged = false;  // by ourselves
  if (!has_more && has_more.error() == errc::full) {
    co_await log->wait_room(batch_bytes(), append_class::completion);
    co_return true;
  }
  // Whatever else the journal refuses may be taken in a while: no room, no descriptors, no memory.
  const bool is_closed = !has_more && (!failure.empty() || has_more.error() == errc::closed);
  if (is_closed) co_return false;  // run() hears why
  wake_fresh();
  if (has_more && *has_more) {
    co_await yield();
    co_return true;
  }
  const time_point due = state->next_due();
  const time_point now = wall_now();
  duration pause = duration::seconds(1);
  if (due > now) {
    pause = due == time_point::never() ? sleep_max : due - now;
  } else {
    // Only replies wait to be taken, or the journal can't grow: others go on with it.
    replies_due.notify_all();
  }
  if (is_nudged) co_return true;
  co_await with_scope({.name = "broker clock", .timeout = pause < sleep_max ? pause : sleep_max},
                      [this](scope&) -> task<> { co_await nudged.wait(); });
  co_return true;
}

}  // namespace weir::detail
