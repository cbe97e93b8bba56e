// bulkhead: a compartment of its own for the calls to one thing, so that when that thing is slow,
// it holds up its own callers and nobody else. Semantics and names as in resilience4j.
#pragma once

#include <weir/flow/detail/call_slots.hpp>
#include <weir/flow/detail/calls.hpp>

#include <cstdint>
#include <utility>

namespace weir {

struct bulkhead_options {
  const char* name = "bulkhead";
  std::uint32_t calls_max = 25;         // that run at once
  std::uint32_t queue_max = 0;          // that wait for a place; beyond them calls are refused
  duration wait_max = duration::max();  // how long they wait
};

namespace detail {

slots_options slots_of(const bulkhead_options& options);

template <class Reach>
class basic_bulkhead {
 public:
  explicit basic_bulkhead(bulkhead_options options) : slots_(slots_of(options)) {}

  template <class F>
  WEIR_CORO_WRAPPER task<call_value_t<F>> run(F call) {
    return call_under(this, std::move(call));
  }
  /// True when a call made now would run at once.
  bool is_ready() const noexcept { return slots_.is_ready(); }
  const char* name() const noexcept { return slots_.name(); }
  slots_stats stats() const noexcept { return slots_.stats(); }

  // For policies.
  using ticket = typename call_slots<Reach>::slot;
  auto enter() noexcept { return slots_.acquire(); }
  static ticket begin(ticket admitted) noexcept { return admitted; }

 private:
  call_slots<Reach> slots_;
};

}  // namespace detail

/// A fixed number of places for calls.
///
/// Cancel:  a cancelled call gives its place back once it has ended; one that waits leaves the
///          line.
/// Order:   first come, first served.
/// Bound:   calls_max run and queue_max wait; nothing is allocated.
/// Errors:  call_refused: `full` when the line is, `timed_out` after wait_max; `invalid_argument`
///          for no places.
/// Threads: one loop; cross::bulkhead is for several.
class bulkhead final : public detail::basic_bulkhead<detail::one_loop> {
 public:
  explicit bulkhead(bulkhead_options options) : basic_bulkhead(options) {}
};

namespace cross {

/// weir::bulkhead for the calls of several loops, which share the places and the line; each call
/// runs on its own loop. A call costs two short locks, and a post when it gives its place to one
/// that waits on another loop.
///
/// Cancel:  a cancelled call gives its place back once it has ended; one that waits leaves the
///          line.
/// Order:   first come, first served, whatever the loops.
/// Bound:   calls_max run and queue_max wait; nothing is allocated.
/// Errors:  call_refused: `full` when the line is, `timed_out` after wait_max; `invalid_argument`
///          for no places.
/// Threads: any that runs a loop; it outlives every call of its own.
class bulkhead final : public detail::basic_bulkhead<detail::many_loops> {
 public:
  explicit bulkhead(bulkhead_options options) : basic_bulkhead(options) {}
};

}  // namespace cross
}  // namespace weir
