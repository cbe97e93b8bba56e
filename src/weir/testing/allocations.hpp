// Counting allocations, and letting them fail. A program that links weir::testing has the operators
// new and delete of sim/memory_watch.hpp instead of the library's.
#pragma once

#include <weir/core/detail/frames_watched.hpp>
#include <weir/sim/memory_watch.hpp>

#include <cstdint>
#include <string>

namespace weir::testing {

using weir::memory_watch;

/// False under ThreadSanitizer, where tests of each allocation would take too long.
bool are_allocations_ours() noexcept;
/// How often this thread has called operator new since it asked the first time.
std::uint64_t allocations() noexcept;

/// Whose allocations fail.
enum class allocating : std::uint8_t {
  anybody,  // on this thread
  program,  // what runs in a virtual world, and not the world itself
};

/// While it exists, the n-th allocation of this thread, counted from its beginning, fails with
/// std::bad_alloc; 0: none does.
///
/// Cancel:  no waits.
/// Order:   the first allocation is 1.
/// Bound:   one at a time on a thread.
/// Errors:  none.
/// Threads: the one that made it.
class failing_allocation {
 public:
  explicit failing_allocation(std::uint64_t nth, allocating whose = allocating::anybody) noexcept;
  failing_allocation(const failing_allocation&) = delete;
  failing_allocation& operator=(const failing_allocation&) = delete;
  ~failing_allocation();

  bool has_struck() const noexcept;
  /// Where the one that failed was made: a line of "program(+offset)" for each frame, as
  /// llvm-symbolizer and addr2line take them.
  static std::string place();
  /// The same on standard error. Async-signal-safe.
  static void print_place() noexcept;

 private:
  weir::detail::frames_watched frames_;
};

}  // namespace weir::testing
