// Delivers results to the addresses that messages named in Weir-Reply-To. What is still to be told
// is durable in the broker; this only makes the calls.
#pragma once

#include <weir/broker/broker.hpp>
#include <weir/flow/event.hpp>
#include <weir/serve/push_lane.hpp>

#include <cstdint>

namespace weir {

/// Calls reply addresses with results that are due.
///
/// Cancel:  a cancelled call is made again after a restart: an address may hear a result twice.
/// Order:   none between messages.
/// Bound:   calls_max at once; call_timeout each.
/// Errors:  what the broker raises. Failures of an address are retried with the queue's back-off.
/// Threads: one loop.
class reply_sender {
 public:
  static constexpr std::uint32_t calls_max = 64;
  static constexpr duration call_timeout = duration::seconds(30);

  explicit reply_sender(push_context context) : context_(context) {}

  /// Until drain(), and then until the calls on their way have ended.
  task<> run();
  void drain() noexcept;

 private:
  task<> call(due_reply reply);

  push_context context_;
  std::uint32_t in_flight_ = 0;
  event draining_;
  event ended_;  // a call, or all of this
};

}  // namespace weir
