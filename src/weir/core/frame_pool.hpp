// Memory for coroutine frames and task headers: per-thread free lists by size class over slabs. The
// hard idea: a frame is nearly always freed on the thread that made it, so the fast path is a pop
// from an unshared list; a block freed elsewhere simply joins that thread's list, and what a thread
// has too much of goes to a shared depot, in batches. Under AddressSanitizer pooling is off, so
// that a use after free is seen.
#pragma once

#include <cstddef>

namespace weir::detail {

/// `size` bytes aligned to 16; throws std::bad_alloc. Sizes over frame_size_max go to the heap.
void* allocate_frame(std::size_t size);
/// Gives back what allocate_frame(size) returned; the size must be the same. Any thread.
void free_frame(void* memory, std::size_t size) noexcept;

inline constexpr std::size_t frame_size_max = 2048;  // larger blocks are not pooled
inline constexpr std::size_t frame_cached_max =
    4096;  // free blocks per class and thread; more go to the depot, half of it at a time

struct frame_pool_stats {
  std::size_t
      slab_bytes;  // taken from the system by all threads, never given back: the peak is the bound
};
frame_pool_stats frame_pool_statistics() noexcept;

}  // namespace weir::detail
