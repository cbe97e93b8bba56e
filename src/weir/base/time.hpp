// Time as weir keeps it: 64-bit nanoseconds, in two strong types. `duration` is a length,
// `time_point` a moment of the clock that handed it out (monotonic unless a name says `wall`). The
// hard idea: std::chrono costs 30,000 preprocessed lines, so this header converts from and to it by
// shape (anything with count() and period) and never includes it.
#pragma once

#include <compare>
#include <cstdint>
#include <limits>

namespace weir {

/// A length of time in nanoseconds; converts implicitly from every std::chrono::duration.
struct duration {
  std::int64_t ns = 0;

  constexpr duration() = default;
  constexpr explicit duration(std::int64_t nanoseconds) : ns(nanoseconds) {}

  /// From std::chrono (any representation and period): saturates nowhere, 292 years is the range.
  template <class D>
    requires requires(const D& d) {
      d.count();
      D::period::num;
    }
  // Implicit on purpose: 10ms from <chrono> must just work.
  constexpr duration(const D& d) : ns(in_nanoseconds<D::period::num, D::period::den>(d.count())) {}

  /// To std::chrono: `d.as<std::chrono::milliseconds>()`.
  template <class D>
  constexpr D as() const {
    return D(static_cast<typename D::rep>(static_cast<__int128>(ns) * D::period::den /
                                          (static_cast<__int128>(1'000'000'000) * D::period::num)));
  }

  static constexpr duration max() { return duration(std::numeric_limits<std::int64_t>::max()); }
  static constexpr duration nanoseconds(std::int64_t n) { return duration(n); }
  static constexpr duration microseconds(std::int64_t n) { return duration(n * 1'000); }
  static constexpr duration milliseconds(std::int64_t n) { return duration(n * 1'000'000); }
  static constexpr duration seconds(std::int64_t n) { return duration(n * 1'000'000'000); }

  constexpr auto operator<=>(const duration&) const = default;
  constexpr duration operator-() const { return duration(-ns); }
  constexpr duration& operator+=(duration d) { return ns += d.ns, *this; }
  constexpr duration& operator-=(duration d) { return ns -= d.ns, *this; }
  friend constexpr duration operator+(duration a, duration b) { return duration(a.ns + b.ns); }
  friend constexpr duration operator-(duration a, duration b) { return duration(a.ns - b.ns); }
  friend constexpr duration operator*(duration a, std::int64_t n) { return duration(a.ns * n); }
  friend constexpr duration operator*(std::int64_t n, duration a) { return duration(a.ns * n); }
  friend constexpr duration operator/(duration a, std::int64_t n) { return duration(a.ns / n); }

 private:
  // A representation without a remainder is a floating one: 1.5s must not become 1s.
  template <auto Num, auto Den, class Rep>
  static constexpr std::int64_t in_nanoseconds(Rep count) {
    if constexpr (requires { count % count; }) {
      return static_cast<std::int64_t>(static_cast<__int128>(count) * 1'000'000'000 * Num / Den);
    } else {
      return static_cast<std::int64_t>(static_cast<long double>(count) * 1e9L * Num / Den);
    }
  }
};

/// A moment: nanoseconds since the epoch of the clock that made it (boot, the simulation's start,
/// or 1970 for wall time).
struct time_point {
  std::int64_t ns = 0;

  constexpr time_point() = default;
  constexpr explicit time_point(std::int64_t nanoseconds) : ns(nanoseconds) {}

  /// Later than every other moment: "no deadline".
  static constexpr time_point never() {
    return time_point(std::numeric_limits<std::int64_t>::max());
  }

  constexpr auto operator<=>(const time_point&) const = default;
  /// Adding saturates at never(), so that `now + duration::max()` is no overflow.
  friend constexpr time_point operator+(time_point t, duration d) {
    std::int64_t sum = 0;
    return __builtin_add_overflow(t.ns, d.ns, &sum) ? never() : time_point(sum);
  }
  friend constexpr time_point operator-(time_point t, duration d) {
    return time_point(t.ns - d.ns);
  }
  friend constexpr duration operator-(time_point a, time_point b) { return duration(a.ns - b.ns); }
};

/// `using namespace weir::literals;` gives 10_ms without <chrono>; with <chrono>, std's 10ms
/// converts as well.
namespace literals {
constexpr duration operator""_ns(unsigned long long n) {
  return duration(static_cast<std::int64_t>(n));
}
constexpr duration operator""_us(unsigned long long n) {
  return duration::microseconds(static_cast<std::int64_t>(n));
}
constexpr duration operator""_ms(unsigned long long n) {
  return duration::milliseconds(static_cast<std::int64_t>(n));
}
constexpr duration operator""_s(unsigned long long n) {
  return duration::seconds(static_cast<std::int64_t>(n));
}
constexpr duration operator""_min(unsigned long long n) {
  return duration::seconds(static_cast<std::int64_t>(n) * 60);
}
constexpr duration operator""_h(unsigned long long n) {
  return duration::seconds(static_cast<std::int64_t>(n) * 3600);
}
}  // namespace literals

}  // namespace weir
