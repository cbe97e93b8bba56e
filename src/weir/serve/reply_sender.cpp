#include <weir/serve/reply_sender.hpp>

#include <weir/base/log.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/serve/answer_json.hpp>
#include <weir/serve/until_drained.hpp>
#include <weir/wire/url.hpp>

#include <array>
#include <optional>
#include <utility>

namespace weir {

void reply_sender::drain() noexcept {
  draining_.set();
  ended_.set();
}

task<> reply_sender::run() {
  co_await with_scope({.name = "replies"}, [&](scope& calls) -> task<> {
    while (!draining_.is_set()) {
      try {
        begin(calls);  // there are some after want of memory
        co_await take();
        begin(calls);
        continue;
      } catch (...) {
        memory_.found_none();
      }
      co_await sleep_until(memory_.until());
    }
    co_await calls.join();
  });
}

task<> reply_sender::take() {
  if (in_flight_ == calls_max) {
    ended_.reset();
    co_await ended_.wait();
    co_return;
  }
  auto into = std::make_shared<std::vector<due_reply>>();  // before there is something to lose
  auto due = co_await until_drained(draining_, context_.from.take_replies(calls_max - in_flight_));
  if (!due && due.error() == errc::cancelled) co_return;
  *into = value_or_raise(std::move(due));
  taken_ = std::move(into);
  begun_ = 0;
}

void reply_sender::begin(scope& calls) {
  if (!taken_) return;
  for (; begun_ != taken_->size(); ++begun_, ++in_flight_) {
    calls.spawn(&reply_sender::call, this, taken_, begun_);
  }
  taken_.reset();
}

task<> reply_sender::call(taken_batch from, std::size_t at) {
  const due_reply reply = std::move((*from)[at]);
  from.reset();
  std::optional<call_outcome> outcome;
  // What a drain finds here is told in the next life.
  for (bool is_settled = false; !is_settled && !(draining_.is_set() && !outcome);) {
    try {
      if (!outcome) outcome = co_await call_address(reply);
      co_await settle(reply, *outcome);
      is_settled = true;
      continue;
    } catch (...) {
      memory_.found_none();
    }
    co_await sleep_until(memory_.until());
  }
  --in_flight_;
  ended_.set();
}

task<call_outcome> reply_sender::call_address(const due_reply& reply) {
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
  call_outcome outcome =
      called ? outcome_of(called->status(), called->body, called->head.field("Retry-After"),
                          context_.from.wall_now())
             : outcome_of(called.error());
  context_.counters.pushed(outcome.kind == call_kind::delivered, loop::current()->now() - begin);
  if (outcome.kind != call_kind::delivered) {
    log::info("a reply address did not take a result",
              {{"id", reply.id}, {"url", url_without_query(reply.url)}, {"why", outcome.text}});
  }
  co_return outcome;
}

task<> reply_sender::settle(const due_reply& reply, const call_outcome& outcome) {
  reply_outcome settled = reply_outcome::failed;
  if (outcome.kind == call_kind::delivered) settled = reply_outcome::delivered;
  if (outcome.kind == call_kind::busy) settled = reply_outcome::busy;
  if (outcome.kind == call_kind::gone) settled = reply_outcome::given_up;
  co_await context_.from.settle_reply(reply, settled, outcome.retry_after.value_or(duration()));
}

}  // namespace weir
