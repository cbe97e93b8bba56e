// Memory for coroutine frames and task headers: per-thread free lists by size class over slabs. The
// hard idea: a frame is nearly always freed on the thread that made it, so the fast path is a pop
// from an unshared list; a block freed elsewhere simply joins that thread's list. What a thread has
// too much of goes to a shared depot, in batches. Blocks that were freed in any order are put in
// order there, page by page: where many tasks end as it happens, those that are made next lie side
// by side all the same. Under AddressSanitizer pooling is off, so that a use after free is seen.
#pragma once

#include <cstddef>

namespace weir::detail {

inline constexpr std::size_t frame_size_max = 2048;  // larger blocks are not pooled
inline constexpr std::size_t frame_alignment = 16;   // of every block, so of all that lies in one
inline constexpr std::size_t frame_cached_max =
    512;  // free blocks per class and thread; more go to the depot, half of it at a time

struct free_frame_block {
  free_frame_block* next;
  free_frame_block* next_batch;  // of the first of a batch in the depot
};
/// A thread's free blocks of one size. Two batches, as in Bonwick's magazines: one that is filled
/// and emptied, and a whole one in reserve.
struct frame_magazine {
  free_frame_block* loose = nullptr;
  free_frame_block* whole = nullptr;  // null, or half of frame_cached_max blocks
  // A new thread's looks full: its first free goes the slow way, where the clean-up is registered.
  std::size_t loose_count = frame_cached_max / 2;
};
inline constexpr std::size_t frame_class_step = 16;
inline constexpr std::size_t frame_class_count = frame_size_max / frame_class_step;
extern constinit thread_local frame_magazine frame_magazines[frame_class_count];

void* allocate_frame_slowly(std::size_t size);
void free_frame_slowly(void* memory, std::size_t size) noexcept;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_FRAMES_UNPOOLED 1
#endif
#endif

/// `size` bytes aligned to frame_alignment; throws std::bad_alloc. Sizes over frame_size_max go to
/// the heap.
inline void* allocate_frame(std::size_t size) {
#ifndef WEIR_FRAMES_UNPOOLED
  if (size <= frame_size_max) [[likely]] {
    frame_magazine& m = frame_magazines[(size - 1) / frame_class_step];
    if (free_frame_block* block = m.loose) [[likely]] {
      m.loose = block->next;
      __builtin_prefetch(m.loose, 1);
      --m.loose_count;
      return block;
    }
  }
#endif
  return allocate_frame_slowly(size);
}

/// Gives back what allocate_frame(size) returned; the size must be the same. Any thread.
inline void free_frame(void* memory, std::size_t size) noexcept {
#ifndef WEIR_FRAMES_UNPOOLED
  if (size <= frame_size_max) [[likely]] {
    frame_magazine& m = frame_magazines[(size - 1) / frame_class_step];
    if (m.loose_count != frame_cached_max / 2) [[likely]] {
      auto* block = static_cast<free_frame_block*>(memory);
      block->next = m.loose;
      m.loose = block;
      ++m.loose_count;
      return;
    }
  }
#endif
  free_frame_slowly(memory, size);
}

struct frame_pool_stats {
  std::size_t slab_bytes;  // of pages that were ever used, which are never given back to the system
  std::size_t sized_bytes;  // of those whose blocks have a size; the others may have any
};
frame_pool_stats frame_pool_statistics() noexcept;

}  // namespace weir::detail
