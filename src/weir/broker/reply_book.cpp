#include <weir/broker/reply_book.hpp>

#include <weir/base/defect.hpp>

namespace weir::detail {

reply_item* reply_book::find(std::uint64_t sequence) noexcept {
  const auto found = items_.find(sequence);
  return found == items_.end() ? nullptr : &found->second;
}

const reply_item* reply_book::find(std::uint64_t sequence) const noexcept {
  const auto found = items_.find(sequence);
  return found == items_.end() ? nullptr : &found->second;
}

reply_item& reply_book::put(std::uint64_t sequence, reply_item item) {
  erase(sequence);
  item.token = ++last_token_;
  item.is_out = false;
  due_set::node_type turn = spare_turns_.take();
  turn.value() = {item.due, sequence};
  waiting_.insert(std::move(turn));
  map::node_type made = spare_items_.take();
  made.key() = sequence;
  made.mapped() = std::move(item);
  return items_.insert(std::move(made)).position->second;
}

void reply_book::make_room(std::size_t count) {
  spare_items_.make_room(items_, count);
  spare_turns_.make_room(waiting_, count);
}

reply_book::due_set::node_type reply_book::take_turn(std::uint64_t sequence,
                                                     const reply_item& of) noexcept {
  return (of.is_out ? out_ : waiting_).extract({of.due, sequence});
}

void reply_book::erase(std::uint64_t sequence) noexcept {
  const auto found = items_.find(sequence);
  if (found == items_.end()) return;
  spare_turns_.keep(take_turn(sequence, found->second));
  map::node_type gone = items_.extract(found);
  gone.mapped() = {};
  spare_items_.keep(std::move(gone));
}

void reply_book::retry(std::uint64_t sequence, std::uint32_t attempts, std::int64_t due) {
  reply_item* item = find(sequence);
  if (!item) return;
  due_set::node_type turn = take_turn(sequence, *item);
  item->busy_calls += attempts == item->attempts ? 1 : 0;
  item->attempts = attempts;
  item->due = due;
  item->is_out = false;
  turn.value() = {due, sequence};
  const bool forgets = is_planted("broker: forgets a reply whose call failed");
  (forgets ? out_ : waiting_).insert(std::move(turn));
  item->is_out = forgets;
}

std::uint64_t reply_book::take(time_point now) noexcept {
  if (waiting_.empty() || waiting_.begin()->first > now.ns) return 0;
  const std::uint64_t sequence = waiting_.begin()->second;
  out_.insert(waiting_.extract(waiting_.begin()));
  find(sequence)->is_out = true;
  return sequence;
}

void reply_book::give_back(std::uint64_t sequence, std::uint32_t token) noexcept {
  reply_item* item = find(sequence);
  if (!item || item->token != token || !item->is_out) return;
  waiting_.insert(take_turn(sequence, *item));
  item->is_out = false;
}

void reply_book::put_off(std::uint64_t sequence, std::uint32_t token, time_point until) noexcept {
  reply_item* item = find(sequence);
  if (!item || item->token != token || !item->is_out) return;
  due_set::node_type turn = take_turn(sequence, *item);
  item->due = until.ns;
  item->is_out = false;
  turn.value() = {until.ns, sequence};
  waiting_.insert(std::move(turn));
}

time_point reply_book::next_due() const noexcept {
  return waiting_.empty() ? time_point::never() : time_point(waiting_.begin()->first);
}

}  // namespace weir::detail
