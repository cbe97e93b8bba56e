// Messages: submit one or a batch, look at one, wait for its end.
#include <weir/serve/service.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/text.hpp>
#include <weir/serve/submit_fields.hpp>
#include <weir/serve/until_drained.hpp>

#include <fmt/format.h>

#include <utility>
#include <vector>

namespace weir {

namespace {

api_problem too_large(std::size_t bytes_max) {
  return {.status = 413,
          .code = "message_too_large",
          .detail = fmt::format("a message may have {} bytes", bytes_max)};
}

/// A whole body, or the problem that it is over the limit of messages.
task<answer<std::string>> read_message(http::request& request, std::size_t bytes_max) {
  auto body = co_await as_result(request.read_all(bytes_max));
  if (body) co_return std::move(*body);
  if (body.error() == errc::too_large) co_return std::unexpected(too_large(bytes_max));
  raise(std::move(body.error()));
}

api_answer accepted_answer(const accepted_message& message) {
  json_writer out;
  out.begin_object().field("id", message.id);
  if (message.is_duplicate) out.field("duplicate", true);
  return {.status = 202, .body = out.end_object().take(), .location = "/v1/messages/" + message.id};
}

void append_item(json_writer& out, const accepted_message& message) {
  out.begin_object().field("status", 202).field("id", message.id);
  if (message.is_duplicate) out.field("duplicate", true);
  out.end_object();
}

}  // namespace

task<service::outcome> service::submit(exchange& with) {
  const answer<query_params> params = query_params::parse(with.request.query(), {"wait"});
  if (!params) co_return std::unexpected(params.error());
  const answer<duration> wait = params->length("wait", duration(), options_.wait_max);
  if (!wait) co_return std::unexpected(wait.error());
  const answer<submit_fields> fields = read_submit_fields(with.request.fields());
  if (!fields) co_return std::unexpected(fields.error());
  if (auto problem = check_callable("field 'Weir-Reply-To'", "invalid_field", fields->reply_to)) {
    co_return std::unexpected(std::move(*problem));
  }
  // Asked before the body is read: nobody should upload to a queue that is not there.
  if (!broker_.has_queue(with.argument)) {
    co_return std::unexpected(problem_of(broker_.queue(with.argument).error()));
  }
  answer<std::string> body =
      co_await read_message(with.request, broker_.limits().message_bytes_max);
  if (!body) co_return std::unexpected(std::move(body.error()));
  const new_message message{.body = *body,
                            .content_type = fields->content_type,
                            .priority = fields->priority,
                            .delay = fields->delay,
                            .ttl = fields->ttl,
                            .key = fields->key,
                            .reply_to = fields->reply_to};
  const time_point begin = loop::current()->now();
  // A drain ends the wait for room; what was taken in without one is confirmed in any case.
  auto submitting = broker_.submit(with.argument, message, *wait);
  const verdict<accepted_message> accepted =
      *wait > duration()
          ? value_or_raise(co_await until_drained(with.request.drain(), std::move(submitting)))
          : co_await std::move(submitting);
  if (!accepted) co_return std::unexpected(problem_of(accepted.error()));
  counters_.confirmed(loop::current()->now() - begin);
  co_return accepted_answer(*accepted);
}

task<service::outcome> service::submit_batch(exchange& with) {
  if (!broker_.has_queue(with.argument)) {
    co_return std::unexpected(problem_of(broker_.queue(with.argument).error()));
  }
  const std::string body = co_await with.request.read_all(options_.json_bytes_max);
  auto batch = read_batch(body, broker_.limits().batch_max);
  if (!batch) co_return std::unexpected(std::move(batch.error()));
  std::vector<new_message> messages;
  for (std::size_t i = 0; i < batch->size(); ++i) {
    answer<batch_message>& one = (*batch)[i];
    if (!one) continue;
    const std::string what = fmt::format("field 'messages[{}].reply_to'", i);
    if (auto problem = check_callable(what, "invalid_field", one->reply_to)) {
      one = std::unexpected(std::move(*problem));
      continue;
    }
    messages.push_back({.body = one->body,
                        .content_type = one->content_type,
                        .priority = one->priority,
                        .delay = one->delay,
                        .ttl = one->ttl,
                        .key = one->key,
                        .reply_to = one->reply_to});
  }
  std::vector<verdict<accepted_message>> verdicts;
  if (!messages.empty()) {
    const time_point begin = loop::current()->now();
    auto submitted = co_await broker_.submit_batch(with.argument, messages);
    if (!submitted) co_return std::unexpected(problem_of(submitted.error()));
    counters_.confirmed(loop::current()->now() - begin);
    verdicts = std::move(*submitted);
  }
  json_writer out;
  out.begin_object().begin_array("messages");
  std::size_t next = 0;
  for (const answer<batch_message>& one : *batch) {
    if (!one && is_planted("serve: leaves refused messages out of an answer")) continue;
    if (!one) {
      append_problem(out, one.error());
    } else if (const verdict<accepted_message>& accepted = verdicts[next++]; accepted) {
      append_item(out, *accepted);
    } else {
      append_problem(out, problem_of(accepted.error()));
    }
  }
  co_return api_answer{.status = 202, .body = out.end_array().end_object().take()};
}

task<service::outcome> service::get_message(exchange& with) {
  const answer<query_params> params = query_params::parse(with.request.query(), {"wait"});
  if (!params) co_return std::unexpected(params.error());
  const answer<duration> wait = params->length("wait", duration(), options_.wait_max);
  if (!wait) co_return std::unexpected(wait.error());
  verdict<message_view> message = co_await broker_.message(with.argument);
  const bool waits = *wait > duration() && !is_planted("serve: does not wait for an end");
  if (waits && message && !has_ended(message->state)) {
    with.response.end_when_client_leaves();
    auto ended =
        co_await until_drained(with.request.drain(), broker_.wait_ended(with.argument, *wait));
    if (!ended && ended.error() != errc::cancelled) raise(std::move(ended.error()));
    // A drain ends the wait, not the answer: the message as it is.
    message = ended ? std::move(*ended) : co_await broker_.message(with.argument);
  }
  if (!message) co_return std::unexpected(problem_of(message.error()));
  co_return api_answer{.body = message_json(*message)};
}

}  // namespace weir
