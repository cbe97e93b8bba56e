#include <weir/broker/message_store.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/defect.hpp>

#include <algorithm>

namespace weir::detail {

namespace {

bool is_waiting(message_state state) noexcept {
  return state == message_state::ready || state == message_state::delayed;
}

/// A count of nothing for the number, in a spare node.
template <class Counts>
auto added(Counts& to, spare_nodes<Counts>& from, std::uint32_t number) {
  auto node = from.take();
  node.key() = number;
  node.mapped() = 0;
  return to.insert(std::move(node)).position;
}

}  // namespace

message_store::made_queue message_store::made(std::uint32_t number, std::string_view name) {
  made_queue made{.number = number, .queue = {}, .name = {}, .by_name = {}};
  if (const message_queue* const known = queue(number)) {
    name = known->name;
  } else {
    made.queue = std::make_unique<message_queue>();
    made.queue->name = name;
    queues_.make_room(number);
  }
  made.name = made_node<queue_names>(name, number);
  name_index one(0, by_name_.hash_function());
  one.emplace(std::string_view(), nullptr);
  made.by_name = one.extract(one.begin());
  make_bucket_room(by_name_, 1 + made_queues_.size());
  return made;
}

void message_store::make_queue(std::uint32_t number, std::string_view name) {
  made_queues_.push_back(made(number, name));
}

message_queue& message_store::set_queue(std::uint32_t number, std::string_view name,
                                        time_point created, queue_settings settings) {
  const auto found =
      std::ranges::find(made_queues_, number, [](const made_queue& one) { return one.number; });
  made_queue fresh = found != made_queues_.end() ? std::move(*found) : made(number, name);
  if (found != made_queues_.end()) made_queues_.erase(found);
  message_queue* of = queue(number);
  if (!of) {
    of = &queues_.put(number, std::move(fresh.queue));
    of->created = created;
  }
  of->settings = std::move(settings);
  if (!of->is_deleted) {
    if (const auto known = names_.find(of->name); known != names_.end()) {
      known->second = number;
    } else {
      names_.insert(std::move(fresh.name));
    }
    by_name_.erase(of->name);  // its key may be that of a queue before
    fresh.by_name.key() = of->name;
    fresh.by_name.mapped() = of;
    by_name_.insert(std::move(fresh.by_name));
  }
  if (number > next_queue) passed_over_.emplace_back(next_queue, number);
  next_queue = std::max(next_queue, number + 1);
  return *of;
}

void message_store::rename_queue(message_queue& of, std::string_view name) {
  names_.emplace(name, of.number);
  names_.erase(of.name);
  by_name_.erase(of.name);
  of.name = name;
  by_name_.emplace(of.name, &of);
}

bool message_store::is_unheard_of(std::uint32_t number) const noexcept {
  if (number >= next_queue) return true;
  return !queue(number) && std::ranges::any_of(passed_over_, [number](const auto& gap) {
    return gap.first <= number && number < gap.second;
  });
}

void message_store::delete_queue(std::uint32_t number) {
  message_queue* const of = queue(number);
  if (!of || of->is_deleted) return;
  of->is_deleted = true;
  queue_names::node_type name;
  if (const auto found = names_.find(of->name); found != names_.end() && found->second == number) {
    by_name_.erase(of->name);
    name = names_.extract(found);
  }
  if (dead_letters(number) != 0) {
    former_.keep_only([this](std::uint32_t one) { return dead_letters(one) != 0; });
    // While a tail of records is replayed, another queue may have the name already.
    if (name.empty()) name = made_node<queue_names>(of->name, number);
    former_.add(std::move(name));
  }
  wake_at(*of, INT64_MIN);
}

void message_store::load_former(std::uint32_t number, std::string_view name) {
  former_.add(made_node<queue_names>(name, number));
}

std::size_t message_store::free_deleted(message_queue& of, std::size_t max) {
  WEIR_ASSERT(of.is_deleted);
  std::size_t freed = 0;
  const auto free_all = [&](due_order& order) {
    for (; freed < max && !order.empty(); ++freed) erase(order.first(slab_));
  };
  for (due_order& order : of.ready) free_all(order);
  for (due_order* order : {&of.delayed, &of.leased, &of.ended}) free_all(*order);
  if (freed < max) {
    if (of.wake != INT64_MAX) wakes_.erase({of.wake, of.number});
    queues_.erase(of.number);
  }
  return freed;
}

const message_queue* message_store::live_queue(std::uint32_t number) const noexcept {
  const message_queue* const found = queue(number);
  return found && !found->is_deleted ? found : nullptr;
}

const message_queue* message_store::find_queue(std::string_view name) const noexcept {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : found->second;
}

std::uint32_t message_store::find(std::uint64_t sequence) const noexcept {
  const std::uint32_t slot = table_.find(slab_, sequence);
  return slot != no_slot && live_queue(slab_[slot].queue) ? slot : no_slot;
}

void message_store::make_room(std::size_t messages, std::size_t notes, std::size_t replies) {
  // A record of one segment takes the place of others: at most that one is new, and one of them is
  // taken out and put back.
  constexpr std::size_t segments = 3;
  spare_live_.make_room(live_, segments);
  if (messages != 0) {
    slab_.make_room(messages);
    table_.make_room(messages);
    keys.make_room(messages);
  }
  if (notes != 0) {
    notes_.make_room(notes);
    note_table_.make_room(notes);
    texts_.make_room(notes);
    spare_dead_letters_.make_room(dead_letters_, notes);
  }
  made_queues_.clear();
  reply_texts_.clear();
  if (replies != 0) replies_.make_room(replies);
}

void message_store::make_text(std::string_view text, std::uint64_t reply) {
  texts_.make(text);
  if (reply != 0) reply_texts_.push_back({reply, std::string(text)});
}

std::string message_store::reply_text(std::uint64_t sequence, std::string_view text) {
  for (made_text& one : reply_texts_) {
    if (one.reply == sequence && one.text == text) return std::move(one.text);
  }
  return std::string(text);
}

std::uint32_t message_store::load(const message& made) {
  const std::uint32_t slot = slab_.take();
  slab_[slot] = made;
  slab_[slot].order = {};
  slab_[slot].expiry = {};
  slab_[slot].set(message::has_note, false);
  table_.insert(slab_, slot);
  next_sequence = std::max(next_sequence, made.sequence + 1);
  return slot;
}

void message_store::load_note(std::uint32_t slot, std::uint32_t origin, std::uint16_t died_after,
                              std::string_view error) {
  set_origin(slab_[slot], origin, died_after);
  set_error(slot, error);
  // A note may say nothing any more, but the message must have it as it had.
  note_for(slab_[slot]);
}

std::uint32_t message_store::create(const message& made) {
  // Replayed over a snapshot that has the message's reply but no longer the message: from here on
  // the reply's records are counted beside the message's, by link().
  if (const reply_item* reply = replies_.find(made.sequence);
      reply && made.is(message::wants_reply)) {
    account_reply(made.sequence, *reply, false);
  }
  const std::uint32_t slot = load(made);
  link(slot);
  return slot;
}

void message_store::erase(std::uint32_t slot) {
  unlink(slot);
  message& of = slab_[slot];
  drop_note(of);
  table_.erase(slab_, slot);
  const std::uint64_t sequence = of.sequence;
  const bool may_have_reply = of.is(message::wants_reply);
  slab_.give(slot);
  if (!may_have_reply) return;
  // unlink() took the reply's records out of the account as the message held them.
  if (const reply_item* reply = replies_.find(sequence)) account_reply(sequence, *reply, true);
}

void message_store::link(std::uint32_t slot) {
  message& of = slab_[slot];
  message_queue* const in = queue(of.queue);
  WEIR_ASSERT(in);
  if (of.state() == message_state::ready) {
    of.due = 0;
    in->ready_priorities |= 1u << of.priority();
  } else if (of.state() != message_state::leased ||
             !is_planted("broker: sets no clock for leases")) {
    wake_at(*in, of.due);
  }
  in->order_of(of).insert(slab_, slot);  // (1)
  if (is_waiting(of.state()) && of.has_expiry()) {
    in->expiring.insert(slab_, slot);  // (2)
    wake_at(*in, of.expires().ns);
  }
  count(of, *in, true);
  account(of.where, true);
  account_reply(of, true);
}

void message_store::unlink(std::uint32_t slot) {
  message& of = slab_[slot];
  message_queue* const in = queue(of.queue);
  WEIR_ASSERT(in);
  account_reply(of, false);
  account(of.where, false);
  count(of, *in, false);
  due_order& order = in->order_of(of);
  order.erase(slab_, slot);
  if (of.state() == message_state::ready && order.empty()) {
    in->ready_priorities &= ~(1u << of.priority());
  }
  if (is_waiting(of.state()) && of.has_expiry()) in->expiring.erase(slab_, slot);
}

void message_store::count(const message& of, message_queue& in, bool is_added) {
  const auto add = [is_added](std::uint64_t& to, std::uint64_t amount) {
    WEIR_ASSERT(is_added || to >= amount);  // (3)
    to = is_added ? to + amount : to - amount;
  };
  add(in.count(of.state()), 1);
  if (has_ended(of.state())) return;
  add(in.bytes, of.body_bytes);
  if (of.is(message::wants_reply)) is_added ? ++with_reply_ : --with_reply_;
  if (const std::uint32_t origin = origin_of(of); origin != 0) {
    add(in.held_dead_letters, 1);
    // By number and apart from the queue: the origin may be deleted, or, while a tail of records
    // is replayed, not made yet.
    auto found = dead_letters_.find(origin);
    if (found == dead_letters_.end()) found = added(dead_letters_, spare_dead_letters_, origin);
    add(found->second, 1);
    if (found->second == 0) spare_dead_letters_.keep(dead_letters_.extract(found));
  }
}

void message_store::account(location where, bool is_added) {
  if (!where) return;
  auto found = live_.find(where.segment);
  if (is_added) {
    if (found == live_.end()) found = added(live_, spare_live_, where.segment);
    found->second += where.size;
    return;
  }
  WEIR_ASSERT(found != live_.end() && found->second >= where.size);  // (4)
  found->second -= where.size;
  if (found->second == 0) spare_live_.keep(live_.extract(found));
}

void message_store::account_reply(std::uint64_t sequence, const reply_item& of, bool is_added) {
  const std::uint32_t slot = table_.find(slab_, sequence);
  const location held = slot == no_slot ? location{} : slab_[slot].where;
  for (const location where : {of.source, of.result}) {
    if (where != held) account(where, is_added);
  }
}

void message_store::account_reply(const message& of, bool is_added) {
  if (!of.is(message::wants_reply)) return;
  const reply_item* const reply = replies_.find(of.sequence);
  if (reply) account_reply(of.sequence, *reply, is_added);
}

const message_note* message_store::note_of(const message& of) const noexcept {
  if (!of.is(message::has_note)) return nullptr;
  const std::uint32_t slot = note_table_.find(notes_, of.sequence);
  WEIR_ASSERT(slot != no_slot);
  return &notes_[slot];
}

std::string_view message_store::error_of(const message& of) const noexcept {
  const message_note* const note = note_of(of);
  return note ? texts_.text(note->error) : std::string_view();
}

std::uint32_t message_store::origin_of(const message& of) const noexcept {
  const message_note* const note = note_of(of);
  return note ? note->origin : 0;
}

message_note& message_store::note_for(message& of) {
  if (of.is(message::has_note)) return notes_[note_table_.find(notes_, of.sequence)];
  const std::uint32_t slot = notes_.take();
  notes_[slot].sequence = of.sequence;
  note_table_.insert(notes_, slot);
  of.set(message::has_note, true);
  return notes_[slot];
}

void message_store::drop_note(message& of) {
  if (!of.is(message::has_note)) return;
  const std::uint32_t slot = note_table_.find(notes_, of.sequence);
  texts_.drop(notes_[slot].error);
  note_table_.erase(notes_, slot);
  notes_.give(slot);
  of.set(message::has_note, false);
}

void message_store::set_error(std::uint32_t slot, std::string_view error) {
  message& of = slab_[slot];
  if (error.empty() && !of.is(message::has_note)) return;
  message_note& note = note_for(of);
  const std::uint32_t before = note.error;
  note.error = texts_.keep(error);
  texts_.drop(before);
}

void message_store::set_origin(message& of, std::uint32_t origin, std::uint16_t died_after) {
  if (origin == 0 && !of.is(message::has_note)) return;
  message_note& note = note_for(of);
  note.origin = origin;
  note.died_after = died_after;
}

void message_store::put_reply(std::uint64_t sequence, reply_item item, std::string_view error) {
  item.error = reply_text(sequence, error);
  erase_reply(sequence);
  account_reply(sequence, replies_.put(sequence, std::move(item)), true);
}

void message_store::erase_reply(std::uint64_t sequence) {
  if (const reply_item* const item = replies_.find(sequence)) {
    account_reply(sequence, *item, false);
    replies_.erase(sequence);
  }
}

void message_store::retry_reply(std::uint64_t sequence, std::uint32_t attempts, std::int64_t due) {
  replies_.retry(sequence, attempts, due);
}

void message_store::move_reply(std::uint64_t sequence, location reply_item::* which,
                               location where) {
  reply_item* const item = replies_.find(sequence);
  if (!item || !(item->*which)) return;
  account_reply(sequence, *item, false);
  item->*which = where;
  account_reply(sequence, *item, true);
}

void message_store::wake_at(message_queue& of, std::int64_t moment) {
  if (moment >= of.wake) return;
  wake_set::node_type node =
      of.wake == INT64_MAX ? std::move(of.idle_wake) : wakes_.extract({of.wake, of.number});
  of.wake = moment;
  node.value() = {moment, of.number};
  wakes_.insert(std::move(node));  // (5)
}

void message_store::refresh_wake(message_queue& of) {
  if (of.wake != INT64_MAX) of.idle_wake = wakes_.extract({of.wake, of.number});
  of.wake = INT64_MAX;
  for (const due_order* order : {&of.delayed, &of.leased, &of.ended}) {
    if (!order->empty()) wake_at(of, slab_[order->first(slab_)].due);
  }
  if (!of.expiring.empty()) wake_at(of, slab_[of.expiring.first(slab_)].expires().ns);
}

std::uint64_t message_store::dead_letters(std::uint32_t origin) const noexcept {
  const auto found = dead_letters_.find(origin);
  return found == dead_letters_.end() ? 0 : found->second;
}

std::uint64_t message_store::dead_letters(const message_queue& of) const noexcept {
  std::uint64_t count = dead_letters(of.number);
  const auto [from, to] = former_.named(of.name);
  for (auto at = from; at != to; ++at) count += dead_letters(at->second);
  return count;
}

const message_queue* message_store::home_of_letters(std::uint32_t origin) const noexcept {
  if (origin == 0) return nullptr;
  if (const message_queue* const found = live_queue(origin)) return found;
  const std::string_view name = former_.name_of(origin);
  return name.empty() ? nullptr : find_queue(name);
}

std::uint64_t message_store::live_bytes(std::uint32_t segment) const noexcept {
  const auto found = live_.find(segment);
  return found == live_.end() ? 0 : found->second;
}

std::size_t message_store::memory_bytes() const noexcept {
  return slab_.memory_bytes() + table_.memory_bytes() + notes_.memory_bytes() +
         note_table_.memory_bytes() + texts_.bytes() + keys.memory_bytes();
}

}  // namespace weir::detail
