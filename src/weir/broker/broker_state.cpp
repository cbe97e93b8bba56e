#include <weir/broker/broker_state.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace weir {

using detail::message;
using detail::message_queue;
using detail::no_slot;

namespace {

time_point end_of_life(std::int64_t expires) {
  return expires == 0 ? time_point::never() : time_point(expires);
}

result<void> impossible(record_kind kind) {
  return fail(errc::corrupt, fmt::format("broker record of kind {} holds impossible values",
                                         static_cast<int>(kind)));
}

}  // namespace

bool broker_state::is_possible(std::uint32_t queue) const {
  return queue != 0 && queue <= queue_number_max &&
         queue <= std::uint64_t(store_.next_queue) + queue_gap_max;
}

bool broker_state::is_possible(const queue_set_record& record) const {
  return is_possible(record.queue) && !record.name.empty();
}

bool broker_state::is_possible(const submit_record& record) const {
  return record.sequence != 0 && record.sequence <= sequence_max &&
         record.priority <= priority_max && record.body.text.size() <= UINT32_MAX;
}

bool broker_state::is_possible(const end_record& record) const { return has_ended(record.outcome); }

broker_state::broker_state(hash_key secret, broker_limits limits)
    : secret_(secret), limits_(limits), store_(secret, limits.error_texts_bytes_max) {}

void broker_state::make_room_for(const record_batch& records) {
  std::size_t messages = 0;
  std::size_t notes = 0;
  std::size_t deletions = 0;
  for (std::size_t i = 0; i < records.size(); ++i) {
    const record_kind kind = records[i].kind;
    if (kind == record_kind::submit) ++messages;
    if (kind == record_kind::queue_delete) ++deletions;
    if (kind == record_kind::retry || kind == record_kind::dead || kind == record_kind::end) {
      ++notes;
    }
  }
  const std::size_t replies = notes;  // at most
  store_.make_room(messages, notes, replies);
  if (deletions != 0) store_.make_deletions(deletions);
  made_sets_.clear();
  if (messages == records.size()) return;
  for (std::size_t i = 0; i < records.size(); ++i) make_room_for(records[i]);
}

void broker_state::make_room_for(broker_record record) {
  // What an item of a list takes in a record; the list may be a little shorter.
  constexpr std::size_t leased_bytes = 14;
  constexpr std::size_t sequence_bytes = sizeof(std::uint64_t);
  const std::string_view payload = record.payload;
  switch (record.kind) {
    case record_kind::lease:
      return lease_.messages.reserve(payload.size() / leased_bytes);
    case record_kind::remove:
      return remove_.messages.reserve(payload.size() / sequence_bytes);
    case record_kind::redrive:
      return redrive_.messages.reserve(payload.size() / sequence_bytes);
    case record_kind::retry:
      return store_.make_text(decode<retry_record>(payload)->error, 0);
    case record_kind::dead: {
      const auto dead = decode<dead_record>(payload);
      return store_.make_text(dead->error, dead->reply_due != 0 ? dead->sequence : 0);
    }
    case record_kind::end: {
      const auto end = decode<end_record>(payload);
      return store_.make_text(end->error, end->reply_due != 0 ? end->sequence : 0);
    }
    case record_kind::queue_set: {
      auto set = decode<queue_set_record>(payload);
      store_.make_queue(set->queue, set->name);
      made_sets_.push_back(std::move(*set));
      return;
    }
    default:
      return;
  }
}

template <class Record>
result<void> broker_state::apply_payload(std::string_view payload, location where) {
  auto record = decode<Record>(payload);
  if (!record) return fail(std::move(record.error()));
  if (!is_possible(*record)) return impossible(Record::kind);
  apply(*record, where);
  return {};
}

template <class Record>
result<void> broker_state::apply_list(Record& kept, std::string_view payload, location where) {
  if (auto done = decode_into(kept, payload); !done) return done;
  apply(kept, where);
  return {};
}

result<void> broker_state::apply(broker_record record, location where) {
  auto outcome = apply_kind(record, where);
  if (outcome) applied_ = std::max(applied_, where);
  return outcome;
}

