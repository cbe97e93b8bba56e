// Hearing what happens to a message or in a queue: a bounded ring of events for each subscriber.
// The hard idea: a slow subscriber must not slow the broker, so its oldest events go, and are
// counted, when it does not keep up.
#pragma once

#include <weir/base/intrusive.hpp>
#include <weir/broker/broker_view.hpp>
#include <weir/core/task.hpp>
#include <weir/flow/event.hpp>

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

namespace weir {

namespace detail {
struct broker_core;
}

/// One subscriber's events.
///
/// Cancel:  a cancelled next() has taken nothing.
/// Order:   as the events became durable.
/// Bound:   events_max; the oldest are dropped beyond it, and those for which there is no memory.
/// Errors:  `closed` from next() once the queue is deleted or the broker closes.
/// Threads: the broker's loop.
class subscription : public list_hook<> {
 public:
  static constexpr std::size_t events_max = 1'024;

  /// Of one message, or of a whole queue when `sequence` is 0.
  subscription(std::string queue, std::uint64_t sequence)
      : queue_(std::move(queue)), sequence_(sequence) {}
  ~subscription() { unlink(); }

  /// The next event; waits for one.
  task<broker_event> next();
  /// Events that were lost because this subscriber was too slow.
  std::uint64_t dropped() const noexcept { return dropped_; }

 private:
  friend struct detail::broker_core;
  bool wants(std::string_view queue, std::uint64_t sequence) const noexcept {
    return sequence_ != 0 ? sequence_ == sequence : queue_ == queue;
  }
  void put(const broker_event& what) noexcept;
  void close() noexcept;

  std::string queue_;
  std::uint64_t sequence_;
  std::deque<broker_event> events_;
  std::uint64_t dropped_ = 0;
  bool is_closed_ = false;
  condition changed_;
};

}  // namespace weir
