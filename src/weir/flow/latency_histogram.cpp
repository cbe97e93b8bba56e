#include <weir/flow/latency_histogram.hpp>

#include <weir/base/error.hpp>

#include <algorithm>
#include <bit>

namespace weir {

latency_histogram::latency_histogram(duration window)
    : window_(window), both_(std::make_unique<generation[]>(2)) {
  if (window <= duration())
    raise(error(errc::invalid_argument, "latency_histogram: the window must be above 0"));
}

// Below 16 a bucket for each number; above, the highest four bits of a number name its bucket.
std::uint32_t latency_histogram::bucket_of(std::uint64_t ns) noexcept {
  if (ns < 16) return static_cast<std::uint32_t>(ns);
  const auto shift = static_cast<std::uint32_t>(std::bit_width(ns)) - 4;
  return 8 * shift + static_cast<std::uint32_t>(ns >> shift);
}

duration latency_histogram::end_of(std::uint32_t bucket) noexcept {
  if (bucket < 16) return duration(bucket);
  const std::uint32_t shift = bucket / 8 - 1;
  const std::uint64_t highest = 8 + bucket % 8;
  return duration(static_cast<std::int64_t>(((highest + 1) << shift) - 1));
}

void latency_histogram::turn_to(time_point now) noexcept {
  const std::int64_t to = now.ns / window_.ns;
  if (to <= at_) return;
  if (to > at_ + 1) both_[present_] = {};  // so old that it is not even the one before
  present_ ^= 1;
  both_[present_] = {};
  at_ = to;
}

void latency_histogram::add(duration took, time_point now) noexcept {
  turn_to(now);
  generation& into = both_[present_];
  ++into.count;
  ++into.in[bucket_of(static_cast<std::uint64_t>(std::max<std::int64_t>(took.ns, 0)))];
}

std::uint64_t latency_histogram::count(time_point now) noexcept {
  turn_to(now);
  return both_[0].count + both_[1].count;
}

duration latency_histogram::percentile(double percent, time_point now) noexcept {
  const std::uint64_t all = count(now);
  if (all == 0) return {};
  const double wanted = percent / 100 * static_cast<double>(all);
  std::uint64_t seen = 0;
  for (std::uint32_t i = 0; i < buckets; ++i) {
    seen += std::uint64_t{both_[0].in[i]} + both_[1].in[i];
    if (seen != 0 && static_cast<double>(seen) >= wanted) return end_of(i);
  }
  return end_of(buckets - 1);
}

}  // namespace weir