result<void> broker_state::apply_kind(broker_record record, location where) {
  const std::string_view payload = record.payload;
  switch (record.kind) {
    case record_kind::queue_set:
      return apply_queue_set(payload);
    case record_kind::queue_delete:
      return apply_payload<queue_delete_record>(payload, where);
    case record_kind::submit:
      return apply_payload<submit_record>(payload, where);
    case record_kind::lease:
      return apply_list(lease_, payload, where);
    case record_kind::retry:
      return apply_payload<retry_record>(payload, where);
    case record_kind::dead:
      return apply_payload<dead_record>(payload, where);
    case record_kind::end:
      return apply_payload<end_record>(payload, where);
    case record_kind::remove:
      return apply_list(remove_, payload, where);
    case record_kind::redrive:
      return apply_list(redrive_, payload, where);
    case record_kind::moved_submit:
      return apply_moved_submit(payload, where);
    case record_kind::moved_end:
      return apply_moved_end(payload, where);
    case record_kind::reply_retry:
      return apply_payload<reply_retry_record>(payload, where);
    case record_kind::reply_done:
      return apply_payload<reply_done_record>(payload, where);
  }
  // A later program's: its checksum is right.
  return fail(errc::unsupported,
              fmt::format("broker record of unknown kind {}", static_cast<int>(record.kind)));
}

result<void> broker_state::apply_queue_set(std::string_view payload) {
  const auto set = [&](queue_set_record& record) {
    make_way(record);
    store_.set_queue(record.queue, record.name, time_point(record.created),
                     std::move(record.settings));
  };
  for (queue_set_record& made : made_sets_) {
    const bool is_it =
        made.name.data() >= payload.data() && made.name.data() < payload.data() + payload.size();
    if (is_it) return set(made), result<void>();
  }
  auto record = decode<queue_set_record>(payload);
  if (!record) return fail(std::move(record.error()));
  if (!is_possible(*record)) return impossible(record_kind::queue_set);
  set(*record);
  return {};
}

// The queue of a record, or nothing if it has been deleted. The one that was never heard of was
// made by a record that is damaged: its messages are whole, and go into one that takes its place.
const message_queue* broker_state::home_of(std::uint32_t number, std::int64_t at) {
  const message_queue* const found = store_.live_queue(number);
  if (found || !is_possible(number) || !store_.is_unheard_of(number)) return found;
  store_.set_queue(number, free_name(number), time_point(at), dead_letter_settings());
  lost_queues_.push_back(number);
  return store_.live_queue(number);
}

std::string broker_state::free_name(std::uint32_t lost) const {
  std::string name = fmt::format("lost-{}", lost);
  while (store_.find_queue(name)) name += '_';
  return name;
}

// A queue that took the place of a lost one gets its settings and name from a later record, if
// there is one, and leaves its name to whoever had it.
void broker_state::make_way(const queue_set_record& record) {
  const auto is_lost = [this](const message_queue* of) {
    return of && std::ranges::find(lost_queues_, of->number) != lost_queues_.end();
  };
  const message_queue* const holder = store_.find_queue(record.name);
  if (is_lost(holder) && holder->number != record.queue)
    store_.rename_queue(*store_.queue(holder->number), free_name(holder->number));
  const message_queue* const found = store_.live_queue(record.queue);
  if (!is_lost(found)) return;
  if (found->name != record.name) store_.rename_queue(*store_.queue(found->number), record.name);
  std::erase(lost_queues_, found->number);
}

std::vector<std::string> broker_state::lost_queues() const {
  std::vector<std::string> names;
  for (const std::uint32_t lost : lost_queues_) {
    if (const message_queue* const of = store_.live_queue(lost)) names.push_back(of->name);
  }
  return names;
}

void broker_state::apply(const queue_delete_record& record, location) {
  const message_queue* const queue = store_.live_queue(record.queue);
  if (!queue) return;
  store_.delete_queue(record.queue);
  if (observer_) observer_->queue_deleted(queue->name);  // it is there until its messages are not
}

