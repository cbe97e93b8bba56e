// What the broker tells its callers: plain values that own their texts, so that they outlive the
// call. The state machine's own answers (broker_command.hpp) are views and numbers.
#pragma once

#include <weir/base/buffer.hpp>
#include <weir/base/time.hpp>
#include <weir/broker/broker_command.hpp>
#include <weir/broker/queue_settings.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

/// One message to submit. The views must live until the call ends.
struct new_message {
  std::string_view body = {};
  std::string_view content_type = {};
  unsigned priority = 0;
  duration delay = {};
  std::optional<duration> ttl = {};
  std::string_view key = {};
  std::string_view reply_to = {};
};

struct accepted_message {
  std::string id = {};
  bool is_duplicate = false;  // the key was used within its window: this is the earlier message
};

/// A message on lease, with its body.
struct taken_message {
  std::string id = {};
  std::string receipt = {};
  std::string queue = {};
  std::uint32_t attempt = 0;
  bytes body = {};
  std::string content_type = {};
  time_point deadline = {};  // wall time
};

/// What became of a message on lease. The views must live until the call ends.
struct lease_result {
  std::string_view receipt = {};
  std::string_view result = {};
  std::string_view content_type = {};
};

struct message_view {
  std::string id = {};
  std::string queue = {};
  std::string origin = {};  // the queue in which it died first; else empty
  message_state state = message_state::ready;
  unsigned priority = 0;
  std::uint32_t attempts = 0;
  time_point submitted = {};
  time_point due = {};                        // delayed: ready at; leased: until
  std::optional<time_point> kept_until = {};  // of those that have ended, but dead letters
  time_point expires = {};                    // never() for no end
  std::string last_error = {};
  bool has_result = false;
  std::string result = {};
  std::string result_type = {};
};

struct queue_view {
  std::uint32_t number = 0;  // see queue_info
  std::string name = {};
  queue_settings settings = {};
  time_point created = {};
  std::uint64_t ready = 0;
  std::uint64_t delayed = 0;
  std::uint64_t leased = 0;
  std::uint64_t done = 0;
  std::uint64_t expired = 0;
  std::uint64_t dead = 0;
  std::uint64_t bytes = 0;
  std::optional<time_point> oldest = {};
  queue_totals totals = {};
};

/// What a redrive has done, and why dead letters are left: the others lie elsewhere, or came after.
struct redrive_view {
  std::uint64_t moved = 0;
  std::uint64_t left = 0;
  std::uint64_t leased = 0;    // of those left: on lease
  std::uint64_t no_room = 0;   // of those left: it stopped at a full queue
  std::uint64_t no_queue = 0;  // of those left: no queue has the name of theirs any more
  std::uint64_t ended = 0;     // of those left: ended as dead, as their queue keeps no letters
};

/// A result that is due at its reply address.
struct due_reply {
  std::uint64_t sequence = 0;
  std::uint32_t token = 0;
  std::string id = {};
  std::string url = {};
  message_state state = message_state::done;
  std::string result = {};
  std::string content_type = {};
  std::string error = {};
  std::shared_ptr<const void> room = {};  // in broker_options::replies_bytes_max, while it is kept
};

enum class event_kind : std::uint8_t { submitted, leased, completed, retried, dead, expired };

/// Something durable that happened to a message.
struct broker_event {
  event_kind kind = event_kind::submitted;
  std::string id = {};
  std::string queue = {};
  std::uint32_t attempt = 0;
  std::string error = {};
  time_point at = {};
  std::shared_ptr<const message_view> last = {};  // whoever follows a message that is forgotten
                                                  // at its end gets it here
};

}  // namespace weir
