// All that the broker knows, and the few moves that keep it consistent. The hard idea: a message is
// never changed in place. change() takes it out of its queue's orders and counts, lets the caller
// change it, and puts it where it belongs then; so orders, counts, bytes and wake-ups can't
// disagree with the messages, whatever the change was.
//
// Invariants, asserted or checked by the audit:
//  (1) a message is in exactly one order of its queue, the one of its state (and priority);
//  (2) it is in the order of expiry too when it is ready or delayed and has an end of life;
//  (3) the counts of a queue equal a scan of its messages;
//  (4) the live bytes of a segment are the sizes of the distinct records that a message or a
//      pending reply points to;
//  (5) a queue's wake is not later than any moment at which it has work.
#pragma once

#include <weir/base/hash.hpp>
#include <weir/broker/former_queues.hpp>
#include <weir/broker/key_book.hpp>
#include <weir/broker/message.hpp>
#include <weir/broker/message_queue.hpp>
#include <weir/broker/queue_table.hpp>
#include <weir/broker/reply_book.hpp>
#include <weir/broker/spare_nodes.hpp>
#include <weir/broker/text_pool.hpp>
#include <weir/store/location.hpp>

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

namespace weir::detail {

/// What only messages have that failed once.
struct message_note {
  std::uint64_t sequence = 0;
  std::uint32_t origin = 0;  // number of the queue in which the message died, 0 for none
  std::uint32_t error = 0;   // in the text pool
  std::uint32_t link = no_slot;
  std::uint16_t died_after = 0;  // attempts before its death: they don't count afterwards

  std::uint64_t table_key() const noexcept { return sequence; }
  std::uint32_t& free_link() noexcept { return link; }
};

/// Queues, messages, keys and replies with their orders and counts.
///
/// Cancel:  plain data structure, no waits.
/// Order:   see message_queue.
/// Bound:   the caller's limits; 72 bytes a message, 6 to 13 to find it.
/// Errors:  std::bad_alloc.
/// Threads: one loop.
class message_store {
 public:
  using queue_names = std::map<std::string, std::uint32_t, std::less<>>;

  /// The secret is for names, which come from outside.
  message_store(hash_key secret, std::size_t error_texts_bytes_max)
      : texts_(error_texts_bytes_max), by_name_(0, keyed_hash{secret}) {}

  // Queues. Numbers are never used again, names are.
  message_queue& set_queue(std::uint32_t number, std::string_view name, time_point created,
                           queue_settings settings);
  /// Another name, which is free, for a queue that is there.
  void rename_queue(message_queue& queue, std::string_view name);
  /// No queue has or had the number: of numbers without gaps the record that made it was lost.
  bool is_unheard_of(std::uint32_t number) const noexcept;
  /// Frees the name at once; free_deleted() frees the messages.
  void delete_queue(std::uint32_t number);
  /// Frees at most `max` messages of a deleted queue; the queue itself goes with the last.
  std::size_t free_deleted(message_queue& queue, std::size_t max);
  message_queue* queue(std::uint32_t number) noexcept { return queues_.find(number); }
  const message_queue* queue(std::uint32_t number) const noexcept { return queues_.find(number); }
  /// Deleted ones too, as long as they hold messages.
  const queue_table& queues() const noexcept { return queues_; }
  /// Null for a deleted queue too.
  const message_queue* live_queue(std::uint32_t number) const noexcept;
  const message_queue* find_queue(std::string_view name) const noexcept;
  const queue_names& names() const noexcept { return names_; }
  /// Deleted ones of which dead letters are left, and some of which none are any more.
  const former_queues& former() const noexcept { return former_; }
  /// For loading: one that was deleted before.
  void load_former(std::uint32_t number, std::string_view name);

  // Messages.
  /// The slot, or no_slot. Messages of deleted queues are not found.
  std::uint32_t find(std::uint64_t sequence) const noexcept;
  const message& operator[](std::uint32_t slot) const noexcept { return slab_[slot]; }
  const message_slab& slab() const noexcept { return slab_; }
  /// A new message; its queue exists and its sequence is new.
  std::uint32_t create(const message& made);
  void erase(std::uint32_t slot);
  template <class Change>
  void change(std::uint32_t slot, Change&& change) {
    message& of = slab_[slot];
    unlink(slot);
    change(of);
    link(slot);
  }
  /// Memory for a change of so many records: for messages more, with keys, for notes and replies.
  /// Then make_queue() and make_text() for each queue that is set and each text, in their order.
  void make_room(std::size_t messages, std::size_t notes, std::size_t replies);
  void make_queue(std::uint32_t number, std::string_view name);
  /// Memory for so many deletions.
  void make_deletions(std::size_t count) { former_.make_room(count); }
  /// The text of an error; `reply` is the message whose reply has it too, 0 for none.
  void make_text(std::string_view text, std::uint64_t reply);
  /// Before loading: room to find so many.
  void reserve(std::size_t messages) { table_.reserve(messages); }
  /// For loading many: as create(), but in no order and not counted until link_loaded().
  std::uint32_t load(const message& made);
  void load_note(std::uint32_t slot, std::uint32_t origin, std::uint16_t died_after,
                 std::string_view error);
  void link_loaded(std::uint32_t slot) { link(slot); }

