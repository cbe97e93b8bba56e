// The broker: durable queues as a pure state machine. No clock, no disk, no random number is in
// here: what happened comes in as records, what time it is as an argument. The hard idea is the
// split in two. decide() looks at a command and the state and gives an outcome and the records that
// make it true, changing nothing; apply() is the only thing that changes the state, one record at a
// time. So recovery is the same apply() over the journal, and a journal that can't take the records
// (disk full) has left the state as it was.
//
//   command --decide--> outcome + records --journal.append--> locations --apply--> new state
//                                                  \--durable--> the answer goes out
//
// Rules for whoever drives it:
//  (R1) records of one decide() or tick() are appended as one atomic batch, and applied in order,
//       at once, before the next decide() or tick();
//  (R2) nothing is answered before its records are durable;
//  (R3) set_durable() follows the journal: no message is leased before its record is on disk;
//  (R4) tick() is called when next_due() has come, until it returns false.
#pragma once

#include <weir/base/hash.hpp>
#include <weir/base/result.hpp>
#include <weir/base/time.hpp>
#include <weir/broker/broker_command.hpp>
#include <weir/broker/broker_record.hpp>
#include <weir/broker/message_store.hpp>
#include <weir/store/location.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

namespace detail {
class planner;
}

/// A message went from one state to another. The views last for the call.
struct message_change {
  std::string_view queue;
  std::uint64_t sequence = 0;
  message_state state = message_state::ready;
  std::string_view origin;           // a dead letter's queue; empty for other messages
  std::string_view left = {};        // the queue that it left for this one by dying; else empty
  bool is_forgotten = false;         // its retention is over: it is no longer known
  const end_record* last = nullptr;  // how it ended, when it is forgotten right after this
};

/// Told of changes by apply() and tick(). May ask the state, not change it.
///
/// Cancel:  no waits.
/// Order:   right after each change, in the order of the changes.
/// Bound:   one observer a state.
/// Errors:  none; it must not throw.
/// Threads: those of the state.
class state_observer {
 public:
  virtual ~state_observer() = default;
  virtual void message_changed(const message_change& change) = 0;
  virtual void queue_deleted(std::string_view queue) = 0;
};

/// All queues and messages of one broker, without the bodies.
///
/// Cancel:  no waits.
/// Order:   strict by priority, then by sequence; a message that comes back gets its old place.
/// Bound:   broker_limits; 78 to 85 bytes a queued message.
/// Errors:  refusals from decide(), which changes nothing; `corrupt` from apply() for a record that
///          can't be ours, with nothing changed.
/// Threads: one loop.
class broker_state {
 public:
  /// The secret must stay the same for the life of the data: digests of keys depend on it.
  broker_state(hash_key secret, broker_limits limits);

  // Commands. Records are appended to `out`; a refusal appends none.
  verdict<put_outcome> decide(const put_queue& command, time_point now, record_batch& out) const;
  verdict<void> decide(const delete_queue& command, time_point now, record_batch& out) const;
  verdict<submitted> decide(const submit_message& command, time_point now, record_batch& out) const;
  /// One verdict a message; refused as a whole when the batch is empty or too long.
  verdict<std::vector<verdict<submitted>>> decide(const submit_batch& command, time_point now,
                                                  record_batch& out) const;
  /// Messages found expired on the way are ended by the same records.
  verdict<std::vector<leased_message>> decide(const lease_messages& command, time_point now,
                                              record_batch& out) const;
  verdict<void> decide(const ack_lease& command, time_point now, record_batch& out) const;
  verdict<nacked> decide(const nack_lease& command, time_point now, record_batch& out) const;
  verdict<void> decide(const reject_lease& command, time_point now, record_batch& out) const;
  /// Gives the new deadline.
  verdict<time_point> decide(const extend_lease& command, time_point now, record_batch& out) const;
  verdict<redriven> decide(const redrive_queue& command, time_point now, record_batch& out) const;
  verdict<void> decide(const settle_reply& command, time_point now, record_batch& out) const;

  /// Work that time brings: leases that ran out, ends of life, retentions; at most about `budget`
  /// messages. Delayed messages that are due become ready at once, without a record. True when
  /// there may be more to do: apply `out`, then call again.
  bool tick(time_point now, std::size_t budget, record_batch& out);
  /// Not later than the next moment with work; never() when there is none.
  time_point next_due() const noexcept;
  /// Of them, when the next reply is.
  time_point next_reply_due() const noexcept { return store_.replies().next_due(); }
  /// Up to `max` replies that are due, each given once until it is settled.
  std::vector<pending_reply> take_replies(time_point now, std::size_t max);
  /// A reply that was taken and could not be delivered is due again, as if it had not been taken.
  void give_back_reply(std::uint64_t sequence, std::uint32_t token) noexcept;
  /// The same, but it is due only at `until`; the next start knows the earlier moment.
  void put_off_reply(std::uint64_t sequence, std::uint32_t token, time_point until) noexcept;
  /// The reply as it is now: compaction moves its records.
  std::optional<pending_reply> find_reply(std::uint64_t sequence) const;

