// When to do something again: schedules that are made of smaller ones. The hard idea: a schedule is
// a description without a clock, a state or luck of its own; a schedule_run steps through it with
// the times and the random numbers that it is given, so the same schedule serves many calls at once
// and a run can be repeated.
//
//   exponential(100_ms, 5_s).jittered().recurs(10).up_to(30_s)
//   fixed(1_s).recurs(3).then(fixed(1_min))        three times a second, then each minute
//   cron("0 3 * * *") | fixed(12_h)                whichever comes first
#pragma once

#include <weir/base/random.hpp>
#include <weir/base/time.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

namespace weir {

/// What luck does to a delay, so that those who failed together don't come back together.
enum class jitter : std::uint8_t {
  full,   // anything from 0 up to the delay
  equal,  // anything from half of the delay up to it
};

/// The moment at which a schedule is asked.
struct schedule_moment {
  time_point now;       // monotonic
  time_point wall;      // for cron()
  duration least = {};  // what will be waited in any case: for up_to()
};

namespace detail {

/// One part of a schedule, at work: the prototypes of a schedule are copied by begin().
class schedule_rule {
 public:
  virtual ~schedule_rule() = default;
  virtual std::unique_ptr<schedule_rule> begin(const schedule_moment& at) const = 0;
  /// The next delay, or nothing: it is over, and stays so.
  virtual std::optional<duration> next(const schedule_moment& at, random_source& luck) = 0;
};

}  // namespace detail

/// A description of delays, one after the other, for ever or up to an end.
///
/// Cancel:  plain value, no waits.
/// Order:   a run gives the delays in order; combinations ask all their parts each time.
/// Bound:   delays saturate at 292 years; what is not bounded by recurs() or up_to() has no end.
/// Errors:  `invalid_argument` for what can't be meant, such as a negative delay.
/// Threads: copies share what never changes; any thread.
class schedule {
 public:
  explicit schedule(std::shared_ptr<const detail::schedule_rule> rule) noexcept
      : rule_(static_cast<std::shared_ptr<const detail::schedule_rule>&&>(rule)) {}

  /// With luck in each delay.
  schedule jittered(jitter kind = jitter::full) const;
  /// Each delay times a number from 1 - part to 1 + part.
  schedule randomized(double part = 0.5) const;
  /// At most `count` times.
  schedule recurs(std::uint64_t count) const;
  /// As long as the delay ends within `total` of the run's beginning.
  schedule up_to(duration total) const;
  /// No delay longer than `longest`.
  schedule capped(duration longest) const;
  /// This one to its end, and then the next.
  schedule then(schedule next) const;
  /// While both go on; the longer delay counts.
  friend schedule operator&(schedule a, schedule b);
  /// While one of them goes on; the shorter delay counts.
  friend schedule operator|(schedule a, schedule b);

  const detail::schedule_rule& rule() const noexcept { return *rule_; }

 private:
  std::shared_ptr<const detail::schedule_rule> rule_;
};

/// Always the same delay.
schedule fixed(duration delay);
/// first, first * factor, first * factor^2 ... up to `longest`.
schedule exponential(duration first, duration longest = duration::max(), double factor = 2);
/// first, first, 2 first, 3 first, 5 first ... up to `longest`.
schedule fibonacci(duration first, duration longest = duration::max());
/// The first delay, then anything from it up to three times the one before, but never over
/// `longest` ("decorrelated jitter").
schedule decorrelated(duration first, duration longest = duration::max());
/// `count` times without delay.
schedule recurs(std::uint64_t count);
/// At the times of a cron expression (see cron_times), in UTC. One that can't be read raises
/// `invalid_argument`.
schedule cron(std::string_view expression);

/// One pass through a schedule.
///
/// Cancel:  no waits.
/// Order:   once it is over it stays so.
/// Bound:   one small object for each part of the schedule.
/// Errors:  none.
/// Threads: one at a time.
class schedule_run {
 public:
  schedule_run(const schedule& of, const schedule_moment& begins, std::uint64_t seed)
      : rule_(of.rule().begin(begins)), luck_(seed) {}
  /// The delay from now to the next time, or nothing when there is none.
  std::optional<duration> next(const schedule_moment& at) { return rule_->next(at, luck_); }

 private:
  std::unique_ptr<detail::schedule_rule> rule_;
  random_source luck_;
};

}  // namespace weir
