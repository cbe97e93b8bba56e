// Counting allocations, and letting them fail. A program that uses anything of this file has the
// operators new and delete of its source instead of the library's: for tests only. ThreadSanitizer
// keeps the allocator for itself: there nothing is counted and nothing fails.
#pragma once

#include <weir/core/detail/frames_watched.hpp>
#include <weir/sim/virtual_world.hpp>

#include <cstdint>
#include <string>

namespace weir::testing {

/// False where a sanitizer keeps the allocator for itself.
bool are_allocations_ours() noexcept;
/// How often this thread has called operator new.
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

struct memory_account;

/// Counts the memory of what runs in a world (one machine of several, for example), and may bound
/// it: what would take it beyond `bytes_max` fails with std::bad_alloc. Counted is what operator
/// new gave to the program and to frames of its tasks, not what C libraries take, nor the world.
///
/// Cancel:  no waits.
/// Order:   what was taken before is not counted.
/// Bound:   one at a time for a world, and less long-lived than that.
/// Errors:  none. Where allocations are not ours, nothing is counted.
/// Threads: the one of the world.
class memory_watch {
 public:
  explicit memory_watch(virtual_world& of, std::uint64_t bytes_max = UINT64_MAX);
  memory_watch(const memory_watch&) = delete;
  memory_watch& operator=(const memory_watch&) = delete;
  ~memory_watch();

  /// Taken and not given back, and the most that there was at one time.
  std::uint64_t bytes() const noexcept;
  std::uint64_t bytes_highest() const noexcept;
  /// How many allocations failed for the bound.
  std::uint64_t refused() const noexcept;

 private:
  weir::detail::frames_watched frames_;
  virtual_world& world_;
  memory_account* account_;
};

}  // namespace weir::testing
