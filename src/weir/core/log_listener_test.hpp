// For tests only: what is logged.
#pragma once

#include <weir/base/log.hpp>

#include <string>
#include <string_view>
#include <vector>

namespace weir::testing {

/// Hears the log's events at the level debug for as long as it lives.
///
/// Cancel:  no waits.
/// Order:   as they were written.
/// Bound:   none: for short tests.
/// Errors:  none.
/// Threads: one.
class log_listener {
 public:
  log_listener() noexcept {
    before_ = log::set_sink({.write = &hear, .context = this});
    log::set_level(log::level::debug);
  }
  log_listener(const log_listener&) = delete;
  log_listener& operator=(const log_listener&) = delete;
  ~log_listener() {
    log::set_level(log::level::info);
    log::set_sink(before_);
  }
  std::vector<std::string> lines;

 private:
  static void hear(void* self, log::level, std::string_view text) noexcept {
    static_cast<log_listener*>(self)->lines.emplace_back(text);
  }
  log::sink before_;
};

}  // namespace weir::testing
