// The time that a client still waits, as one end tells the other (time_left_field).
#pragma once

#include <weir/base/time.hpp>
#include <weir/http/exchange.hpp>

#include <charconv>
#include <cstdint>
#include <string_view>

namespace weir::http::detail {

/// Ten digits of milliseconds are 115 days. Who waits for longer waits for ever.
inline constexpr std::int64_t time_left_ms_max = 9'999'999'999;

/// What is written: whole milliseconds, rounded down, so that a server gives up no later than its
/// client; but at least one, since 0 means "no limit" to Envoy.
class time_left_text {
 public:
  explicit time_left_text(duration left) noexcept {
    std::int64_t ms = left.ns / 1'000'000;
    if (ms < 1) ms = 1;
    if (ms > time_left_ms_max) ms = time_left_ms_max;
    size_ = static_cast<std::size_t>(std::to_chars(text_, text_ + sizeof text_, ms).ptr - text_);
  }
  operator std::string_view() const noexcept { return {text_, size_}; }

 private:
  char text_[20];
  std::size_t size_;
};

/// What is read; max() for 0 and for what is no number of milliseconds.
inline duration parse_time_left(std::string_view value) noexcept {
  std::int64_t ms = 0;
  if (value.empty() || value.size() > 10) return duration::max();
  for (const char c : value) {
    if (c < '0' || c > '9') return duration::max();
    ms = ms * 10 + (c - '0');
  }
  return ms == 0 ? duration::max() : duration::milliseconds(ms);
}

}  // namespace weir::http::detail
