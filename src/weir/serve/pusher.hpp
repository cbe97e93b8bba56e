// Calls workers and reply addresses: a lane for each queue that has a push setting, and one sender
// for the replies of all queues.
#pragma once

#include <weir/broker/broker.hpp>
#include <weir/core/memory_pause.hpp>
#include <weir/core/scope.hpp>
#include <weir/flow/event.hpp>
#include <weir/http/client.hpp>
#include <weir/serve/push_lane.hpp>
#include <weir/serve/reply_sender.hpp>
#include <weir/serve/service.hpp>

#include <functional>  // tidy-allow(heavy-includes): std::less<> of the map below
#include <map>
#include <memory>
#include <set>
#include <string>

namespace weir {

/// Whom calls trust, and whom they may go to; both outlive the pusher.
struct call_policy {
  tls_client* tls = nullptr;                // null: who is trusted by the system
  const address_rules* callable = nullptr;  // null: everybody
};

/// Pushes the messages of all queues that say so, and delivers replies.
///
/// Cancel:  drain() first lets calls on their way end; a cancelled run() cuts them off.
/// Order:   as push_lane and reply_sender.
/// Bound:   a lane a queue, and name_lanes_max of one name: those of deleted queues count as long
///          as their calls go on.
/// Errors:  what the broker raises.
/// Threads: one loop.
class pusher final : public queues_observer {
 public:
  static constexpr std::size_t name_lanes_max = 4;

  pusher(broker& of, service_counters& counters, call_policy policy = {});

  /// Until drain(), and then until the calls on their way have ended.
  task<> run();
  void drain() noexcept;
  void queue_changed(std::string_view queue) noexcept override;

  const char* name() const noexcept { return "pusher"; }

 private:
  void note_all();
  void match_lanes(scope& lanes);
  void match_lane(scope& lanes, const std::string& queue);
  task<> run_lane(push_lane* lane);

  broker& broker_;
  http::client client_;
  push_context context_;
  reply_sender replies_;
  std::multimap<std::string, std::unique_ptr<push_lane>, std::less<>> lanes_;
  std::set<std::string, std::less<>> changed_queues_;  // or whose lanes ended: to be matched
  event changed_;                                      // there are some, or drain()
  bool is_all_changed_ = true;                         // or which ones found no memory to be noted
  bool is_draining_ = false;
  memory_pause memory_{"pusher"};
};

}  // namespace weir
