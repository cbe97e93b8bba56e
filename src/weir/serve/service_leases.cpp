// Leases: take messages, acknowledge, return, extend.
#include <weir/serve/service.hpp>

#include <weir/base/defect.hpp>
#include <weir/serve/answer_json.hpp>
#include <weir/serve/internal/json_reader.hpp>
#include <weir/serve/submit_fields.hpp>
#include <weir/serve/until_drained.hpp>
#include <weir/serve/wall_time.hpp>
#include <weir/wire/percent.hpp>

#include <boost/json/object.hpp>
#include <fmt/format.h>

#include <utility>
#include <vector>

namespace weir {

namespace {

struct nack_body {
  std::optional<duration> delay;
  std::string error;
};

answer<nack_body> read_nack(std::string_view text) {
  nack_body out;
  if (text.empty()) return out;
  const auto object = detail::parse_json_object(text, "the body");
  if (!object) return std::unexpected(object.error());
  std::optional<api_problem> problem;
  detail::json_reader from(*object, problem);
  duration delay;
  if (from.length("delay", delay)) {
    out.delay = delay;
    if (delay > setting_duration_max) from.refuse("delay", "must be at most 3650d");
  }
  from.text("error", out.error);
  from.finish();
  if (problem) return std::unexpected(std::move(*problem));
  return out;
}

answer<std::optional<duration>> read_extend(std::string_view text) {
  if (text.empty()) return std::nullopt;
  const auto object = detail::parse_json_object(text, "the body");
  if (!object) return std::unexpected(object.error());
  std::optional<api_problem> problem;
  detail::json_reader from(*object, problem);
  duration lease;
  const bool is_given = from.length("lease", lease);
  if (is_given && (lease < duration::milliseconds(1) || lease > setting_duration_max)) {
    from.refuse("lease", "must be between 1ms and 3650d");
  }
  from.finish();
  if (problem) return std::unexpected(std::move(*problem));
  return is_given ? std::optional(lease) : std::nullopt;
}

}  // namespace

task<service::outcome> service::lease(exchange& with) {
  const answer<query_params> params =
      query_params::parse(with.request.query(), {"max", "wait", "lease", "encoding"});
  if (!params) co_return std::unexpected(params.error());
  const answer<std::uint64_t> max = params->whole("max", 1, 1, broker_.limits().lease_max);
  if (!max) co_return std::unexpected(max.error());
  const answer<duration> wait = params->length("wait", duration(), options_.wait_max);
  if (!wait) co_return std::unexpected(wait.error());
  const answer<duration> length = params->length("lease", duration(), duration::max());
  if (!length) co_return std::unexpected(length.error());
  std::optional<duration> lease_time;
  if (params->text("lease")) {
    lease_time = *length;
    if (*length < duration::milliseconds(1) || *length > setting_duration_max) {
      co_return refused(400, "invalid_parameter",
                        "parameter 'lease' must be between 1ms and 3650d");
    }
  }
  const std::string_view encoding = params->text("encoding").value_or("auto");
  if (encoding != "auto" && encoding != "base64") {
    co_return refused(400, "invalid_parameter", "parameter 'encoding' must be auto or base64");
  }
  const body_encoding as = encoding == "auto" ? body_encoding::by_content : body_encoding::base64;
  verdict<std::vector<taken_message>> taken;
  const bool is_deaf = is_planted("serve: lets those wait who wait for messages at a drain");
  if (*wait == duration() || is_deaf) {
    taken = co_await broker_.lease(with.argument, *max, *wait, lease_time);
  } else {
    with.response.end_when_client_leaves();
    auto waited = co_await until_drained(with.request.drain(),
                                         broker_.lease(with.argument, *max, *wait, lease_time));
    // A drain ends the wait: then there is nothing.
    if (waited || waited.error() != errc::cancelled) taken = value_or_raise(std::move(waited));
  }
  if (!taken) co_return std::unexpected(problem_of(taken.error()));
  co_return api_answer{.body = leases_json(*taken, as)};
}

task<service::outcome> service::ack(exchange& with) {
  const auto bytes_max = broker_.limits().message_bytes_max;
  auto result_body = co_await as_result(with.request.read_all(bytes_max));
  if (!result_body && result_body.error() == errc::too_large) {
    co_return refused(413, "message_too_large",
                      fmt::format("a result may have {} bytes", bytes_max));
  }
  const std::string body = value_or_raise(std::move(result_body));
  const std::string_view type = with.request.field("Content-Type").value_or(default_media_type);
  if (auto problem = check_content_type("field 'Content-Type'", type)) {
    co_return std::unexpected(std::move(*problem));
  }
  const verdict<void> done = co_await broker_.ack(with.argument, body, type);
  if (!done) co_return std::unexpected(problem_of(done.error()));
  co_return api_answer{.status = 204};
}

task<service::outcome> service::ack_batch(exchange& with) {
  const std::string body = co_await with.request.read_all(options_.json_bytes_max);
  const auto batch = read_acks(body, broker_.limits().batch_max);
  if (!batch) co_return std::unexpected(batch.error());
  std::vector<lease_result> acks;
  for (const answer<batch_ack>& one : *batch) {
    if (one) acks.push_back({one->receipt, one->result, one->content_type});
  }
  const std::vector<verdict<void>> verdicts = co_await broker_.ack_batch(acks);
  json_writer out;
  out.begin_object().begin_array("acks");
  std::size_t next = 0;
  for (const answer<batch_ack>& one : *batch) {
    if (!one) {
      append_problem(out, one.error());
    } else if (const verdict<void>& done = verdicts[next++]; !done) {
      append_problem(out, problem_of(done.error()));
    } else {
      out.begin_object().field("status", 204).end_object();
    }
  }
  co_return api_answer{.body = out.end_array().end_object().take()};
}

task<service::outcome> service::nack(exchange& with) {
  const answer<nack_body> body =
      read_nack(co_await with.request.read_all(options_.small_json_bytes_max));
  if (!body) co_return std::unexpected(body.error());
  const auto done = co_await broker_.nack(with.argument, body->delay, body->error);
  if (!done) co_return std::unexpected(problem_of(done.error()));
  co_return api_answer{.status = 204};
}

task<service::outcome> service::extend(exchange& with) {
  const auto lease = read_extend(co_await with.request.read_all(options_.small_json_bytes_max));
  if (!lease) co_return std::unexpected(lease.error());
  const verdict<time_point> deadline = co_await broker_.extend(with.argument, *lease);
  if (!deadline) co_return std::unexpected(problem_of(deadline.error()));
  json_writer out;
  out.begin_object().field("deadline", format_wall_time(*deadline)).end_object();
  co_return api_answer{.body = out.take()};
}

}  // namespace weir
