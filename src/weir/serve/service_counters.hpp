// What the service counts about itself, and the rates of its queues.
#pragma once

#include <weir/base/time.hpp>
#include <weir/serve/answer_json.hpp>
#include <weir/serve/metrics_text.hpp>
#include <weir/serve/rate_meter.hpp>
#include <weir/serve/routes.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace weir {

/// Rates of all queues, sampled now and then. A round of samples goes through the meters as through
/// a file: queues come by rising number, and a new one has a higher number than all before, so
/// nothing is searched, and a hundred thousand queues are sampled in some milliseconds.
///
///   [ sampled in this round | gone or moved | not yet ]     of() looks into the first and the last
///                           ^ written_      ^ read_
///
/// Cancel:  plain value, no waits.
/// Order:   a round names queues by rising number.
/// Bound:   four meters a queue; queues that are gone are dropped in the next round.
/// Errors:  a queue that was not sampled yet has rates of 0.
/// Threads: one loop.
class queue_rate_book {
 public:
  static constexpr duration sample_interval = duration::seconds(5);

  /// A round samples each queue once, some at a time; those that it does not name are gone.
  void begin_round() noexcept { written_ = read_ = 0; }
  void sample(std::span<const queue_progress> queues, time_point now);
  void end_round();
  queue_rates of(const queue_view& queue) const;

 private:
  struct meters {
    std::uint32_t number = 0;
    rate_meter submitted = {};
    rate_meter leased = {};
    rate_meter completed = {};
    rate_meter failed = {};
  };
  std::vector<meters> queues_;
  std::size_t written_ = 0;
  std::size_t read_ = 0;
};

/// Counts of requests by endpoint and status, and how long they took.
///
/// Cancel:  plain value, no waits.
/// Order:   none.
/// Bound:   a fixed table: endpoints by the statuses that we answer with.
/// Errors:  a status that is not in the table is counted as "other".
/// Threads: one loop.
class service_counters {
 public:
  static constexpr int cut_off = -1;  // the status of a request that got no answer from here

  /// One request; no endpoint for paths that are none.
  void count(const route* to, int status, duration length) noexcept;
  void confirmed(duration length) { confirm_.record(length); }
  /// Calls to workers and reply addresses, by outcome.
  void pushed(bool is_delivered, duration length);

  std::uint32_t in_flight = 0;

  /// Appends everything in the Prometheus format.
  void append_to(metrics_text& out) const;

 private:
  static constexpr std::array<int, 18> statuses{200, 201, 202, 204, 400, 401, 403, 404,     405,
                                                408, 409, 413, 429, 500, 503, 507, cut_off, 0};
  static constexpr std::size_t rows = endpoints + 1;  // the last is for paths that are none

  std::array<std::array<std::uint64_t, statuses.size()>, rows> requests_{};
  std::array<metric_histogram, rows> lengths_;
  metric_histogram confirm_;
  metric_histogram push_;
  std::uint64_t pushes_delivered_ = 0;
  std::uint64_t pushes_failed_ = 0;
};

}  // namespace weir
