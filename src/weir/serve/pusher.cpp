#include <weir/serve/pusher.hpp>

#include <weir/core/with_scope.hpp>

#include <utility>

namespace weir {

namespace {

/// A push's own time-out rules; the client's other ones only must not come first.
http::client_options client_options_for(const broker_limits& limits, call_policy policy) {
  http::client_options options;
  options.tls = policy.tls;
  options.rules = policy.callable;
  options.message.body_bytes_max = limits.message_bytes_max;
  options.connections_per_host_max = 10'000;  // lanes bound the calls: push.concurrency
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
      match_lanes(lanes);
      co_await changed_.wait();
    }
    for (auto& [queue, lane] : lanes_) lane->stop();
    co_await lanes.join();
  });
}

/// A lane for each queue that pushes, with its settings; the others stop.
void pusher::match_lanes(scope& lanes) {
  std::map<std::string, push_settings, std::less<>> wanted;
  for (const queue_view& queue : broker_.queues()) {
    if (queue.settings.push) wanted.emplace(queue.name, *queue.settings.push);
  }
  for (auto& [queue, lane] : lanes_) {
    if (!wanted.contains(queue)) lane->stop();
  }
  for (const auto& [queue, settings] : wanted) {
    const auto found = lanes_.find(queue);
    if (found != lanes_.end()) {
      // One that is stopping may have left its loop already: it is followed by a new one.
      if (!found->second->is_stopping()) found->second->update(settings);
      continue;
    }
    auto lane = std::make_unique<push_lane>(context_, queue, settings);
    lanes.spawn([](pusher* all, push_lane* one) -> task<> { co_await all->run_lane(one); }, this,
                lane.get());
    lanes_.emplace(queue, std::move(lane));
  }
}

task<> pusher::run_lane(push_lane* lane) {
  co_await lane->run();
  lanes_.erase(lanes_.find(lane->queue()));
  changed_.set();  // the queue may want a lane again
}

}  // namespace weir