void broker_state::apply(const submit_record& record, location where) {
  const bool may_be_known = record.sequence < store_.next_sequence;
  store_.next_sequence = std::max(store_.next_sequence, record.sequence + 1);
  if (!home_of(record.queue, record.submitted)) return;
  if (!record.key.empty() && record.key_until != 0) {
    store_.keys.remember(detail::digest_of(secret_, record.queue, record.key), record.sequence,
                         time_point(record.key_until));
  }
  // A snapshot may have had it already.
  if (may_be_known && store_.find(record.sequence) != no_slot) return;
  message made;
  made.sequence = record.sequence;
  made.queue = record.queue;
  made.where = where;
  made.body_bytes = static_cast<std::uint32_t>(record.body.text.size());
  made.due = record.due;
  made.set_submitted(time_point(record.submitted));
  made.set_expires(end_of_life(record.expires));
  made.set_priority(record.priority);
  made.set_state(record.due == 0 ? message_state::ready : message_state::delayed);
  made.set(message::wants_reply, !record.reply_to.empty());
  const std::uint32_t slot = store_.create(made);
  ++store_.queue(record.queue)->totals.submitted;
  tell(slot);
}

void broker_state::apply(const lease_record& record, location) {
  for (const leased_item& item : record.messages) {
    const std::uint32_t slot = store_.find(item.sequence);
    if (slot == no_slot) continue;
    const bool is_new = store_[slot].leases != item.lease;
    store_.change(slot, [&](message& of) {
      of.set_state(message_state::leased);
      of.due = record.deadline;
      of.leases = item.lease;
      of.set_attempts(item.attempts);
    });
    if (!is_new) continue;
    ++store_.queue(store_[slot].queue)->totals.leased;
    tell(slot);
    if (is_planted("broker: takes only the first of several out of the queue")) break;
  }
}

void broker_state::apply(const retry_record& record, location) {
  const std::uint32_t slot = store_.find(record.sequence);
  if (slot == no_slot) return;
  const bool is_given_back = record.attempts < store_[slot].attempts();
  store_.change(slot, [&](message& of) {
    of.set_state(record.due == 0 ? message_state::ready : message_state::delayed);
    of.due = record.due;
    of.set_attempts(record.attempts);
  });
  store_.set_error(slot, record.error);
  if (!is_given_back) ++store_.queue(store_[slot].queue)->totals.failed;
  tell(slot);
}

void broker_state::apply(const dead_record& record, location) {
  const std::uint32_t slot = store_.find(record.sequence);
  if (slot == no_slot || !home_of(record.queue, record.at)) return;
  message_queue* const from = store_.queue(store_[slot].queue);
  if (from) {
    ++from->totals.failed;
    ++from->totals.died;
  }
  store_.change(slot, [&](message& of) {
    of.set_state(message_state::ready);
    of.queue = record.queue;
    of.set_attempts(record.attempts);
    of.set_expires(end_of_life(record.expires));
    store_.set_origin(of, record.origin, record.attempts);
  });
  store_.set_error(slot, record.error);
  if (record.reply_due != 0) {
    store_.put_reply(record.sequence,
                     {.queue = record.origin,
                      .outcome = message_state::dead,
                      .due = record.reply_due,
                      .source = record.source},
                     record.error);
  }
  tell(slot, from ? std::string_view(from->name) : std::string_view());
}

void broker_state::apply(const end_record& record, location where) {
  const std::uint32_t slot = store_.find(record.sequence);
  if (slot == no_slot) return;
  const std::uint32_t number = store_[slot].queue;
  store_.change(slot, [&](message& of) {
    of.set_state(record.outcome);
    of.due = record.keep_until;
    of.set_attempts(record.attempts);
    of.where = where;
  });
  store_.set_error(slot, record.error);
  if (record.reply_due != 0) {
    // The error that a message overcame in the end is no part of its result.
    const bool is_done = record.outcome == message_state::done;
    store_.put_reply(record.sequence,
                     {.queue = number,
                      .outcome = record.outcome,
                      .due = record.reply_due,
                      .source = record.source,
                      .result = where},
                     is_done ? std::string_view() : record.error);
  }
  queue_totals& totals = store_.queue(number)->totals;
  if (record.outcome == message_state::done) ++totals.completed;
  if (record.outcome == message_state::expired) ++totals.expired;
  if (record.outcome == message_state::dead) ++totals.failed, ++totals.died;
  const bool is_kept = record.keep_until > record.at;
  tell(slot, {}, is_kept ? nullptr : &record);
  if (!is_kept) forget(slot);
}

