// What can be asked of the broker, and what it answers: plain structs of views and numbers. A
// command is decided against the state (see broker_state), which gives an outcome and records.
#pragma once

#include <weir/base/time.hpp>
#include <weir/broker/broker_errc.hpp>
#include <weir/broker/message.hpp>
#include <weir/broker/message_id.hpp>
#include <weir/broker/queue_settings.hpp>
#include <weir/store/location.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

namespace weir {

/// The bounds of one broker.
struct broker_limits {
  std::uint32_t queues_max = 10'000;           // dead-letter queues made by the broker come on top
  std::uint32_t message_bytes_max = 8u << 20;  // of a body, and of a result
  std::uint32_t batch_max = 1'000;             // messages submitted by one command
  std::uint32_t lease_max = 1'000;             // messages taken by one command
  std::uint64_t lease_bytes_max = 64u << 20;   // of their bodies, but always one message
  std::uint32_t redrive_max = 1'000;           // dead letters moved by one command
  std::size_t keys_max = 4'000'000;            // idempotency keys, 40 to 50 bytes each
  std::size_t replies_max = 1'000'000;         // messages and results with a reply address
  std::size_t error_texts_bytes_max = 64u << 20;
};

constexpr std::size_t key_bytes_max = 256;
constexpr std::size_t content_type_bytes_max = 256;
constexpr std::size_t error_text_bytes_max = 1'024;  // longer texts are cut

struct put_queue {
  std::string_view name = {};
  const queue_settings& settings;
};
enum class put_outcome : std::uint8_t { created, updated };

struct delete_queue {
  std::string_view name = {};
};

/// A time to live counts from the moment when the message becomes ready for the first time; without
/// one the queue's holds; 0 is for ever.
struct submit_message {
  std::string_view queue = {};
  std::string_view body = {};
  std::string_view content_type = {};
  std::string_view key = {};       // idempotency key; empty for none
  std::string_view reply_to = {};  // URL called with the result; empty for none
  unsigned priority = 0;
  duration delay = {};
  std::optional<duration> ttl = {};
};
struct submitted {
  std::uint64_t sequence = 0;
  bool is_duplicate = false;  // the key was used within its window: this is the earlier message
};

struct submit_batch {
  std::span<const submit_message> messages = {};
};

/// Takes up to `max` ready messages, the highest priority first, then the oldest.
struct lease_messages {
  std::string_view queue = {};
  std::uint32_t max = 1;
  std::optional<duration> lease = {};
  /// Of the records that end messages on the way whose life is over. When the command has done
  /// nothing else it is to be given again: there may be messages behind them.
  std::size_t expired_bytes_max = SIZE_MAX;
};
struct leased_message {
  receipt lease = {};
  std::uint16_t attempt = 0;
  time_point deadline = {};
  location where = {};  // of the submit record with the body
};

struct ack_lease {
  receipt lease = {};
  std::string_view result = {};
  std::string_view content_type = {};
};

enum class attempt_use : std::uint8_t { counts, is_given_back };

/// Without a delay the queue's back-off says when the message is tried again. An attempt that is
/// given back (a worker that was too busy to look) doesn't bring the message nearer to its end.
struct nack_lease {
  receipt lease = {};
  std::optional<duration> delay = {};
  std::string_view error = {};
  attempt_use attempt = attempt_use::counts;
};
/// How a failed lease went on.
struct nacked {
  message_state state = message_state::ready;  // ready, delayed, or dead
  time_point due = {};                         // of the next attempt
};

/// The message can't be worked on, ever: a dead letter at once.
struct reject_lease {
  receipt lease = {};
  std::string_view error = {};
};

struct extend_lease {
  receipt lease = {};
  std::optional<duration> length = {};  // from now; without one the queue's lease
};

/// A place in a queue of dead letters, to go on with the next command.
struct redrive_cursor {
  static constexpr unsigned delayed = priority_max + 1;
  static constexpr unsigned leased = priority_max + 2;

