// What `weir advise` measures: a workload done by a program of one shape. The hard idea: every
// shape has the same callers. As many as the concurrency says ask for a request, wait for its
// answer and ask again; a shape that can't take them all at once leaves them in line, and their
// latency shows it.
//
//   start --- the line fills --- begin === counted === end --- what was begun may end --- last
//
// A wait is a timer and computing is arithmetic: what a shape costs, without what I/O costs in all
// of them.
#pragma once

#include <weir/apps/advice.hpp>
#include <weir/base/time.hpp>

#include <cstdint>

namespace weir {

struct shape_trial {
  workload load = {};
  double rounds_per_ns = 0;  // of calibrate_computing()
  duration phase = duration::milliseconds(600);

  /// More threads are not started: what they do together is measured with these.
  static constexpr std::uint32_t threads_max = 2000;
};

/// How many rounds of the arithmetic one nanosecond of this processor is; takes some milliseconds.
double calibrate_computing();

/// How long is counted: the phase, and three waits at least.
duration counted_time(const shape_trial& plan) noexcept;

/// Does the work and gives the figures. Changes the process for good (its processors, its
/// timers), so it belongs into one of its own: forked_call.
shape_figures run_shape_trial(program_shape shape, const shape_trial& plan);

}  // namespace weir
