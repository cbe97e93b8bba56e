// What the broker writes into the journal. Everything that changes the broker's state is one of
// these records, so recovery is the same apply() again. The hard idea: a record says the outcome
// (the attempt's number, the moment when a message is due), never a difference, so applying a tail
// of records to a snapshot that already holds some of their effects ends in the same state.
//
// The layout is little-endian, in the order of fields(), and described in
// docs/design/formats/broker-records.md. Views in a record point into the payload it was read from.
#pragma once

#include <weir/base/result.hpp>
#include <weir/broker/message.hpp>
#include <weir/broker/queue_settings.hpp>
#include <weir/store/location.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

enum class record_kind : std::uint8_t {
  queue_set = 1,      // a queue is made, or gets new settings
  queue_delete = 2,   // a queue and its messages go
  submit = 3,         // a message arrives
  lease = 4,          // messages are taken, or a lease is extended
  retry = 5,          // a lease ended without success; the message comes back
  dead = 6,           // a message moves to a dead-letter queue
  end = 7,            // a message ends: done, expired, or dead without a dead-letter queue
  remove = 8,         // ended messages are forgotten
  redrive = 9,        // dead letters go back to their queue
  moved_submit = 10,  // the compactor wrote a submit record again
  moved_end = 11,     // the compactor wrote an end record again
  reply_retry = 12,   // calling a reply address failed
  reply_done = 13,    // a reply was delivered, or given up
};

/// A record as the journal holds it.
struct broker_record {
  record_kind kind;
  std::string_view payload = {};
};

/// The last field of a record: the rest of its payload.
struct tail_text {
  std::string_view text = {};
  bool operator==(const tail_text&) const = default;
};

/// In all records: times are nanoseconds since 1970, 0 is "none" or "at once".
struct queue_set_record {
  static constexpr record_kind kind = record_kind::queue_set;
  std::uint32_t queue = 0;  // numbers are never used again
  std::int64_t created = 0;
  std::string_view name = {};
  queue_settings settings = {};

  void fields(this auto& self, auto& io) { io(self.queue, self.created, self.name, self.settings); }
};

struct queue_delete_record {
  static constexpr record_kind kind = record_kind::queue_delete;
  std::uint32_t queue = 0;

  void fields(this auto& self, auto& io) { io(self.queue); }
};

struct submit_record {
  static constexpr record_kind kind = record_kind::submit;
  std::uint64_t sequence = 0;
  std::uint32_t queue = 0;
  std::int64_t submitted = 0;
  std::int64_t due = 0;
  std::int64_t expires = 0;
  std::uint8_t priority = 0;
  std::int64_t key_until = 0;
  std::string_view key = {};
  std::string_view reply_to = {};
  std::string_view content_type = {};
  tail_text body = {};

  void fields(this auto& self, auto& io) {
    io(self.sequence, self.queue, self.submitted, self.due, self.expires, self.priority,
       self.key_until, self.key, self.reply_to, self.content_type, self.body);
  }
};

struct leased_item {
  std::uint64_t sequence = 0;
  std::uint32_t lease = 0;
  std::uint16_t attempts = 0;

  bool operator==(const leased_item&) const = default;
  void fields(this auto& self, auto& io) { io(self.sequence, self.lease, self.attempts); }
};

struct lease_record {
  static constexpr record_kind kind = record_kind::lease;
  std::int64_t deadline = 0;
  std::vector<leased_item> messages = {};

  void fields(this auto& self, auto& io) { io(self.deadline, self.messages); }
};

struct retry_record {
  static constexpr record_kind kind = record_kind::retry;
  std::uint64_t sequence = 0;
  std::int64_t due = 0;
  std::uint16_t attempts = 0;
  std::string_view error = {};

  void fields(this auto& self, auto& io) { io(self.sequence, self.due, self.attempts, self.error); }
};

struct dead_record {
  static constexpr record_kind kind = record_kind::dead;
  std::uint64_t sequence = 0;
  std::uint32_t queue = 0;   // where the dead letter goes
  std::uint32_t origin = 0;  // the queue in which it died
  std::int64_t at = 0;
  std::int64_t expires = 0;
  std::uint16_t attempts = 0;
  std::int64_t reply_due = 0;  // 0: no reply is wanted
  location source = {};        // of the submit record, for the reply
  std::string_view error = {};

