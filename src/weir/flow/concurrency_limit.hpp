// concurrency_limit: at most so many calls at once, others wait. The number is given, or learned
// from how long calls take.
#pragma once

#include <weir/flow/detail/call_slots.hpp>
#include <weir/flow/detail/calls.hpp>
#include <weir/flow/latency_gradient.hpp>

#include <cstdint>
#include <optional>
#include <utility>

namespace weir {

struct limit_options {
  const char* name = "concurrency_limit";
  std::uint32_t calls_max = 20;         // that run at once; without meaning when it is adaptive
  std::uint32_t queue_max = 10'000;     // that wait; beyond them calls are refused
  duration wait_max = duration::max();  // how long they wait
};

/// A limit on calls that run at once.
///
/// Cancel:  a cancelled call gives its place back once it has ended, and teaches nothing; one that
///          waits leaves the line.
/// Order:   first come, first served.
/// Bound:   queue_max calls wait; nothing is allocated.
/// Errors:  call_refused: `full` when the line is, `timed_out` after wait_max; `invalid_argument`
///          for options that can't be meant.
/// Threads: one loop.
class concurrency_limit {
 public:
  explicit concurrency_limit(limit_options options);
  /// One that learns: it grows while calls are as fast as usual, and shrinks when they become
  /// slow, time out, or are refused over there.
  concurrency_limit(limit_options options, gradient_options adaptive);

  template <class F>
  WEIR_CORO_WRAPPER task<detail::call_value_t<F>> run(F call) {
    return detail::call_under(this, std::move(call));
  }
  /// True when a call made now would run at once.
  bool is_ready() const noexcept { return slots_.is_ready(); }
  const char* name() const noexcept { return slots_.name(); }
  slots_stats stats() const noexcept { return slots_.stats(); }

  class ticket {
   public:
    ticket(concurrency_limit* of, detail::call_slots::slot place, time_point begun) noexcept
        : of_(of), begun_(begun), place_(std::move(place)) {}
    void succeeded() noexcept { of_->note(begun_, nullptr); }
    void failed(const call_failure& what) noexcept { of_->note(begun_, &what); }

   private:
    concurrency_limit* of_;
    time_point begun_;
    detail::call_slots::slot place_;
  };
  // For policies.
  auto enter() noexcept { return slots_.acquire(); }
  ticket begin(detail::call_slots::slot admitted) noexcept;

 private:
  void note(time_point begun, const call_failure* failure) noexcept;

  detail::call_slots slots_;
  std::optional<latency_gradient> learned_;
};

}  // namespace weir
