// Why the broker refuses a command: one short list with stable names (they are the `code` of a
// problem answered over HTTP), each with a text for people that names the culprit.
#pragma once

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace weir {

/// Reasons for a refusal. A refused command has changed nothing.
enum class broker_errc : std::uint8_t {
  queue_not_found = 1,
  queue_full,         // messages or bytes are at the queue's capacity
  too_many_queues,    // broker_limits::queues_max
  too_many_keys,      // broker_limits::keys_max idempotency keys are within their window
  too_many_replies,   // broker_limits::replies_max messages with a reply address are kept
  message_too_large,  // body or result over broker_limits::message_bytes_max
  message_not_found,  // never existed, or its retention is over
  stale_receipt,      // the lease ended: acknowledged, returned, expired or taken again
  invalid_name,       // a queue's name breaks the rules of is_queue_name()
  invalid_setting,    // a queue's setting is out of range
  invalid_field,      // a field of a message or command is out of range
  too_many_messages,  // a batch is over broker_limits::batch_max
  busy,               // broker_options::waiters_max calls wait already, or subscribers listen
  no_space,           // the disk is full, and this does not fit into the last segment
  unavailable,        // the broker is closing, or its journal has failed
};

/// The stable name of a reason: "queue_not_found".
std::string_view name(broker_errc code) noexcept;

/// A refusal: the reason, and a sentence that says what was wrong with what.
struct refusal {
  broker_errc code;
  std::string detail;

  friend bool operator==(const refusal& a, broker_errc b) noexcept { return a.code == b; }
};

/// What a command gives, or why it was refused.
template <class T>
using verdict = std::expected<T, refusal>;

/// `return refuse(broker_errc::queue_not_found, "there is no queue 'x'");`
[[nodiscard]] inline std::unexpected<refusal> refuse(broker_errc code, std::string detail) {
  return std::unexpected<refusal>(refusal{code, std::move(detail)});
}

}  // namespace weir