  void fields(this auto& self, auto& io) {
    io(self.sequence, self.queue, self.origin, self.at, self.expires, self.attempts, self.reply_due,
       self.source, self.error);
  }
};

struct end_record {
  static constexpr record_kind kind = record_kind::end;
  std::uint64_t sequence = 0;
  message_state outcome = message_state::done;
  std::int64_t at = 0;
  std::int64_t keep_until = 0;  // not after `at`: the message is forgotten at once
  std::uint16_t attempts = 0;
  std::int64_t reply_due = 0;
  location source = {};
  std::string_view error = {};
  std::string_view content_type = {};
  tail_text result = {};

  void fields(this auto& self, auto& io) {
    io(self.sequence, self.outcome, self.at, self.keep_until, self.attempts, self.reply_due,
       self.source, self.error, self.content_type, self.result);
  }
};

struct remove_record {
  static constexpr record_kind kind = record_kind::remove;
  std::vector<std::uint64_t> messages = {};

  void fields(this auto& self, auto& io) { io(self.messages); }
};

struct redrive_record {
  static constexpr record_kind kind = record_kind::redrive;
  std::uint32_t queue = 0;
  std::int64_t expires = 0;
  std::vector<std::uint64_t> messages = {};

  void fields(this auto& self, auto& io) { io(self.queue, self.expires, self.messages); }
};

struct reply_retry_record {
  static constexpr record_kind kind = record_kind::reply_retry;
  std::uint64_t sequence = 0;
  std::int64_t due = 0;
  std::uint32_t attempts = 0;

  void fields(this auto& self, auto& io) { io(self.sequence, self.due, self.attempts); }
};

struct reply_done_record {
  static constexpr record_kind kind = record_kind::reply_done;
  std::uint64_t sequence = 0;
  std::uint8_t is_delivered = 0;  // 0: given up

  void fields(this auto& self, auto& io) { io(self.sequence, self.is_delivered); }
};

constexpr std::uint8_t record_version = 1;
/// Queues are numbered without gaps; a number far beyond the last one is no number of ours.
constexpr std::uint32_t queue_gap_max = 1u << 20;
/// Numbers are never used again. From this one on no queue is made but those of dead letters.
constexpr std::uint32_t queues_ever_max = 4'000'000'000;
/// What names a queue or a message beyond these was not written by a broker: so a number that is
/// given next can't begin again at 0, and a snapshot of what was read can be read, too.
constexpr std::uint32_t queue_number_max = UINT32_MAX - queue_gap_max - 1;
constexpr std::uint64_t sequence_max = std::uint64_t(1) << 62;

/// The records of one command, to be appended to the journal as one atomic batch. Reused: clear()
/// keeps the memory.
///
/// Cancel:  plain value, no waits.
/// Order:   as appended.
/// Bound:   by the commands: see broker_limits.
/// Errors:  std::bad_alloc.
/// Threads: one loop.
class record_batch {
 public:
  /// Encodes any record of this file as the next one.
  template <class Record>
  void append(const Record& record);
  /// Copies an encoded record as the next one.
  void append(broker_record record);
  void clear() noexcept;

  std::size_t size() const noexcept { return items_.size(); }
  bool empty() const noexcept { return items_.empty(); }
  /// The views last until the next append() or clear().
  broker_record operator[](std::size_t at) const noexcept;
  /// All payloads together.
  std::size_t payload_bytes() const noexcept { return payloads_.size(); }

 private:
  struct item {
    record_kind kind;
    std::size_t from;
  };
  std::string payloads_ = {};
  std::vector<item> items_ = {};
};

/// Reads a record of any struct of this file from a payload. `corrupt` names the kind when the
/// payload is short, long or holds an impossible value; `unsupported` when its version is newer.
template <class Record>
result<Record> decode(std::string_view payload);
/// The same into a record whose list may have memory already.
template <class Record>
result<void> decode_into(Record& record, std::string_view payload);

}  // namespace weir
