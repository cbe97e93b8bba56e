// Delivers results to the addresses that messages named in Weir-Reply-To. What is still to be told
// is durable in the broker; this only makes the calls.
#pragma once

#include <weir/broker/broker.hpp>
#include <weir/core/memory_pause.hpp>
#include <weir/flow/event.hpp>
#include <weir/serve/push_lane.hpp>
#include <weir/serve/reply_lines.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

namespace weir {

/// Calls reply addresses with results that are due.
///
/// Cancel:  a cancelled call is made again after a restart: an address may hear a result twice.
/// Order:   calls to one host begin in the order in which their replies were due.
/// Bound:   calls_max at once, reply_lines::host_calls_max of them to one host; call_timeout each.
///          Replies beyond it wait as numbers, and others pass them.
/// Errors:  what the broker raises. Failures of an address are retried with the queue's back-off; a
///          call for which there is no memory is made after a pause, and no attempt is counted.
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
  using taken_batch = std::shared_ptr<std::vector<due_reply>>;
  struct taken_reply {
    taken_batch from;
    std::size_t at = 0;
    reply_lines::host* to = nullptr;
  };

  task<> take();
  void begin(scope& calls);
  task<> call(taken_reply one);
  std::optional<reply_lines::turn> next_in_line() noexcept;
  task<call_outcome> call_address(const due_reply& reply);
  task<> settle(const due_reply& reply, const call_outcome& outcome);

  push_context context_;
  memory_pause memory_{"replies"};
  taken_batch taken_;      // the last one; shared with the tasks that have not begun with theirs
  std::size_t begun_ = 0;  // of taken_: so many have a task
  reply_lines lines_;
  std::uint32_t in_flight_ = 0;
  bool waits_for_place_ = false;    // take() does
  bool is_turn_of_others_ = false;  // the last free place went to a reply in line
  event draining_;
  event ended_;  // a call, or all of this
};

}  // namespace weir
