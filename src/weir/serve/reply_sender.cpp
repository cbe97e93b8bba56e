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
    waits_for_place_ = true;
    co_await ended_.wait();
    waits_for_place_ = false;
    co_return;
  }
  auto into = std::make_shared<std::vector<due_reply>>();  // before there is something to lose
  auto due = co_await until_drained(draining_, context_.from.take_replies(calls_max - in_flight_));
  if (!due && due.error() == errc::cancelled) co_return;
  *into = value_or_raise(std::move(due));
  taken_ = std::move(into);
  begun_ = 0;
}

/// Calls whom it may, and keeps of the others which they are.
void reply_sender::begin(scope& calls) {
  if (!taken_) return;
  for (; begun_ != taken_->size(); ++begun_) {
    due_reply& one = (*taken_)[begun_];
    reply_lines::host* const to =
        lines_.begin(host_of_url(one.url), {.sequence = one.sequence, .token = one.token});
    if (!to) {
      one = {};
      continue;
    }
    try {
      calls.spawn(&reply_sender::call, this, taken_reply{taken_, begun_, to});
    } catch (...) {
      lines_.end(to);
      throw;
    }
    ++in_flight_;
  }
  taken_.reset();
}

/// One call, and then those in line, as long as this place is theirs. A reply that has gone
/// meanwhile or can't be read now is passed over: the broker gives it again. All pauses are here,
/// since the frame of a task that pauses may find no memory, too.
task<> reply_sender::call(taken_reply one) {
  std::optional<due_reply> reply(std::move((*one.from)[one.at]));
  one.from.reset();
  std::optional<reply_lines::turn> turn({.to = one.to});
  for (; turn; turn = next_in_line()) {
    std::optional<call_outcome> outcome;
    // What a drain finds here is told in the next life.
    for (bool is_over = false; !is_over && !(draining_.is_set() && !outcome);) {
      try {
        if (!reply) {
          reply = co_await context_.from.read_reply(turn->what.sequence, turn->what.token);
          is_over = !reply;
          continue;
        }
        if (!outcome) outcome = co_await call_address(*reply);
        co_await settle(*reply, *outcome);
        is_over = true;
        continue;
      } catch (...) {
        memory_.found_none();
      }
      co_await sleep_until(memory_.until());
    }
    reply.reset();
    lines_.end(turn->to);
  }
  --in_flight_;
  ended_.set();
}

/// Replies in line and those that are due for the first time get free places in turn.
std::optional<reply_lines::turn> reply_sender::next_in_line() noexcept {
  if (draining_.is_set()) return std::nullopt;
  if (is_turn_of_others_ && waits_for_place_ && context_.from.has_due_replies()) {
    is_turn_of_others_ = false;
    return std::nullopt;
  }
  is_turn_of_others_ = true;
  return lines_.next();
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
             : outcome_of(called.error(), call_timeout);
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
