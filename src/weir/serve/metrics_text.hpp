// The Prometheus text format, version 0.0.4: families with HELP and TYPE, labels with escapes, and
// histograms with fixed buckets. Counting costs an addition; text is made only when asked for.
#pragma once

#include <weir/base/time.hpp>

#include <array>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace weir {

/// Lengths of time counted into buckets from 100 us to 30 s.
///
/// Cancel:  plain value, no waits.
/// Order:   none.
/// Bound:   18 counters.
/// Errors:  none; a negative length counts as 0.
/// Threads: one loop.
class metric_histogram {
 public:
  static constexpr std::array<std::int64_t, 15> bounds_us{
      100,    250,     500,     1'000,   2'500,     5'000,     10'000,    25'000,
      50'000, 100'000, 250'000, 500'000, 1'000'000, 5'000'000, 30'000'000};

  void record(duration length) noexcept;
  /// How many were at most bounds_us[at]; at the end of the array: all.
  std::uint64_t at_most(std::size_t at) const noexcept;
  std::uint64_t count() const noexcept { return at_most(bounds_us.size()); }
  double sum_seconds() const noexcept { return static_cast<double>(sum_ns_) * 1e-9; }

 private:
  std::array<std::uint64_t, bounds_us.size() + 1> counts_{};
  std::uint64_t sum_ns_ = 0;
};

struct metric_label {
  std::string_view name;
  std::string_view value;
};
using metric_labels = std::initializer_list<metric_label>;

/// Builds the text: family(), then its samples; all samples of a family stand together.
///
/// Cancel:  plain value, no waits.
/// Order:   as written.
/// Bound:   the text, which grows with the number of samples.
/// Errors:  none; values of labels are escaped.
/// Threads: one at a time.
class metrics_text {
 public:
  /// `type` is counter, gauge or histogram. Counters' names end in _total, times are in _seconds.
  metrics_text& family(std::string_view name, std::string_view type, std::string_view help);
  metrics_text& sample(metric_labels labels, double value);
  metrics_text& sample(metric_labels labels, std::uint64_t value);
  metrics_text& sample(metric_labels labels, const metric_histogram& histogram);
  std::string take();

 private:
  void line(std::string_view suffix, metric_labels labels, metric_label last,
            std::string_view value);

  std::string out_;
  std::string family_;
};

constexpr std::string_view metrics_media_type = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace weir