  std::uint32_t source = 0;  // number of the queue that is emptied; chosen by the first command
  unsigned order = leased;   // the walk goes from here down to the ready ones of priority 0
  std::int64_t due = 0;
  std::uint64_t sequence = 0;
};
/// Moves dead letters back to where they died: those that lie in `queue`, or, when it holds
/// none, those of `queue` that lie in its dead-letter queue. Delayed ones don't wait any longer;
/// those on lease stay, for they are somebody's.
struct redrive_queue {
  std::string_view queue = {};
  std::uint32_t max = 1'000;
  redrive_cursor from = {};
};
struct redriven {
  std::uint32_t moved = 0;
  std::uint32_t leased = 0;    // passed by: they are on lease
  std::uint32_t no_queue = 0;  // passed by: no queue has the name of the one in which they died
  std::uint64_t left = 0;      // dead letters after this command, those that ended as dead included
  std::uint64_t ended = 0;     // of those: ended as dead, as their queue keeps no letters
  redrive_cursor next = {};
  bool is_finished = true;  // nothing is left to look at
  bool is_blocked = false;  // stopped because a queue is full
};

/// A result that waits to be told to its reply address. The address is in the record at `source`,
/// the result in the record at `result` (no place for dead and expired messages).
struct pending_reply {
  std::uint64_t sequence = 0;
  std::uint32_t token = 0;  // names this outcome of the message; settle_reply gives it back
  message_state outcome = message_state::done;
  std::uint32_t attempts = 0;  // failed ones
  location source = {};
  location result = {};
  std::string_view error = {};
};
enum class reply_outcome : std::uint8_t { delivered, failed, busy, given_up };
/// What calling the reply address gave. A failed call is repeated as the queue's back-off says,
/// not before `retry_after`, and given up after the queue's number of attempts. One to an address
/// that was too busy is no attempt as long as the ended message is kept for its result.
struct settle_reply {
  std::uint64_t sequence = 0;
  std::uint32_t token = 0;
  reply_outcome outcome = reply_outcome::delivered;
  duration retry_after = {};
};

/// What is known about a message without reading the disk.
struct message_info {
  std::uint64_t sequence = 0;
  std::string_view queue = {};                 // where it lies
  std::string_view origin = {};                // the queue in which it died, else empty
  message_state state = message_state::ready;  // as users see it: a dead letter is dead
  bool is_leased = false;                      // also true for a dead letter on lease
  unsigned priority = 0;
  std::uint32_t attempts = 0;
  time_point submitted = {};
  time_point due = {};                        // delayed: ready at; leased: until
  std::optional<time_point> kept_until = {};  // of those that have ended, but dead letters
  time_point expires;                         // never() for no end
  location where = {};  // the submit record; the end record when the message has ended
  std::uint32_t body_bytes = 0;
  std::string_view last_error = {};
};

/// Counts of things that happened since the process started; differences are rates.
struct queue_totals {
  std::uint64_t submitted = 0;
  std::uint64_t leased = 0;
  std::uint64_t completed = 0;
  std::uint64_t failed = 0;  // attempts that failed, lease expiry included
  std::uint64_t died = 0;
  std::uint64_t expired = 0;
  std::uint64_t redriven = 0;
  std::uint64_t replies_delivered = 0;
  std::uint64_t replies_given_up = 0;

  bool operator==(const queue_totals&) const = default;
};

/// How far a queue has come, for walks over all queues that must not cost much.
struct queue_progress {
  std::uint32_t number = 0;  // as in queue_info
  queue_totals totals = {};
};

struct queue_info {
  std::uint32_t number = 0;  // one that is made anew has another, and a higher one
  std::string_view name = {};
  const queue_settings* settings = nullptr;
  time_point created = {};
  std::uint64_t ready = 0;
  std::uint64_t delayed = 0;
  std::uint64_t leased = 0;
  std::uint64_t done = 0;                 // kept for their results
  std::uint64_t expired = 0;              // kept until their retention is over
  std::uint64_t dead = 0;                 // dead letters of this queue, wherever they lie
  std::uint64_t bytes = 0;                // bodies of messages on their way
  std::optional<time_point> oldest = {};  // when the oldest ready message was submitted
  queue_totals totals = {};
};

}  // namespace weir
