#include <weir/broker/queue_settings.hpp>

#include <weir/base/text.hpp>

#include <fmt/format.h>

#include <algorithm>

namespace weir {

namespace {

bool is_name_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

std::unexpected<refusal> bad(std::string_view setting, std::string_view rule) {
  return refuse(broker_errc::invalid_setting, fmt::format("setting '{}' {}", setting, rule));
}

verdict<void> check_length(std::string_view setting, duration value, duration min) {
  if (value >= min && value <= setting_duration_max) return {};
  return bad(setting, fmt::format("must be between {} and {}", format_duration(min),
                                  format_duration(setting_duration_max)));
}

verdict<void> check_backoff(const backoff_settings& backoff) {
  if (auto ok = check_length("backoff.first", backoff.first, duration(0)); !ok) return ok;
  if (auto ok = check_length("backoff.max", backoff.max, backoff.first); !ok) return ok;
  // Written so that a NaN is refused too.
  if (!(backoff.factor >= 1 && backoff.factor <= 100)) {
    return bad("backoff.factor", "must be between 1 and 100");
  }
  if (!(backoff.jitter >= 0 && backoff.jitter <= 1)) {
    return bad("backoff.jitter", "must be between 0 and 1");
  }
  return {};
}

verdict<void> check_push(const push_settings& push) {
  const auto begins_with = [&](std::string_view scheme) {
    return equal_ignoring_case(std::string_view(push.url).substr(0, scheme.size()), scheme);
  };
  const bool is_url = begins_with("http://") || begins_with("https://");
  if (!is_url || push.url.size() > url_bytes_max) {
    return bad("push.url",
               fmt::format("must be an http or https URL of at most {} bytes", url_bytes_max));
  }
  if (push.concurrency < 1 || push.concurrency > 10'000) {
    return bad("push.concurrency", "must be between 1 and 10000");
  }
  if (push.rate > 1'000'000) return bad("push.rate", "must be at most 1000000 a second");
  return check_length("push.timeout", push.timeout, duration::milliseconds(1));
}

}  // namespace

bool is_queue_name(std::string_view text, std::size_t bytes_max) noexcept {
  return !text.empty() && text.size() <= bytes_max && text.front() != '.' &&
         std::ranges::all_of(text, is_name_character);
}

std::string dead_letter_name(const queue_settings& settings, std::string_view queue) {
  constexpr std::string_view hole = "{q}";
  std::string made;
  std::string_view rest = settings.dead_letter;
  for (std::size_t at = rest.find(hole); at != rest.npos; at = rest.find(hole)) {
    made.append(rest.substr(0, at)).append(queue);
    rest.remove_prefix(at + hole.size());
  }
  return made.append(rest);
}

verdict<void> check(const queue_settings& settings, std::string_view queue) {
  if (settings.capacity_messages == 0) return bad("capacity.messages", "must be at least 1");
  if (settings.capacity_bytes == 0) return bad("capacity.bytes", "must be at least 1");
  if (auto ok = check_length("lease", settings.lease, duration::milliseconds(1)); !ok) return ok;
  if (settings.attempts > attempts_max) {
    return bad("attempts", fmt::format("must be at most {}; 0 is no limit", attempts_max));
  }
  if (auto ok = check_backoff(settings.backoff); !ok) return ok;
  if (settings.dead_letter.size() > queue_name_bytes_max) {
    return bad("dead_letter", fmt::format("must have at most {} bytes", queue_name_bytes_max));
  }
  const std::string dead_letter = dead_letter_name(settings, queue);
  if (!dead_letter.empty() && !is_queue_name(dead_letter, made_queue_name_bytes_max)) {
    return bad("dead_letter", fmt::format("gives '{}', which is no queue name", dead_letter));
  }
  if (dead_letter == queue) return bad("dead_letter", "must not name the queue itself");
  if (auto ok = check_length("ttl", settings.ttl, duration(0)); !ok) return ok;
  if (auto ok = check_length("result_ttl", settings.result_ttl, duration(0)); !ok) return ok;
  if (auto ok = check_length("key_window", settings.key_window, duration(0)); !ok) return ok;
  return settings.push ? check_push(*settings.push) : verdict<void>{};
}

queue_settings dead_letter_settings() {
  queue_settings settings;
  settings.capacity_messages = capacity_unlimited;
  settings.capacity_bytes = capacity_unlimited;
  settings.attempts = 0;
  settings.dead_letter.clear();
  settings.ttl = duration(0);
  return settings;
}

}  // namespace weir
