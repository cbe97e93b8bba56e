#include <weir/serve/reply_sender.hpp>

#include <weir/base/log.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/serve/answer_json.hpp>
#include <weir/serve/until_drained.hpp>
#include <weir/wire/url.hpp>

#include <array>
#include <utility>

namespace weir {

void reply_sender::drain() noexcept {
  draining_.set();
  ended_.set();
}

task<> reply_sender::run() {
  co_await with_scope({.name = "replies"}, [&](scope& calls) -> task<> {
    while (!draining_.is_set()) {
      if (in_flight_ == calls_max) {
        ended_.reset();
        co_await ended_.wait();
        continue;
      }
      auto due =
          co_await until_drained(draining_, context_.from.take_replies(calls_max - in_flight_));
      if (!due && due.error() == errc::cancelled) continue;
      for (due_reply& reply : value_or_raise(std::move(due))) {
        ++in_flight_;
        calls.spawn([](reply_sender* sender,
                       due_reply one) -> task<> { co_await sender->call(std::move(one)); },
                    this, std::move(reply));
      }
    }
    co_await calls.join();
  });
}

task<> reply_sender::call(due_reply reply) {
  const time_point begin = loop::current()->now();
  const std::string body = reply_json(reply);
  const std::array<http_field, 2> fields{
      {{"Content-Type", "application/json"}, {"Weir-Id", reply.id}}};
  auto called = co_await as_result(context_.calls.send({.method = "POST",
                                                        .url = reply.url,
                                                        .headers = fields,
                                                        .body = body,
                                                        .timeout = call_timeout,
                                                        .may_resend = true}));
  if (!called && called.error() == errc::cancelled) co_await checkpoint();
  const call_outcome outcome =
      called ? outcome_of(called->status(), called->body, called->head.field("Retry-After"),
                          context_.from.wall_now())
             : outcome_of(called.error());
  context_.counters.pushed(outcome.kind == call_kind::delivered, loop::current()->now() - begin);
  reply_outcome settled = reply_outcome::failed;
  if (outcome.kind == call_kind::delivered) settled = reply_outcome::delivered;
  if (outcome.kind == call_kind::busy) settled = reply_outcome::busy;
  if (outcome.kind == call_kind::gone) settled = reply_outcome::given_up;
  if (settled != reply_outcome::delivered) {
    log::info("a reply address did not take a result",
              {{"id", reply.id}, {"url", url_without_query(reply.url)}, {"why", outcome.text}});
  }
  co_await context_.from.settle_reply(reply, settled, outcome.retry_after.value_or(duration()));
  --in_flight_;
  ended_.set();
}

}  // namespace weir
