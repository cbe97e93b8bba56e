// Server-sent events of a queue or of one message.
#include <weir/serve/service.hpp>

#include <weir/core/as_result.hpp>
#include <weir/core/sleep.hpp>

#include <fmt/format.h>

#include <utility>

namespace weir {

namespace {

/// Counts a stream against the limit for its life.
class stream_place {
 public:
  explicit stream_place(std::uint32_t& count) noexcept : count_(count) { ++count_; }
  stream_place(const stream_place&) = delete;
  stream_place& operator=(const stream_place&) = delete;
  ~stream_place() { --count_; }

 private:
  std::uint32_t& count_;
};

api_problem too_many_streams(std::uint32_t max) {
  return {.status = 503,
          .code = "too_many_streams",
          .detail = fmt::format("{} event streams are open, which is all there may be", max),
          .retry_after = duration::seconds(5)};
}

std::string state_text(const message_view& message) {
  std::string text = message_json(message);
  text.pop_back();
  return text;
}

/// Tells a slow reader what it has missed.
task<> tell_dropped(http::sse_writer& out, std::uint64_t count) {
  const std::string data = json_writer().begin_object().field("count", count).end_object().take();
  co_await out.send(
      {.event = "dropped", .data = std::string_view(data).substr(0, data.size() - 1)});
}

/// The feed has ended: in order when its queue was deleted or the broker closes.
task<> end_stream(http::sse_writer& out, error why) {
  if (why != errc::closed) {
    co_await checkpoint();  // the client left, or the server drains
    raise(std::move(why));
  }
  co_await out.end();
}

/// HEAD asks for the head only; a stream without a body would keep its connection for ever.
bool is_head(const http::request& request) { return request.method() == "HEAD"; }

bool ends_message(event_kind kind) {
  return kind == event_kind::completed || kind == event_kind::dead || kind == event_kind::expired;
}

}  // namespace

task<std::optional<api_problem>> service::stream_queue(exchange& with) {
  if (event_streams_ == options_.event_streams_max) {
    co_return too_many_streams(options_.event_streams_max);
  }
  auto feed = broker_.subscribe_queue(with.argument);
  if (!feed) co_return problem_of(feed.error());
  const stream_place counted(event_streams_);
  http::sse_writer out = co_await with.response.begin_events();
  std::uint64_t dropped = 0;
  for (std::uint64_t number = 1; !is_head(with.request); ++number) {
    const auto next = co_await as_result((*feed)->next());
    if (!next) {
      co_await end_stream(out, next.error());
      co_return std::nullopt;
    }
    const broker_event& what = *next;
    if (const std::uint64_t now = (*feed)->dropped(); now != dropped) {
      co_await tell_dropped(out, now - dropped);
      dropped = now;
    }
    const std::string id = fmt::format("{}", number);
    co_await out.send({.event = weir::name(what.kind), .id = id, .data = event_json(what)});
  }
  co_await out.end();
  co_return std::nullopt;
}

task<std::optional<api_problem>> service::stream_message(exchange& with) {
  if (event_streams_ == options_.event_streams_max) {
    co_return too_many_streams(options_.event_streams_max);
  }
  // Subscribed before the first look, so that nothing falls between the two.
  auto feed = broker_.subscribe_message(with.argument);
  if (!feed) co_return problem_of(feed.error());
  verdict<message_view> message = co_await broker_.message(with.argument);
  if (!message) co_return problem_of(message.error());
  const stream_place counted(event_streams_);
  http::sse_writer out = co_await with.response.begin_events();
  co_await out.send({.event = "state", .data = state_text(*message)});
  while (!has_ended(message->state) && !is_head(with.request)) {
    const auto next = co_await as_result((*feed)->next());
    if (!next) {
      co_await end_stream(out, next.error());
      co_return std::nullopt;
    }
    const broker_event& what = *next;
    co_await out.send({.event = weir::name(what.kind), .data = event_json(what)});
    if (!ends_message(what.kind)) continue;
    if (what.last) {  // forgotten at once: the result's retention is 0
      co_await out.send({.event = "state", .data = state_text(*what.last)});
      break;
    }
    message = co_await broker_.message(with.argument);
    if (!message) break;  // its queue was deleted
    co_await out.send({.event = "state", .data = state_text(*message)});
  }
  co_await out.end();
  co_return std::nullopt;
}

}  // namespace weir