void broker_state::apply(const remove_record& record, location) {
  for (const std::uint64_t sequence : record.messages) {
    if (const std::uint32_t slot = store_.find(sequence); slot != no_slot) forget(slot);
  }
}

void broker_state::apply(const redrive_record& record, location) {
  if (!store_.live_queue(record.queue)) return;
  for (const std::uint64_t sequence : record.messages) {
    const std::uint32_t slot = store_.find(sequence);
    if (slot == no_slot) continue;
    store_.change(slot, [&](message& of) {
      of.set_state(message_state::ready);
      of.due = 0;
      of.queue = record.queue;
      if (!is_planted("broker: brings dead letters back with their attempts")) of.set_attempts(0);
      of.set_expires(end_of_life(record.expires));
      store_.set_origin(of, 0, 0);
    });
    ++store_.queue(record.queue)->totals.redriven;
    tell(slot);
  }
}

void broker_state::apply(const reply_retry_record& record, location) {
  store_.retry_reply(record.sequence, record.attempts, record.due);
}

void broker_state::apply(const reply_done_record& record, location) {
  const detail::reply_item* const item = store_.replies().find(record.sequence);
  if (!item) return;
  if (message_queue* const of = store_.queue(item->queue)) {
    ++(record.is_delivered ? of->totals.replies_delivered : of->totals.replies_given_up);
  }
  store_.erase_reply(record.sequence);
}

result<void> broker_state::apply_moved_submit(std::string_view payload, location where) {
  const auto record = decode<submit_record>(payload);
  if (!record) return fail(record.error());
  const std::uint32_t slot = store_.find(record->sequence);
  store_.move_reply(record->sequence, &detail::reply_item::source, where);
  if (slot == no_slot || has_ended(store_[slot].state())) return {};
  store_.change(slot, [&](message& of) {
    of.where = where;
    of.set(message::was_moved, true);
  });
  return {};
}

result<void> broker_state::apply_moved_end(std::string_view payload, location where) {
  const auto record = decode<end_record>(payload);
  if (!record) return fail(record.error());
  const std::uint32_t slot = store_.find(record->sequence);
  store_.move_reply(record->sequence, &detail::reply_item::result, where);
  if (slot == no_slot || !has_ended(store_[slot].state())) return {};
  store_.change(slot, [&](message& of) { of.where = where; });
  return {};
}

std::vector<std::uint32_t> broker_state::live_segments() const {
  std::vector<std::uint32_t> numbers;
  numbers.reserve(store_.live().size());
  for (const auto& [segment, bytes] : store_.live()) numbers.push_back(segment);
  std::ranges::sort(numbers);
  return numbers;
}

bool broker_state::is_live(broker_record record, location where) const {
  const bool is_end = record.kind == record_kind::end || record.kind == record_kind::moved_end;
  std::uint64_t sequence = 0;
  if (is_end) {
    const auto end = decode<end_record>(record.payload);
    sequence = end ? end->sequence : 0;
  } else if (record.kind == record_kind::submit || record.kind == record_kind::moved_submit) {
    const auto submit = decode<submit_record>(record.payload);
    sequence = submit ? submit->sequence : 0;
  }
  if (sequence == 0) return false;
  const detail::reply_item* const reply = store_.replies().find(sequence);
  if (reply && (is_end ? reply->result : reply->source) == where) return true;
  const std::uint32_t slot = store_.find(sequence);
  return slot != no_slot && store_[slot].where == where;
}

