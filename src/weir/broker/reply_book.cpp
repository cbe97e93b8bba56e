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
  waiting_.emplace(item.due, sequence);
  return items_.insert_or_assign(sequence, std::move(item)).first->second;
}

void reply_book::erase(std::uint64_t sequence) noexcept {
  const auto found = items_.find(sequence);
  if (found == items_.end()) return;
  waiting_.erase({found->second.due, sequence});
  items_.erase(found);
}

void reply_book::retry(std::uint64_t sequence, std::uint32_t attempts, std::int64_t due) {
  reply_item* item = find(sequence);
  if (!item) return;
  waiting_.erase({item->due, sequence});
  item->busy_calls += attempts == item->attempts ? 1 : 0;
  item->attempts = attempts;
  item->due = due;
  item->is_out = false;
  if (!is_planted("broker: forgets a reply whose call failed")) waiting_.emplace(due, sequence);
}

std::uint64_t reply_book::take(time_point now) noexcept {
  if (waiting_.empty() || waiting_.begin()->first > now.ns) return 0;
  const std::uint64_t sequence = waiting_.begin()->second;
  waiting_.erase(waiting_.begin());
  find(sequence)->is_out = true;
  return sequence;
}

void reply_book::give_back(std::uint64_t sequence, std::uint32_t token) {
  reply_item* item = find(sequence);
  if (!item || item->token != token || !item->is_out) return;
  item->is_out = false;
  waiting_.emplace(item->due, sequence);
}

time_point reply_book::next_due() const noexcept {
  return waiting_.empty() ? time_point::never() : time_point(waiting_.begin()->first);
}

}  // namespace weir::detail
