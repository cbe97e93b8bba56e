// The memory of what runs in a virtual world: counted, bounded, refused. A program that links
// weir::memory_watch (weir::testing brings it along) has the operators new and delete of its source
// instead of the library's, also when it uses nothing of this file. The hard idea: they look at one
// flag of their thread, and while nobody watches there they are malloc() and free(), so the shipped
// `weir` has them and its server does not pay for them. While somebody does, a table beside the
// heap says whose each block is; blocks themselves are as ever.
#pragma once

#include <weir/core/detail/frames_watched.hpp>
#include <weir/sim/virtual_world.hpp>

#include <cstddef>
#include <cstdint>

namespace weir {

namespace detail {

/// What a program has taken, and what it may.
struct memory_account {
  std::uint64_t bytes = 0;
  std::uint64_t bytes_highest = 0;
  std::uint64_t bytes_max = UINT64_MAX;
  std::uint64_t large_bytes = 0;  // of those, in large blocks
  std::uint64_t large_bytes_max = UINT64_MAX;
  std::uint64_t large_requests = 0;
  std::uint64_t large_left = 0;  // until one fails; 0: none does
  std::uint64_t refused = 0;
};

/// Hears of each request of a thread before it is granted; false lets it fail.
using heap_listener = bool (*)() noexcept;
/// From here on, for this thread; null: nobody.
void set_heap_listener(heap_listener asked) noexcept;
/// For frames_watched: frames are requests as well, and count for the program that runs.
void ask_for_frame(std::ptrdiff_t bytes);

}  // namespace detail

/// Counts the memory of what runs in a world (one machine of several, for example), bounds it, and
/// lets requests fail with std::bad_alloc. Counted is what operator new gave to the program and to
/// frames of its tasks, not what C libraries take nor what is over-aligned, nor the world.
///
/// A fault strikes large requests only. Which small ones there are depends on the compiler (it
/// inlines, leaves out, lays out frames); the large ones are buffers and tables, the same in every
/// build, so that one seed is one run everywhere.
///
/// Cancel:  no waits.
/// Order:   what was taken before is not counted.
/// Bound:   one at a time for a world.
/// Errors:  none.
/// Threads: the one of the world. A block that another thread gives back counts until its address
///          is given out again.
class memory_watch {
 public:
  static constexpr std::size_t large_min = 4'096;  // bytes that make a request a large one

  /// What would take the program beyond `bytes_max`, small or large, fails.
  explicit memory_watch(virtual_world& of, std::uint64_t bytes_max = UINT64_MAX) noexcept;
  memory_watch(const memory_watch&) = delete;
  memory_watch& operator=(const memory_watch&) = delete;
  ~memory_watch();

  /// The n-th large request from now on fails, once. Counted from 1; 0 takes the order back.
  void fail_large(std::uint64_t nth) noexcept { account_.large_left = nth; }
  /// Large blocks may hold so many bytes more than now, until heal().
  void leave_room(std::uint64_t bytes) noexcept {
    account_.large_bytes_max = account_.large_bytes + bytes;
  }
  /// Large requests find memory again.
  void heal() noexcept {
    account_.large_left = 0;
    account_.large_bytes_max = UINT64_MAX;
  }

  /// Taken and not given back, and the most that there was at one time.
  std::uint64_t bytes() const noexcept { return account_.bytes; }
  std::uint64_t bytes_highest() const noexcept { return account_.bytes_highest; }
  std::uint64_t large_requests() const noexcept { return account_.large_requests; }
  /// How many requests have failed.
  std::uint64_t refused() const noexcept { return account_.refused; }

 private:
  detail::frames_watched frames_;
  virtual_world& world_;
  detail::memory_account account_;
};

}  // namespace weir
