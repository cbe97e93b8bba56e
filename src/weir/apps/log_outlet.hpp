// Standard error as a server writes to it. A reader that stands still (a pipe to a program that
// hangs, a terminal after Ctrl-S) would hold up the loop with the first line that finds no room,
// and with it every client. So a line waits for a moment only, and is lost then; how many were is
// told when there is room again.
#pragma once

#include <weir/base/log.hpp>
#include <weir/base/time.hpp>

#include <cstdint>
#include <string_view>

namespace weir {

/// Takes the log's lines while it lives, and writes them to a descriptor.
///
/// Cancel:  nothing waits but the thread that logs, for `patience` at most.
/// Order:   that of the lines; one that was cut stays so, and the next is on a line of its own.
/// Bound:   keeps none; a wait of `patience` that was in vain is not repeated for `pause`.
/// Errors:  a line that can't be written is counted, and the count is told before the next one.
/// Threads: any; the log lets one in at a time.
class log_outlet {
 public:
  static constexpr duration pause = duration::seconds(1);

  explicit log_outlet(int descriptor, duration patience = duration::milliseconds(50));
  log_outlet(const log_outlet&) = delete;
  log_outlet& operator=(const log_outlet&) = delete;
  ~log_outlet();

  std::uint64_t lost() const noexcept { return lost_; }

 private:
  void take(log::level severity, std::string_view text) noexcept;
  /// False when it, or the end of it, found no room.
  bool put_line(log::level severity, std::string_view text);
  bool put(std::string_view bytes) noexcept;
  bool has_room() noexcept;

  int descriptor_;
  duration patience_;
  time_point waits_from_;   // before that a line without room is lost at once
  std::uint64_t lost_ = 0;  // all of them
  std::uint64_t lost_untold_ = 0;
  bool is_cut_ = false;  // what was written last is a part of a line
  log::sink before_;
};

}  // namespace weir
