// How many calls something can take at once, learned from how long they take. The hard idea: while
// there is no queue on the other side, the time of a call does not depend on how many there are; so
// when calls take longer than they would alone, a queue has begun, and the limit goes down in
// proportion to it (the gradient of Netflix's concurrency-limits). How long they would take must be
// measured again and again, or a queue that grows slowly is taken for usual: every so often a
// few calls at a time are let in for one round, as Envoy and TCP BBR do.
#pragma once

#include <weir/base/time.hpp>

#include <cstdint>

namespace weir {

struct gradient_options {
  std::uint32_t limit_initial = 20;
  std::uint32_t limit_min = 1;
  std::uint32_t limit_max = 1000;
  double tolerance = 1.5;   // a call may take so many times as long as usual
  double smoothing = 0.5;   // how much of a new limit is taken over at once
  std::uint32_t queue = 4;  // by how many the limit tries to grow (or its square root)
  double backoff = 0.9;     // what is left of the limit after an overload
  std::uint32_t window_calls =
      10;  // calls are looked at in rounds: of the limit, or at least so many
  std::uint32_t probe_rounds = 50;  // after so many rounds it is measured what is usual
};

/// The limit, call by call. Pure: times come in as arguments.
///
/// Cancel:  no waits.
/// Order:   results count in the order in which they come.
/// Bound:   limit_min to limit_max.
/// Errors:  `invalid_argument` for options that can't be meant.
/// Threads: one at a time.
class latency_gradient {
 public:
  explicit latency_gradient(gradient_options options = {});

  /// A call has succeeded that took so long, when so many were running.
  void succeeded(duration took, std::uint32_t running) noexcept;
  /// A call was refused or timed out over there. Counts once in the time that a call takes, or in
  /// 10 ms while that is not known.
  void overloaded(time_point now) noexcept;

  std::uint32_t limit() const noexcept;
  /// How long calls take when they are few, as it was measured last.
  duration usual() const noexcept { return duration(static_cast<std::int64_t>(usual_ns_)); }

 private:
  void set(double limit) noexcept;
  void end_round() noexcept;

  gradient_options options_;
  double limit_;
  double usual_ns_ = 0;
  double round_ns_ = 0;  // the calls of this round together
  std::uint32_t round_calls_ = 0;
  std::uint32_t round_running_ = 0;  // at most
  std::uint32_t rounds_ = 0;         // since it was measured what is usual
  bool is_probing_ = false;
  std::uint32_t old_calls_ = 0;  // of a probe: calls still to end that began before it
  time_point next_backoff_;
};

}  // namespace weir
