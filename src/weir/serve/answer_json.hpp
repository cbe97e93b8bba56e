// What the endpoints answer, as JSON: queues, messages, leases and events. Bodies that are no UTF-8
// travel as base64, which their encoding says.
#pragma once

#include <weir/broker/broker.hpp>
#include <weir/serve/api_problem.hpp>
#include <weir/serve/json_writer.hpp>

#include <span>
#include <string>
#include <string_view>

namespace weir {

/// Growth a second of a queue's counters, over about a minute.
struct queue_rates {
  double submitted = 0;
  double leased = 0;
  double completed = 0;
  double failed = 0;
};

/// How bodies are put into JSON: as text where they are UTF-8, or always as base64 (which spares a
/// shell to undo JSON's escapes).
enum class body_encoding : unsigned char { by_content, base64 };

/// {"name", "settings", "counts", "oldest_age", "rates", "created_at"} as the next object of `out`.
/// One refused item of a batch's answer.
void append_problem(json_writer& out, const api_problem& problem);
void append_queue(json_writer& out, const queue_view& queue, const queue_rates& rates,
                  time_point now);
/// {"id", "queue", "state", "attempts", times, "last_error", "result" ...}
std::string message_json(const message_view& message);
/// {"messages":[{"id", "receipt", "attempt", "body", "encoding", "content_type", "deadline"}]}
std::string leases_json(std::span<const taken_message> messages, body_encoding encoding);
/// The data of a server-sent event: {"id", "queue", "attempt", "error", "at"} in one line.
std::string event_json(const broker_event& what);
/// What a reply address is told: {"id", "state", "result", "result_encoding", "error"}.
std::string reply_json(const due_reply& reply);

std::string_view name(event_kind kind) noexcept;

}  // namespace weir