  /// All memory that applying these records will take. Before they are written: what was written
  /// and could not be applied would be there only after the next start.
  void make_room_for(const record_batch& records);
  /// Makes a record true. For our own records just decided, and for those of the journal in order.
  result<void> apply(broker_record record, location where);
  /// The names of queues whose record was lost, made in their place for the messages that were not.
  std::vector<std::string> lost_queues() const;
  /// Records up to here are on disk. Starts at location::last(): replayed records are.
  void set_durable(location upto) noexcept { durable_ = upto; }
  /// The last record applied: what a snapshot begun now covers.
  location applied() const noexcept { return applied_; }
  /// Null for none; must outlive its use.
  void set_observer(state_observer* observer) noexcept { observer_ = observer; }

  // Questions.
  std::optional<message_info> find_message(std::uint64_t sequence, time_point now) const;
  std::optional<queue_info> find_queue(std::string_view name) const;
  bool has_queue(std::string_view name) const noexcept {
    return store_.find_queue(name) != nullptr;
  }
  /// Up to `max` queues by name, from the first after `after`.
  std::vector<queue_info> queues(std::string_view after, std::size_t max) const;
  /// Those of queues by rising number, from `from` on, as many as fit; gives how many.
  std::size_t progress(std::uint32_t from, std::span<queue_progress> into) const noexcept;
  std::size_t memory_bytes() const noexcept { return store_.memory_bytes(); }
  const broker_limits& limits() const noexcept { return limits_; }

  // For the journal's compaction. Only submit and end records can be live: all else is in
  // snapshots.
  /// Bytes of a segment's records that are still needed.
  std::uint64_t live_bytes(std::uint32_t segment) const noexcept {
    return store_.live_bytes(segment);
  }
  /// The segments with such bytes, by rising number.
  std::vector<std::uint32_t> live_segments() const;
  /// True when a record read from there is still needed there.
  bool is_live(broker_record record, location where) const;
  /// The record that takes a live record's place when it is written again.
  static broker_record relocated(broker_record record) noexcept;

  // For tests and tools.
  /// Scans everything and compares it with all counts and orders: the first disagreement, or "".
  std::string audit() const;
  /// Every durable fact, sorted, one a line: equal states give equal texts.
  std::string describe(time_point now) const;

 private:
  friend class detail::planner;
  friend class snapshot_writer;
  friend class snapshot_loader;

  result<void> apply_kind(broker_record record, location where);
  template <class Record>
  result<void> apply_payload(std::string_view payload, location where);
  void make_room_for(broker_record record);
  template <class Record>
  result<void> apply_list(Record& kept, std::string_view payload, location where);
  result<void> apply_queue_set(std::string_view payload);
  bool is_possible(std::uint32_t queue) const;
  bool is_possible(const queue_set_record& record) const;
  bool is_possible(const submit_record& record) const;
  bool is_possible(const end_record& record) const;
  bool is_possible(const auto&) const { return true; }
  const detail::message_queue* home_of(std::uint32_t queue, std::int64_t at);
  std::string free_name(std::uint32_t lost) const;
  void make_way(const queue_set_record& record);
  void apply(const queue_delete_record& record, location where);
  void apply(const submit_record& record, location where);
  void apply(const lease_record& record, location where);
  void apply(const retry_record& record, location where);
  void apply(const dead_record& record, location where);
  void apply(const end_record& record, location where);
  void apply(const remove_record& record, location where);
  void apply(const redrive_record& record, location where);
  void apply(const reply_retry_record& record, location where);
  void apply(const reply_done_record& record, location where);
  result<void> apply_moved_submit(std::string_view payload, location where);
  result<void> apply_moved_end(std::string_view payload, location where);

  void tell(std::uint32_t slot, std::string_view left = {}, const end_record* last = nullptr);
  void forget(std::uint32_t slot);
  std::size_t promote(detail::message_queue& queue, time_point now, std::size_t max);
  std::size_t tick_queue(detail::message_queue& queue, time_point now, std::size_t max,
                         detail::planner& plan);
  queue_info info_of(const detail::message_queue& queue) const;

  hash_key secret_;
  broker_limits limits_;
  detail::message_store store_;
  location durable_ = location::last();
  location applied_;
  state_observer* observer_ = nullptr;
  std::uint32_t tick_after_ = 0;  // the queue that the last tick served last
  // Made room: lists are read into these, and queue_set records are read before they are written.
  lease_record lease_;
  remove_record remove_;
  redrive_record redrive_;
  std::vector<queue_set_record> made_sets_;
  std::vector<std::uint32_t> lost_queues_;  // made by home_of()
};

}  // namespace weir
