// Several attempts at one thing, all of which failed: who gives up must tell why, and what each
// attempt failed with, since the last failure is often not the one that explains the others.
#pragma once

#include <weir/base/error.hpp>
#include <weir/core/error_group.hpp>

#include <cstddef>
#include <cstdint>
#include <exception>
#include <string_view>
#include <vector>

namespace weir {

/// Raised by retry() and hedge() when several attempts have failed. Its reason() has the code of
/// the last failure, says why there was no further attempt, and has what the attempts failed with
/// as causes, newest first.
///
/// Cancel:  plain value, no waits.
/// Order:   attempts() has the oldest first.
/// Bound:   the first and the last 15 failures are kept; the reason says how many there were.
/// Errors:  none; copying never throws.
/// Threads: copies may be used from different threads.
class attempts_failed : public exception {
 public:
  static constexpr std::size_t failures_kept_max = 16;

  attempts_failed(error why, const error_group& attempts) noexcept
      : exception(static_cast<error&&>(why)), attempts_(attempts) {}
  /// The failures as they were thrown.
  const error_group& attempts() const noexcept { return attempts_; }

 private:
  error_group attempts_;
};

namespace detail {

/// The failures of the attempts at one call.
class failure_list {
 public:
  void add(const std::exception_ptr& failure);
  std::uint64_t count() const noexcept { return count_; }
  const std::exception_ptr& last() const noexcept { return kept_.back(); }
  /// The code of the last failure, with a text and the failures as causes.
  error chain(std::string_view text) const;
  /// A single failure is raised as it is.
  [[noreturn]] void raise(const char* name, std::string_view text) const;

 private:
  std::vector<std::exception_ptr> kept_;
  std::uint64_t count_ = 0;
};

}  // namespace detail

}  // namespace weir
