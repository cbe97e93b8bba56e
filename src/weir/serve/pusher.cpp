#include <weir/serve/pusher.hpp>

#include <weir/core/sleep.hpp>
#include <weir/core/with_scope.hpp>

#include <new>
#include <utility>

namespace weir {

namespace {

// Most servers close an idle connection after 5 s or later. A push on one that was closed meanwhile
// is a failed attempt: it is not sent again by itself, since the worker may have heard it, and each
// attempt is given out once.
constexpr duration idle_timeout = duration::seconds(4);

/// A push's own time-out rules; the client's other ones only must not come first.
http::client_options client_options_for(const broker_limits& limits, call_policy policy) {
  http::client_options options;
  options.tls = policy.tls;
  options.rules = policy.callable;
  options.message.body_bytes_max = limits.message_bytes_max;
  options.connections_per_host_max = 10'000;  // lanes bound the calls: push.concurrency
  options.idle_timeout = idle_timeout;
  options.write_timeout = setting_duration_max;
  options.response_timeout = setting_duration_max;
  options.body_idle_timeout = setting_duration_max;
  return options;
}

}  // namespace

pusher::pusher(broker& of, service_counters& counters, call_policy policy)
    : broker_(of),
      client_(client_options_for(of.limits(), policy)),
      context_{of, client_, counters},
      replies_(context_) {}

void pusher::drain() noexcept {
  is_draining_ = true;
  replies_.drain();
  changed_.set();
}

task<> pusher::run() {
  co_await with_scope({.name = "pusher"}, [&](scope& lanes) -> task<> {
    lanes.spawn([](reply_sender* replies) -> task<> { co_await replies->run(); }, &replies_);
    while (!is_draining_) {
      changed_.reset();
      try {
        match_lanes(lanes);
        co_await changed_.wait();
        continue;
      } catch (...) {
        memory_.found_none();
      }
      co_await sleep_until(memory_.until());
    }
    for (auto& [queue, lane] : lanes_) lane->stop();
    co_await lanes.join();
  });
}

void pusher::queue_changed(std::string_view queue) noexcept {
  try {
    changed_queues_.emplace(queue);
  } catch (const std::bad_alloc&) {
    is_all_changed_ = true;
  }
  changed_.set();
}

void pusher::note_all() {
  for (const queue_view& queue : broker_.queues()) {
    if (queue.settings.push) changed_queues_.insert(queue.name);
  }
  for (const auto& [queue, lane] : lanes_) changed_queues_.insert(queue);
  is_all_changed_ = false;
}

void pusher::match_lanes(scope& lanes) {
  if (is_all_changed_) note_all();
  for (; !changed_queues_.empty(); changed_queues_.erase(changed_queues_.begin())) {
    match_lane(lanes, *changed_queues_.begin());
  }
}

/// A queue that pushes has a lane with its settings; the lane of another stops.
void pusher::match_lane(scope& lanes, const std::string& queue) {
  const verdict<queue_view> known = broker_.queue(queue);
  const bool is_wanted = known && known->settings.push;
  bool has_lane = false;
  std::size_t count = 0;
  for (auto [at, end] = lanes_.equal_range(queue); at != end; ++at, ++count) {
    push_lane& lane = *at->second;
    // The calls of a deleted queue don't hold up the one that took its name.
    if (!is_wanted || lane.queue_number() != known->number) {
      lane.stop();
      continue;
    }
    // One that is stopping may have left its loop already: it is followed by a new one.
    if (!lane.is_stopping()) lane.update(*known->settings.push);
    has_lane = true;
  }
  if (!is_wanted || has_lane || count >= name_lanes_max) return;
  const auto made = lanes_.emplace(
      queue, std::make_unique<push_lane>(context_, queue, known->number, *known->settings.push));
  try {
    lanes.spawn(&pusher::run_lane, this, made->second.get());
  } catch (...) {
    lanes_.erase(made);
    throw;
  }
}

task<> pusher::run_lane(push_lane* lane) {
  for (bool has_ended = false; !has_ended;) {
    try {
      co_await lane->run();
      has_ended = true;
      continue;
    } catch (...) {
      memory_.found_none();  // what a lane has begun pauses by itself: it could not even begin
    }
    co_await sleep_until(memory_.until());
  }
  auto own = lanes_.lower_bound(lane->queue());
  while (own->second.get() != lane) ++own;
  const auto ended = lanes_.extract(own);
  queue_changed(ended.key());  // it may want a lane again
}

}  // namespace weir
