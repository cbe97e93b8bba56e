// Which shape of a program fits a workload, decided from figures alone. The hard idea: there is no
// best shape, only a simplest one that is good enough; so of all that come near the best
// throughput, and of these near the best latency, the first in the order of simplicity is advised.
//
// The order counts what can run at the same moment as a line of yours, since that has to be locked
// or copied: nothing; nothing between two waits; the functions that are handed over; the other
// loops; everything.
#pragma once

#include <weir/base/time.hpp>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace weir {

/// What is done for one request, and for how many at once.
struct workload {
  duration wait = {};  // for others: a disk, a database, another service
  duration cpu = {};   // of computing
  std::uint32_t concurrency = 1;
  std::uint32_t bytes = 0;  // of memory that each request holds
  unsigned cores = 1;
};

/// The simplest first.
enum class program_shape : std::uint8_t { plain, tasks, tasks_and_pool, loops, threads };
inline constexpr std::size_t shape_count = 5;

/// "tasks on one loop", for people.
std::string_view title_of(program_shape shape) noexcept;
/// "tasks", for programs.
std::string_view name_of(program_shape shape) noexcept;

/// Why a shape has no figures, or not those of the whole workload.
enum class shape_gap : std::uint8_t {
  none,
  nothing_to_compute,  // there is no work for a pool
  one_core,            // a loop on each core is one loop
  too_many_threads,    // measured with fewer: `concurrency`
  no_driver,           // a loop can't run here
  failed,              // it ended before it had figures: no memory, as a rule
};

/// A latency; of requests that had not ended when it was over, only the least is known.
struct latency_figure {
  duration value = {};
  bool is_least = false;
};

/// What was measured of one shape. Plain bytes: it comes from another process.
struct shape_figures {
  program_shape shape = program_shape::plain;
  shape_gap gap = shape_gap::none;
  std::uint32_t concurrency = 0;  // that it was measured with
  double per_second = 0;
  latency_figure p50 = {};
  latency_figure p99 = {};
  double cpu_ns = 0;               // of a request
  double switches = 0;             // between threads, for a request
  std::uint64_t memory_bytes = 0;  // that the waiting requests and their threads hold
  double busy = 0;                 // the processors, 0 to 1

  /// It did what was asked, and not a part of it.
  bool is_whole() const noexcept { return gap == shape_gap::none; }
};

/// What the rule says of one shape.
enum class shape_standing : std::uint8_t { advised, fits, slow, late, not_measured };
/// "fits", for people and programs.
std::string_view name_of(shape_standing standing) noexcept;

struct advice {
  /// A shape whose throughput is this near to the best one fits.
  static constexpr double throughput_tolerance = 0.10;
  /// A 99th percentile may be so much above the best one of the shapes that are fast enough ...
  static constexpr double latency_tolerance = 0.25;
  /// ... and so much in any case: less is the noise of a short measurement.
  static constexpr duration latency_noise = duration::microseconds(200);

  program_shape advised = program_shape::plain;
  std::vector<shape_standing> standings;  // one for each of the figures
  std::vector<std::string> reasons;       // sentences
};

/// `measured` has a shape at most once, in any order; one that is whole must be there, else
/// `invalid_argument` is raised.
advice advise(const workload& load, std::span<const shape_figures> measured);

/// "12 ms", "over 700 ms".
std::string format_latency(latency_figure latency);
/// "not measured: there is one core"; nothing when there is no gap.
std::string gap_text(const shape_figures& figures, const workload& load);

}  // namespace weir
