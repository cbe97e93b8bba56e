// Internal to the broker: turns commands and the passing of time into records. A plan sees the
// state as it was when it began and remembers what its own records will add (numbers given out,
// room taken, queues made), so that one batch of records is consistent in itself.
#pragma once

#include <weir/broker/broker_state.hpp>

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace weir::detail {

class planner {
 public:
  planner(const broker_state& state, time_point now, record_batch& out)
      : state_(state),
        store_(state.store_),
        now_(now),
        out_(out),
        next_sequence_(store_.next_sequence),
        next_queue_(store_.next_queue) {}

  verdict<put_outcome> put(const put_queue& command);
  verdict<void> drop(const delete_queue& command);
  verdict<submitted> submit(const submit_message& command);
  verdict<std::vector<leased_message>> lease(const lease_messages& command);
  verdict<void> ack(const ack_lease& command);
  verdict<nacked> nack(const nack_lease& command);
  verdict<void> reject(const reject_lease& command);
  verdict<time_point> extend(const extend_lease& command);
  verdict<redriven> redrive(const redrive_queue& command);
  verdict<void> settle(const settle_reply& command);

  /// An attempt failed: back after the back-off, or dead after the last attempt.
  nacked fail_attempt(const message& of, std::string_view error);
  /// The message's life is over.
  void expire(const message& of);
  /// Ended messages whose retention is over.
  void remove(std::vector<std::uint64_t> sequences);
  std::size_t records() const noexcept { return out_.size(); }

 private:
  struct room {
    std::uint64_t messages = 0;
    std::uint64_t bytes = 0;
  };
  using redrive_moves = std::map<std::uint32_t, redrive_record>;  // by queue number

  verdict<const message_queue*> queue_named(std::string_view name) const;
  std::string_view why_stale(const message& of) const;
  verdict<const message*> leased_by(receipt lease) const;
  verdict<void> check_submit(const submit_message& command) const;
  verdict<void> check_room(const message_queue& queue, std::uint64_t bytes);
  /// The order of a queue that a redrive's cursor names.
  static const due_order& order_of(const message_queue& queue, unsigned which);
  due_order::cursor place_after(const message_queue& queue, const redrive_cursor& from) const;
  /// False when the queue has no room for the letter.
  bool bring_back(const message& of, const message_queue& to, redrive_moves& moves);
  /// Gives the state after: delayed, ready or dead.
  nacked back_off(const message& of, const message_queue& queue, std::string_view error);
  void die(const message& of, const message_queue& queue, std::string_view error);
  void end(const message& of, const message_queue& queue, end_record record);
  /// The number of the dead-letter queue with this name, made when it is missing.
  std::uint32_t dead_letter_queue(const std::string& name);
  std::int64_t reply_due(const message& of) const;
  bool used_all_attempts(const message& of, const message_queue& queue) const;
  std::uint64_t spread(std::uint64_t sequence, std::uint64_t attempt) const;

  const broker_state& state_;
  const message_store& store_;
  time_point now_;
  record_batch& out_;
  std::uint64_t next_sequence_;
  std::uint32_t next_queue_;
  std::size_t new_replies_ = 0;
  std::map<std::uint32_t, room> taken_;              // by queue number
  std::map<key_digest, std::uint64_t> new_keys_;     // keys used by this plan
  std::map<std::string, std::uint32_t> new_queues_;  // dead-letter queues made by this plan
};

}  // namespace weir::detail
