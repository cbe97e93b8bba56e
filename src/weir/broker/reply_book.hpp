// Results that wait to be told to a reply address: one small durable item each, apart from its
// message, so that a receiver that is down for a day holds up neither the queue nor the retention.
#pragma once

#include <weir/base/time.hpp>
#include <weir/broker/message.hpp>
#include <weir/broker/spare_nodes.hpp>
#include <weir/store/location.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>

namespace weir::detail {

struct reply_item {
  std::uint32_t queue = 0;  // whose back-off holds
  message_state outcome = message_state::done;
  std::uint32_t attempts = 0;
  std::uint32_t busy_calls = 0;  // that were no attempts; not durable: the back-off begins anew
  std::int64_t due = 0;
  location source = {};
  location result = {};
  std::string error = {};
  std::uint32_t token = 0;  // not durable: tells apart the outcomes of one message
  bool is_out = false;      // not durable: being delivered right now
};

/// The pending replies by message, and those to be delivered by due time.
///
/// Cancel:  plain data structure, no waits.
/// Order:   next_due() is the earliest among those not being delivered.
/// Bound:   the caller refuses new reply addresses beyond broker_limits::replies_max.
/// Errors:  std::bad_alloc from make_room(), and from put() beyond the room made.
/// Threads: one loop.
class reply_book {
 public:
  using map = std::map<std::uint64_t, reply_item>;

  reply_item* find(std::uint64_t sequence) noexcept;
  const reply_item* find(std::uint64_t sequence) const noexcept;
  /// Memory for `count` items more, so that as many calls of put() don't fail.
  void make_room(std::size_t count);
  /// Adds the item, or puts it in the place of an earlier outcome of the same message.
  reply_item& put(std::uint64_t sequence, reply_item item);
  void erase(std::uint64_t sequence) noexcept;
  /// A call was in vain; it was an attempt if `attempts` are more than before. The next one is due
  /// then.
  void retry(std::uint64_t sequence, std::uint32_t attempts, std::int64_t due);
  /// The sequence of the earliest item due at `now`, marked as out; 0 when there is none.
  std::uint64_t take(time_point now) noexcept;
  /// What take() gave is waiting again, as if it had not been taken. Another outcome is left alone.
  void give_back(std::uint64_t sequence, std::uint32_t token) noexcept;
  /// The same, but it is due only at `until`. Not durable: the next start knows the earlier moment.
  void put_off(std::uint64_t sequence, std::uint32_t token, time_point until) noexcept;

  time_point next_due() const noexcept;
  std::size_t size() const noexcept { return items_.size(); }
  const map& items() const noexcept { return items_; }

 private:
  using due_set = std::set<std::pair<std::int64_t, std::uint64_t>>;
  due_set::node_type take_turn(std::uint64_t sequence, const reply_item& of) noexcept;

  map items_;
  due_set waiting_;
  due_set out_;  // the same for those being delivered: a node moves between the two
  spare_nodes<map> spare_items_;
  spare_nodes<due_set> spare_turns_;
  std::uint32_t last_token_ = 0;
};

}  // namespace weir::detail
