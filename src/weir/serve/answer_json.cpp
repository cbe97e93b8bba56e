#include <weir/serve/answer_json.hpp>

#include <weir/base/text.hpp>
#include <weir/serve/json_settings.hpp>
#include <weir/serve/wall_time.hpp>
#include <weir/wire/base64.hpp>
#include <weir/wire/utf8.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>

namespace weir {

namespace {

/// A body under `field`, and how it is encoded under `encoding_field`.
void append_bytes(json_writer& out, std::string_view field, std::string_view encoding_field,
                  std::string_view content, body_encoding encoding = body_encoding::by_content) {
  if (encoding == body_encoding::by_content && is_utf8(content)) {
    out.field(field, content).field(encoding_field, "text");
  } else {
    out.field(field, encode_base64(content)).field(encoding_field, "base64");
  }
}

void append_time(json_writer& out, std::string_view field, std::optional<time_point> at) {
  if (at && *at != time_point::never()) {
    out.field(field, format_wall_time(*at));
  } else {
    out.null(field);
  }
}

void append_text_or_null(json_writer& out, std::string_view field, std::string_view text) {
  if (text.empty()) {
    out.null(field);
  } else {
    out.field(field, text);
  }
}

/// Two digits after the point are as much as a rate of a minute means.
double rounded(double rate) { return std::round(rate * 100) / 100; }

/// Whole seconds, so that an age reads well; below one, milliseconds.
std::string age_text(duration age) {
  const std::int64_t unit = age >= duration::seconds(1) ? 1'000'000'000 : 1'000'000;
  return format_duration(duration(std::max<std::int64_t>(0, age.ns / unit * unit)));
}

}  // namespace

void append_queue(json_writer& out, const queue_view& queue, const queue_rates& rates,
                  time_point now) {
  std::string settings = settings_json(queue.settings);
  settings.pop_back();  // the line end
  out.begin_object().field("name", queue.name).raw_field("settings", settings);
  out.begin_object("counts")
      .field("ready", queue.ready)
      .field("delayed", queue.delayed)
      .field("leased", queue.leased)
      .field("done", queue.done)
      .field("expired", queue.expired)
      .field("dead", queue.dead)
      .field("bytes", queue.bytes)
      .end_object();
  if (queue.oldest) {
    out.field("oldest_age", age_text(now - *queue.oldest));
  } else {
    out.null("oldest_age");
  }
  out.begin_object("rates")
      .field("submitted", rounded(rates.submitted))
      .field("leased", rounded(rates.leased))
      .field("completed", rounded(rates.completed))
      .field("failed", rounded(rates.failed))
      .end_object();
  append_time(out, "created_at", queue.created);
  out.end_object();
}

void append_problem(json_writer& out, const api_problem& problem) {
  out.begin_object()
      .field("status", problem.status)
      .field("code", problem.code)
      .field("detail", problem.detail)
      .end_object();
}

std::string message_json(const message_view& message) {
  json_writer out;
  out.begin_object()
      .field("id", message.id)
      .field("queue", message.queue)
      .field("state", name(message.state))
      .field("priority", message.priority)
      .field("attempts", message.attempts);
  append_time(out, "submitted_at", message.submitted);
  const auto due_when = [&](bool is_it) {
    return is_it ? std::optional(message.due) : std::nullopt;
  };
  append_time(out, "ready_at", due_when(message.state == message_state::delayed));
  append_time(out, "leased_until", due_when(message.state == message_state::leased));
  append_time(out, "expires_at", message.expires);
  append_time(out, "kept_until", message.kept_until);
  append_text_or_null(out, "last_error", message.last_error);
  append_text_or_null(out, "origin", message.origin);
  if (message.has_result) {
    append_bytes(out, "result", "result_encoding", message.result);
    out.field("result_content_type", message.result_type);
  } else {
    out.null("result");
  }
  return out.end_object().take();
}

std::string leases_json(std::span<const taken_message> messages, body_encoding encoding) {
  json_writer out;
  out.begin_object().begin_array("messages");
  for (const taken_message& one : messages) {
    out.begin_object().field("id", one.id).field("receipt", one.receipt);
    out.field("attempt", one.attempt);
    append_bytes(out, "body", "encoding", one.body.text(), encoding);
    out.field("content_type", one.content_type);
    append_time(out, "deadline", one.deadline);
    out.end_object();
  }
  return out.end_array().end_object().take();
}

std::string event_json(const broker_event& what) {
  json_writer out;
  out.begin_object().field("id", what.id).field("queue", what.queue).field("attempt", what.attempt);
  append_text_or_null(out, "error", what.error);
  append_time(out, "at", what.at);
  std::string text = out.end_object().take();
  text.pop_back();
  return text;
}

std::string reply_json(const due_reply& reply) {
  json_writer out;
  out.begin_object().field("id", reply.id).field("state", name(reply.state));
  if (reply.state == message_state::done) {
    append_bytes(out, "result", "result_encoding", reply.result);
    out.field("result_content_type", reply.content_type);
  } else {
    out.null("result");
  }
  append_text_or_null(out, "error", reply.error);
  return out.end_object().take();
}

std::string_view name(event_kind kind) noexcept {
  switch (kind) {
    case event_kind::submitted:
      return "submitted";
    case event_kind::leased:
      return "leased";
    case event_kind::completed:
      return "completed";
    case event_kind::retried:
      return "retried";
    case event_kind::dead:
      return "dead";
    case event_kind::expired:
      return "expired";
  }
  return "unknown";
}

}  // namespace weir