  // Notes.
  const message_note* note_of(const message& of) const noexcept;
  std::string_view error_of(const message& of) const noexcept;
  std::uint32_t origin_of(const message& of) const noexcept;
  void set_error(std::uint32_t slot, std::string_view error);
  /// Makes a dead letter (or, with 0, none) of a message that is not linked: within change().
  void set_origin(message& of, std::uint32_t origin, std::uint16_t died_after);

  // Replies.
  const reply_book& replies() const noexcept { return replies_; }
  void put_reply(std::uint64_t sequence, reply_item item, std::string_view error);
  void erase_reply(std::uint64_t sequence);
  void retry_reply(std::uint64_t sequence, std::uint32_t attempts, std::int64_t due);
  void move_reply(std::uint64_t sequence, location reply_item::* which, location where);
  std::uint64_t take_reply(time_point now) noexcept { return replies_.take(now); }
  void put_off_reply(std::uint64_t sequence, std::uint32_t token, time_point until) noexcept {
    replies_.put_off(sequence, token, until);
  }
  void give_back_reply(std::uint64_t sequence, std::uint32_t token) noexcept {
    replies_.give_back(sequence, token);
  }

  // Work by time.
  const wake_set& wakes() const noexcept { return wakes_; }
  /// Sets the queue's wake to the earliest moment with work.
  void refresh_wake(message_queue& of);

  /// Messages that died in the queue with this number and are on their way elsewhere.
  std::uint64_t dead_letters(std::uint32_t origin) const noexcept;
  /// Those that a queue gets back: also of deleted ones that had its name.
  std::uint64_t dead_letters(const message_queue& of) const noexcept;
  /// Where dead letters go back to that died in the queue with this number: there or, when it was
  /// deleted, to the one that has its name now. Null: there is none.
  const message_queue* home_of_letters(std::uint32_t origin) const noexcept;
  std::uint64_t live_bytes(std::uint32_t segment) const noexcept;
  const std::unordered_map<std::uint32_t, std::uint64_t, mixing_hash>& live() const noexcept {
    return live_;
  }
  std::size_t with_reply() const noexcept { return with_reply_ + replies_.size(); }
  std::size_t memory_bytes() const noexcept;

  key_book keys;
  std::uint64_t next_sequence = 1;
  std::uint32_t next_queue = 1;

 private:
  using name_index = std::unordered_map<std::string_view, message_queue*, keyed_hash>;
  using counts_by_number = std::unordered_map<std::uint32_t, std::uint64_t, mixing_hash>;
  struct made_queue {
    std::uint32_t number = 0;
    std::unique_ptr<message_queue> queue;
    queue_names::node_type name;
    name_index::node_type by_name;
  };
  struct made_text {
    std::uint64_t reply = 0;
    std::string text;
  };

  made_queue made(std::uint32_t number, std::string_view name);
  std::string reply_text(std::uint64_t sequence, std::string_view text);
  void link(std::uint32_t slot);
  void unlink(std::uint32_t slot);
  void count(const message& of, message_queue& in, bool is_added);
  void account(location where, bool is_added);
  void account_reply(std::uint64_t sequence, const reply_item& of, bool is_added);
  void account_reply(const message& of, bool is_added);
  message_note& note_for(message& of);
  void drop_note(message& of);
  void wake_at(message_queue& of, std::int64_t moment);

  message_slab slab_;
  message_table table_;
  weir::detail::slab<message_note> notes_;
  slot_table<weir::detail::slab<message_note>> note_table_;
  text_pool texts_;
  reply_book replies_;
  queue_table queues_;
  queue_names names_;   // in order, for lists
  name_index by_name_;  // keys are theirs
  former_queues former_;
  std::vector<std::pair<std::uint32_t, std::uint32_t>> passed_over_;  // numbers, [from, to)
  wake_set wakes_;
  counts_by_number live_;
  counts_by_number dead_letters_;  // by origin
  spare_nodes<counts_by_number> spare_live_;
  spare_nodes<counts_by_number> spare_dead_letters_;
  std::vector<made_queue> made_queues_;  // made room, in the order of the records
  std::vector<made_text> reply_texts_;
  std::size_t with_reply_ = 0;  // messages on their way that want a reply
};

}  // namespace weir::detail
