// concurrency_limit: at most so many calls at once, others wait. The number is given, or learned
// from how long calls take.
#pragma once

#include <weir/flow/detail/call_slots.hpp>
#include <weir/flow/detail/calls.hpp>
#include <weir/flow/detail/reach.hpp>
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

namespace detail {

slots_options slots_of(const limit_options& options, std::uint32_t limit);

template <class Reach>
class basic_concurrency_limit {
  using call_place = typename call_slots<Reach>::slot;

 public:
  explicit basic_concurrency_limit(limit_options options)
      : slots_(slots_of(options, options.calls_max)) {}
  basic_concurrency_limit(limit_options options, gradient_options adaptive)
      : learned_(adaptive), slots_(slots_of(options, adaptive.limit_initial)) {}

  template <class F>
  WEIR_CORO_WRAPPER task<call_value_t<F>> run(F call) {
    return call_under(this, std::move(call));
  }
  /// True when a call made now would run at once.
  bool is_ready() const noexcept { return slots_.is_ready(); }
  const char* name() const noexcept { return slots_.name(); }
  slots_stats stats() const noexcept { return slots_.stats(); }

  class ticket {
   public:
    ticket(basic_concurrency_limit* of, call_place place, time_point begun) noexcept
        : of_(of), begun_(begun), place_(std::move(place)) {}
    // Only the first verdict counts: what failed after it is that the value was handed on.
    void succeeded() noexcept {
      if (auto* const of = std::exchange(of_, nullptr)) of->note(begun_, nullptr);
    }
    void failed(const call_failure& what) noexcept {
      if (auto* const of = std::exchange(of_, nullptr)) of->note(begun_, &what);
    }

   private:
    basic_concurrency_limit* of_;
    time_point begun_;
    call_place place_;
  };
  // For policies.
  auto enter() noexcept { return slots_.acquire(); }
  ticket begin(call_place admitted) noexcept;

 private:
  void note(time_point begun, const call_failure* failure) noexcept;

  [[no_unique_address]] typename Reach::lock learning_;  // taken before the lock of slots_
  std::optional<latency_gradient> learned_;              // its options are looked at first
  call_slots<Reach> slots_;
};

extern template class basic_concurrency_limit<one_loop>;
extern template class basic_concurrency_limit<many_loops>;

}  // namespace detail

/// A limit on calls that run at once.
///
/// Cancel:  a cancelled call gives its place back once it has ended, and teaches nothing; one that
///          waits leaves the line.
/// Order:   first come, first served.
/// Bound:   queue_max calls wait; nothing is allocated.
/// Errors:  call_refused: `full` when the line is, `timed_out` after wait_max; `invalid_argument`
///          for options that can't be meant.
/// Threads: one loop; cross::concurrency_limit is for several.
class concurrency_limit final : public detail::basic_concurrency_limit<detail::one_loop> {
 public:
  explicit concurrency_limit(limit_options options) : basic_concurrency_limit(options) {}
  /// One that learns: it grows while calls are as fast as usual, and shrinks when they become
  /// slow, time out, or are refused over there.
  concurrency_limit(limit_options options, gradient_options adaptive)
      : basic_concurrency_limit(options, adaptive) {}
};

namespace cross {

/// weir::concurrency_limit for the calls of several loops, which share the places, the line and
/// what is learned; each call runs on its own loop. A call costs two short locks, or four when the
/// limit is learned and a fifth when it changes, and a post for each call of another loop that gets
/// a place by its end.
///
/// Cancel:  a cancelled call gives its place back once it has ended, and teaches nothing; one that
///          waits leaves the line.
/// Order:   first come, first served, whatever the loops.
/// Bound:   queue_max calls wait; nothing is allocated.
/// Errors:  call_refused: `full` when the line is, `timed_out` after wait_max; `invalid_argument`
///          for options that can't be meant.
/// Threads: any that runs a loop, on drivers whose clocks agree, as those of the kernel do. It
///          outlives every call of its own.
class concurrency_limit final : public detail::basic_concurrency_limit<detail::many_loops> {
 public:
  explicit concurrency_limit(limit_options options) : basic_concurrency_limit(options) {}
  /// One that learns: it grows while calls are as fast as usual, and shrinks when they become
  /// slow, time out, or are refused over there.
  concurrency_limit(limit_options options, gradient_options adaptive)
      : basic_concurrency_limit(options, adaptive) {}
};

}  // namespace cross
}  // namespace weir
