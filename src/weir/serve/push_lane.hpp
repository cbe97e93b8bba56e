// One queue's way to its worker: takes messages as fast as the worker bears and calls it with each.
// The hard idea: taking and calling are apart. The feeder can be stopped or told of new settings at
// any moment without touching the calls that are on their way. Whatever finds no memory pauses and
// goes on: a message stays in the hands of its lane until it was settled or given back.
#pragma once

#include <weir/broker/broker.hpp>
#include <weir/core/memory_pause.hpp>
#include <weir/core/scope.hpp>
#include <weir/flow/event.hpp>
#include <weir/http/client.hpp>
#include <weir/serve/call_outcome.hpp>
#include <weir/serve/call_pacer.hpp>
#include <weir/serve/service_counters.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// What lanes share.
struct push_context {
  broker& from;
  http::client& calls;
  service_counters& counters;
};

/// Pushes the messages of one queue.
///
/// Cancel:  a cancelled run() leaves calls without an outcome: their leases run out and count as
///          failed attempts. stop() ends it without that.
/// Order:   messages are taken in the queue's order; calls end in any. After a 429 or 503 no call
///          begins before its pause is over, whatever was taken or waited for before.
/// Bound:   push_settings::concurrency calls, fewer while the worker is too busy.
/// Errors:  what the broker raises. Failures of the worker are failed attempts. A message for which
///          there is no memory is given back after a pause, and no attempt is counted.
/// Threads: one loop.
class push_lane {
 public:
  static constexpr std::uint32_t batch_max = 32;  // taken at once
  /// A lease outlasts the call, so that an answer at the last moment still counts.
  static constexpr duration lease_margin = duration::seconds(10);

  /// `number` is the queue's; another queue may take its name after it.
  push_lane(push_context context, std::string_view queue, std::uint32_t number,
            const push_settings& settings);

  /// Until stop(), and then until the calls on their way have ended.
  task<> run();
  void update(const push_settings& settings);
  /// Takes no more messages.
  void stop() noexcept;

  bool is_stopping() const noexcept { return is_stopping_; }
  std::string_view queue() const noexcept { return queue_; }
  std::uint32_t queue_number() const noexcept { return number_; }
  const char* name() const noexcept { return "push lane"; }

 private:
  using taken_batch = std::shared_ptr<std::vector<taken_message>>;

  task<> feed(scope& calls);
  task<> take();
  task<> wait_until(time_point when);
  void begin(scope& calls);
  void return_rest(scope& calls);
  bool has_rest() const noexcept;
  task<> call(taken_batch from, std::size_t at);
  task<> give_back(taken_batch from, std::size_t at);
  task<call_outcome> call_worker(const taken_message& message, http::client_response& answer);
  void note(const call_outcome& outcome, time_point begin, std::uint32_t worker);
  task<> settle(const taken_message& message, const call_outcome& outcome,
                const http::client_response& answer);

  push_context context_;
  std::string queue_;
  std::uint32_t number_;
  std::uint32_t worker_ = 0;  // counts the changes of push.url
  push_settings settings_;
  call_pacer pacer_;
  memory_pause memory_;
  taken_batch taken_;      // the last one; shared with the tasks that have not begun with theirs
  std::size_t begun_ = 0;  // of taken_: so many have a task
  event changed_;          // new settings, a stop, or a worker that is too busy
  event woken_;            // the same, or a call that ended
  bool is_stopping_ = false;
};

}  // namespace weir
