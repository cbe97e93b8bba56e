// What a queue is told by its user: bounds, times, retries, where dead letters go, and the worker
// that it pushes to. Plain values with the defaults of the HTTP interface; check() is the only
// judge of what is allowed, so that every way in (HTTP, recovery, tests) refuses the same things.
#pragma once

#include <weir/base/time.hpp>
#include <weir/broker/broker_errc.hpp>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weir {

/// The wait before a failed message is tried again: first * factor^(failures - 1), at most max,
/// then spread by +-jitter (a share of the wait) so that failures don't come back as a crowd.
struct backoff_settings {
  duration first = duration::seconds(1);
  duration max = duration::seconds(300);
  double factor = 2;
  double jitter = 0.2;

  bool operator==(const backoff_settings&) const = default;
};

/// How the server calls the queue's worker. A rate of 0 is no limit.
struct push_settings {
  std::string url = {};
  std::uint32_t concurrency = 16;
  std::uint32_t rate = 0;  // calls per second
  duration timeout = duration::seconds(30);

  bool operator==(const push_settings&) const = default;
};

/// Everything a user may set on a queue. A duration of 0 switches `ttl`, `result_ttl` (results are
/// forgotten at once) and `key_window` off; `attempts` of 0 is no limit.
struct queue_settings {
  std::uint64_t capacity_messages = 1'000'000;
  std::uint64_t capacity_bytes = std::uint64_t(4) << 30;
  duration lease = duration::seconds(30);
  std::uint32_t attempts = 5;
  backoff_settings backoff = {};
  std::string dead_letter = "{q}.dead";  // "{q}" is the queue's name; empty: keep no dead letters
  duration ttl = duration::seconds(7 * 86'400);
  duration result_ttl = duration::seconds(3'600);
  duration key_window = duration::seconds(86'400);
  std::optional<push_settings> push = {};

  bool operator==(const queue_settings&) const = default;
};

/// The largest number that all readers of JSON give back as it was: as good as no limit.
constexpr std::uint64_t capacity_unlimited = (std::uint64_t(1) << 53) - 1;
constexpr std::size_t queue_name_bytes_max = 100;
/// Names that the broker makes from others (dead-letter queues) may be longer than a user's.
constexpr std::size_t made_queue_name_bytes_max = 200;
constexpr std::size_t url_bytes_max = 2'048;
constexpr duration setting_duration_max = duration::seconds(3'650 * std::int64_t(86'400));
constexpr std::uint32_t attempts_max = 10'000;

/// 1 to `bytes_max` characters of a-z A-Z 0-9 . _ -, not starting with a dot.
bool is_queue_name(std::string_view text, std::size_t bytes_max = queue_name_bytes_max) noexcept;

/// The name of a queue's dead-letter queue: `dead_letter` with every "{q}" replaced; "" for none.
std::string dead_letter_name(const queue_settings& settings, std::string_view queue);

/// Refuses with `invalid_setting` (or `invalid_name`) and the setting's name when out of range.
verdict<void> check(const queue_settings& settings, std::string_view queue);

/// What a dead-letter queue gets when the first dead letter makes it: no limits, no end, no retries
/// counted, no dead letters of its own.
queue_settings dead_letter_settings();

}  // namespace weir
