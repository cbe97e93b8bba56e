// The results that a circuit breaker looks at: the last so many, or those of so long.
#pragma once

#include <weir/base/time.hpp>
#include <weir/flow/detail/slotted_window.hpp>

#include <cstdint>
#include <memory>
#include <optional>

namespace weir::detail {

struct breaker_counts {
  std::uint32_t calls = 0;
  std::uint32_t failed = 0;
  std::uint32_t slow = 0;

  breaker_counts& operator+=(const breaker_counts& more) noexcept {
    calls += more.calls;
    failed += more.failed;
    slow += more.slow;
    return *this;
  }
  breaker_counts& operator-=(const breaker_counts& less) noexcept {
    calls -= less.calls;
    failed -= less.failed;
    slow -= less.slow;
    return *this;
  }
};

class breaker_window {
 public:
  /// A `length` of 0: the last `calls_max` results; else those of `length`.
  breaker_window(std::uint32_t calls_max, duration length);
  void add(const breaker_counts& one, time_point now) noexcept;
  breaker_counts counts(time_point now) noexcept;
  void clear() noexcept;

 private:
  std::optional<slotted_window<breaker_counts>> by_time_;
  std::unique_ptr<unsigned char[]> ring_;  // else a byte for each: bit 0 failed, bit 1 slow
  std::uint32_t calls_max_;
  std::uint32_t next_ = 0;
  breaker_counts sum_;
};

}  // namespace weir::detail