broker_record broker_state::relocated(broker_record record) noexcept {
  if (record.kind == record_kind::submit) record.kind = record_kind::moved_submit;
  if (record.kind == record_kind::end) record.kind = record_kind::moved_end;
  return record;
}

void broker_state::forget(std::uint32_t slot) {
  if (!observer_) return store_.erase(slot);
  const message& of = store_[slot];
  const message_change change{.queue = store_.queue(of.queue)->name,
                              .sequence = of.sequence,
                              .state = of.state(),
                              .origin = {},
                              .left = {},
                              .is_forgotten = true};
  store_.erase(slot);
  observer_->message_changed(change);
}

void broker_state::tell(std::uint32_t slot, std::string_view left, const end_record* last) {
  if (!observer_) return;
  const message& of = store_[slot];
  const message_queue* const origin = store_.home_of_letters(store_.origin_of(of));
  observer_->message_changed({.queue = store_.queue(of.queue)->name,
                              .sequence = of.sequence,
                              .state = of.state(),
                              .origin = origin ? origin->name : std::string_view(),
                              .left = left,
                              .last = last});
}

std::optional<message_info> broker_state::find_message(std::uint64_t sequence,
                                                       time_point now) const {
  const std::uint32_t slot = store_.find(sequence);
  if (slot == no_slot) return std::nullopt;
  const message& of = store_[slot];
  const std::uint32_t origin_number = store_.origin_of(of);
  const message_queue* const origin = store_.home_of_letters(origin_number);
  message_info info;
  info.sequence = sequence;
  info.queue = store_.queue(of.queue)->name;
  if (origin) info.origin = origin->name;
  info.state = of.state();
  info.is_leased = of.state() == message_state::leased;
  if (has_ended(of.state())) {
    info.kept_until = time_point(of.due);
  } else {
    if (!info.is_leased && of.expires() <= now) info.state = message_state::expired;
    if (origin_number != 0) info.state = message_state::dead;
  }
  info.priority = of.priority();
  info.attempts = of.attempts();
  info.submitted = of.submitted();
  info.due = time_point(of.due);
  info.expires = of.expires();
  info.where = of.where;
  info.body_bytes = of.body_bytes;
  info.last_error = store_.error_of(of);
  return info;
}

queue_info broker_state::info_of(const message_queue& queue) const {
  queue_info info;
  info.number = queue.number;
  info.name = queue.name;
  info.settings = &queue.settings;
  info.created = queue.created;
  info.ready = queue.count(message_state::ready);
  info.delayed = queue.count(message_state::delayed);
  info.leased = queue.count(message_state::leased);
  info.done = queue.count(message_state::done);
  info.expired = queue.count(message_state::expired);
  info.dead = store_.dead_letters(queue) + queue.count(message_state::dead);
  info.bytes = queue.bytes;
  info.totals = queue.totals;
  for (const detail::due_order& order : queue.ready) {
    if (order.empty()) continue;
    const time_point submitted = store_[order.first(store_.slab())].submitted();
    info.oldest = info.oldest ? std::min(*info.oldest, submitted) : submitted;
  }
  return info;
}

std::optional<queue_info> broker_state::find_queue(std::string_view name) const {
  const message_queue* const queue = store_.find_queue(name);
  return queue ? std::optional(info_of(*queue)) : std::nullopt;
}

std::vector<queue_info> broker_state::queues(std::string_view after, std::size_t max) const {
  std::vector<queue_info> list;
  const auto& names = store_.names();
  for (auto at = names.upper_bound(after); at != names.end() && list.size() < max; ++at) {
    list.push_back(info_of(*store_.queue(at->second)));
  }
  return list;
}

std::size_t broker_state::progress(std::uint32_t from,
                                   std::span<queue_progress> into) const noexcept {
  std::size_t count = 0;
  while (count < into.size()) {
    const message_queue* const queue = store_.queues().next(from);
    if (!queue) break;
    if (!queue->is_deleted) into[count++] = {queue->number, queue->totals};
    if (queue->number == UINT32_MAX) break;
    from = queue->number + 1;
  }
  return count;
}

}  // namespace weir
