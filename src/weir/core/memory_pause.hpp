// What work does that finds no memory and for which nobody waits who could be told: it pauses, and
// goes on. The hard idea: nothing of it takes memory, neither the note nor the wait that follows.
// So a loop tries, notes here what was raised, and sleeps until the pause is over.
#pragma once

#include <weir/base/error.hpp>
#include <weir/base/time.hpp>

#include <exception>
#include <string_view>

namespace weir {

/// True of std::bad_alloc, of an error that the system's want of memory has caused, and of a group
/// with one of them.
bool is_want_of_memory(const std::exception_ptr& raised) noexcept;
/// The same as a value, where an exception is handled; whatever else was raised is raised again.
error caught_want_of_memory();

/// The pauses of one piece of work, or of several tasks of it. Those that find no memory during a
/// pause share it; the next one is twice as long. After a calm time it begins anew.
///
/// Cancel:  plain value, no waits.
/// Order:   moments never go back.
/// Bound:   pauses from pause_first to pause_max; one line of the log for each row of them.
/// Errors:  what was raised, when it is no want of memory.
/// Threads: one loop.
class memory_pause {
 public:
  static constexpr duration pause_first = duration::milliseconds(100);
  static constexpr duration pause_max = duration::seconds(5);
  static constexpr duration calm = duration::seconds(60);  // which ends a row

  /// `who` and `which` are told in the log, and must outlive this.
  explicit memory_pause(const char* who, std::string_view which = {}) noexcept
      : who_(who), which_(which) {}

  /// To be called where an exception is handled. One that is no want of memory is raised again.
  void found_none();
  /// When to go on.
  time_point until() const noexcept { return until_; }

 private:
  const char* who_;
  std::string_view which_;
  duration length_;
  time_point until_;
  bool has_begun_ = false;
};

}  // namespace weir
