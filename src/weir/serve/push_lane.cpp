#include <weir/serve/push_lane.hpp>

#include <weir/base/defect.hpp>
#include <weir/base/log.hpp>
#include <weir/base/probe.hpp>
#include <weir/core/loop.hpp>
#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>
#include <weir/serve/submit_fields.hpp>
#include <weir/serve/until_drained.hpp>

#include <fmt/format.h>

#include <array>
#include <utility>

namespace weir {

namespace {

// A queue may be deleted and a broker busy; neither is asked in a tight loop.
constexpr duration refusal_pause = duration::seconds(1);
// Settings are looked at again at least so often, also while no message comes.
constexpr duration lease_wait = duration::seconds(60);

task<> sleep_for(duration length) { co_await sleep(length); }

}  // namespace

push_lane::push_lane(push_context context, std::string_view queue, std::uint32_t number,
                     const push_settings& settings)
    : context_(context), queue_(queue), number_(number), memory_("push lane", queue_) {
  update(settings);
}

void push_lane::update(const push_settings& settings) {
  const bool is_other_worker = settings_.url != settings.url;
  settings_ = settings;
  pacer_.set_limits(settings.concurrency, settings.rate);
  if (is_other_worker) {
    ++worker_;
    pacer_.forget_worker();
  }
  is_stopping_ = false;
  changed_.set();
  woken_.set();
}

void push_lane::stop() noexcept {
  is_stopping_ = true;
  changed_.set();
  woken_.set();
}

task<> push_lane::run() {
  co_await with_scope({.name = "push lane"}, [&](scope& calls) -> task<> {
    co_await feed(calls);
    co_await calls.join();
  });
}

/// Until `when`, until a call has ended, or until new settings or a stop came.
task<> push_lane::wait_until(time_point when) {
  woken_.reset();
  if (when == time_point::never()) {
    co_await woken_.wait();
  } else {
    co_await until_drained(woken_, sleep_for(when - loop::current()->now()));
  }
}

task<> push_lane::feed(scope& calls) {
  while (!is_stopping_ || has_rest()) {
    try {
      return_rest(calls);  // there is one after want of memory
      co_await take();
      begin(calls);
      return_rest(calls);
      continue;
    } catch (...) {
      memory_.found_none();
    }
    co_await sleep_until(memory_.until());
  }
}

task<> push_lane::take() {
  if (is_stopping_) co_return;
  changed_.reset();
  const time_point now = loop::current()->now();
  const std::uint32_t room = pacer_.available(batch_max, now);
  if (room == 0) {
    co_await wait_until(pacer_.next(now));
    co_return;
  }
  auto into = std::make_shared<std::vector<taken_message>>();  // before there is something to lose
  // Only news of settings and a worker that is too busy end this wait, not each call; what was
  // taken by then is given back by the broker.
  auto waited = co_await until_drained(
      changed_, context_.from.lease(queue_, room, lease_wait, settings_.timeout + lease_margin));
  if (!waited && waited.error() == errc::cancelled) co_return;
  auto taken = value_or_raise(std::move(waited));
  if (!taken) {
    log::debug("no messages to push", {{"queue", queue_}, {"why", taken.error().detail}});
    co_await wait_until(now + refusal_pause);
    co_return;
  }
  *into = std::move(*taken);
  taken_ = std::move(into);
  begun_ = 0;
}

bool push_lane::has_rest() const noexcept { return taken_ && begun_ != taken_->size(); }

/// Calls the worker with as many as it bears by now: while they were taken, an answer may have said
/// that it is too busy.
void push_lane::begin(scope& calls) {
  if (!has_rest()) return;
  const time_point now = loop::current()->now();
  const auto count = static_cast<std::uint32_t>(taken_->size());
  for (std::uint32_t room = pacer_.available(count, now); room != 0; --room) {
    calls.spawn(&push_lane::call, this, taken_, begun_);
    ++begun_;
    pacer_.began(1, now);
  }
}

/// The others go back to the queue.
void push_lane::return_rest(scope& calls) {
  for (; has_rest(); ++begun_) calls.spawn(&push_lane::give_back, this, taken_, begun_);
  taken_.reset();
}

/// As if it had not been taken. A lease that has ended by now is somebody else's.
task<> push_lane::give_back(taken_batch from, std::size_t at) {
  const taken_message message = std::move((*from)[at]);
  from.reset();
  for (;;) {
    try {
      static_cast<void>(
          co_await context_.from.nack(message.receipt, duration(), {}, attempt_use::is_given_back));
      co_return;
    } catch (...) {
      memory_.found_none();
    }
    co_await sleep_until(memory_.until());
  }
}

task<> push_lane::call(taken_batch from, std::size_t at) {
  const taken_message message = std::move((*from)[at]);
  from.reset();
  const time_point begin = loop::current()->now();
  const std::uint32_t worker = worker_;
  http::client_response answer;
  call_outcome outcome{.kind = call_kind::busy, .text = {}, .retry_after = {}};
  bool has_ended = false;
  try {
    outcome = co_await call_worker(message, answer);
    has_ended = true;
  } catch (...) {
    memory_.found_none();  // the message goes back as from a busy worker
  }
  if (has_ended) {
    note(outcome, begin, worker);
  } else {
    co_await sleep_until(memory_.until());
  }
  for (bool is_settled = false; !is_settled;) {
    try {
      co_await settle(message, outcome, answer);
      is_settled = true;
      continue;
    } catch (...) {
      memory_.found_none();
    }
    co_await sleep_until(memory_.until());
  }
  if (has_ended) co_return;
  pacer_.failed();
  woken_.set();
}

/// Frees the call's place, and lets the pace follow how it ended.
void push_lane::note(const call_outcome& outcome, time_point begin, std::uint32_t worker) {
  const time_point end = loop::current()->now();
  sometimes(outcome.kind == call_kind::busy, "a worker that is called is too busy");
  context_.counters.pushed(outcome.kind == call_kind::delivered, end - begin);
  // What the worker before this one says is no news of this one.
  switch (worker == worker_ ? outcome.kind : call_kind::failed) {
    case call_kind::delivered:
    case call_kind::gone:
      pacer_.answered();
      break;
    case call_kind::failed:
      if (!is_planted("serve: keeps the place of a failed call")) pacer_.failed();
      break;
    case call_kind::busy:
      pacer_.refused(outcome.retry_after, end);
      changed_.set();  // the feeder may wait for messages, with room that is gone
      break;
  }
  woken_.set();
}

task<call_outcome> push_lane::call_worker(const taken_message& message,
                                          http::client_response& answer) {
  const std::string attempt = fmt::format("{}", message.attempt);
  const std::array<http_field, 4> fields{{{"Content-Type", message.content_type},
                                          {"Weir-Id", message.id},
                                          {"Weir-Attempt", attempt},
                                          {"Weir-Queue", queue_}}};
  const std::string url = settings_.url;  // new settings may come while we wait
  const duration patience = settings_.timeout;
  auto called = co_await as_result(context_.calls.send({.method = "POST",
                                                        .url = url,
                                                        .headers = fields,
                                                        .body = message.body.text(),
                                                        .timeout = patience}));
  if (!called) {
    if (called.error() == errc::cancelled) co_await checkpoint();
    co_return outcome_of(called.error(), patience);
  }
  answer = std::move(*called);
  co_return outcome_of(answer.status(), answer.body, answer.head.field("Retry-After"),
                       context_.from.wall_now());
}

task<> push_lane::settle(const taken_message& message, const call_outcome& outcome,
                         const http::client_response& answer) {
  verdict<void> settled;
  if (outcome.kind == call_kind::delivered) {
    std::string_view type = answer.head.field("Content-Type").value_or(default_media_type);
    if (check_content_type("Content-Type", type)) type = default_media_type;
    settled = co_await context_.from.ack(message.receipt, answer.body, type);
    if (!settled && settled.error() == broker_errc::message_too_large) {
      settled = co_await context_.from.reject(message.receipt, settled.error().detail);
    }
  } else if (outcome.kind == call_kind::gone) {
    settled = co_await context_.from.reject(message.receipt, outcome.text);
  } else {
    const bool is_busy = outcome.kind == call_kind::busy;
    // A message that a busy worker refused is ready again at once: the lane itself waits.
    const auto delay = is_busy ? std::optional(duration()) : std::nullopt;
    const bool is_free = is_busy && !is_planted("serve: counts the attempt of a busy worker");
    const auto use = is_free ? attempt_use::is_given_back : attempt_use::counts;
    auto nacked = co_await context_.from.nack(message.receipt, delay, outcome.text, use);
    if (!nacked) settled = std::unexpected(std::move(nacked.error()));
  }
  // The lease may have ended while we called: then the message is somebody else's by now.
  if (!settled) {
    log::info("a push came too late",
              {{"queue", queue_}, {"id", message.id}, {"why", settled.error().detail}});
  }
}

}  // namespace weir
