#include <weir/core/frame_pool.hpp>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <new>

namespace weir::detail {

namespace {

constexpr std::size_t class_step = 32;
constexpr std::size_t class_count = frame_size_max / class_step;
constexpr std::size_t slab_bytes = 64 * 1024;
constexpr std::size_t batch_blocks = frame_cached_max / 2;

struct free_block {
  free_block* next;
};
struct batch {
  free_block* head;
  batch* next;
};

std::atomic<std::size_t> slab_bytes_total{0};

// Batches that threads gave up: on overflow, or at their end.
struct depot {
  std::mutex lock;
  batch* batches[class_count] = {};
};
depot& shared_depot() noexcept {
  // Never destroyed: threads may end after static destructors ran. Without memory for these few
  // bytes at the first frame nothing can go on, so the end by noexcept is right.
  static depot* const instance = new depot;  // NOLINT(bugprone-unhandled-exception-at-new)
  return *instance;
}

struct thread_cache {
  free_block* heads[class_count] = {};
  std::uint32_t counts[class_count] = {};
  char* slab = nullptr;
  std::size_t slab_left = 0;

  void give_up_all() noexcept {
    for (std::size_t c = 0; c < class_count; ++c) {
      if (heads[c]) give_up(c, heads[c]);
      heads[c] = nullptr;
    }
  }

  static void give_up(std::size_t c, free_block* head) noexcept {
    auto* made = new (std::nothrow) batch{head, nullptr};
    if (!made) return;  // out of memory: these blocks stay unused until the process ends
    depot& d = shared_depot();
    const std::lock_guard guard(d.lock);
    made->next = d.batches[c];
    d.batches[c] = made;
  }

  void* refill(std::size_t c) {
    depot& d = shared_depot();
    batch* taken = nullptr;
    {
      const std::lock_guard guard(d.lock);
      taken = d.batches[c];
      if (taken) d.batches[c] = taken->next;
    }
    if (taken) {
      free_block* head = taken->head;
      delete taken;
      heads[c] = head->next;
      counts[c] = 0;
      for (free_block* b = head->next; b; b = b->next) ++counts[c];
      return head;
    }
    const std::size_t size = (c + 1) * class_step;
    if (slab_left < size) {
      slab = static_cast<char*>(::operator new(slab_bytes, std::align_val_t{64}));
      slab_left = slab_bytes;
      slab_bytes_total.fetch_add(slab_bytes, std::memory_order_relaxed);
    }
    void* block = slab;
    slab += size;
    slab_left -= size;
    return block;
  }

  void shrink(std::size_t c) noexcept {
    free_block* head = heads[c];
    free_block* last = head;
    for (std::size_t i = 1; i < batch_blocks; ++i) last = last->next;
    heads[c] = last->next;
    last->next = nullptr;
    counts[c] -= static_cast<std::uint32_t>(batch_blocks);
    give_up(c, head);
  }
};

// Trivially destroyed, so that the fast path has no guard; the first refill of a thread registers
// the clean-up.
constinit thread_local thread_cache cache;
struct thread_end {
  bool registered = false;
  ~thread_end() { cache.give_up_all(); }
};
thread_local thread_end at_thread_end;

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_FRAMES_UNPOOLED 1
#endif
#endif

}  // namespace

#ifdef WEIR_FRAMES_UNPOOLED
void* allocate_frame(std::size_t size) { return ::operator new(size); }
void free_frame(void* memory, std::size_t size) noexcept { ::operator delete(memory, size); }
#else
void* allocate_frame(std::size_t size) {
  if (size > frame_size_max) [[unlikely]]
    return ::operator new(size);
  const std::size_t c = (size - 1) / class_step;
  thread_cache& mine = cache;
  if (free_block* block = mine.heads[c]) [[likely]] {
    mine.heads[c] = block->next;
    --mine.counts[c];
    return block;
  }
  at_thread_end.registered = true;
  return mine.refill(c);
}

void free_frame(void* memory, std::size_t size) noexcept {
  if (size > frame_size_max) [[unlikely]]
    return ::operator delete(memory, size);
  const std::size_t c = (size - 1) / class_step;
  thread_cache& mine = cache;
  auto* block = static_cast<free_block*>(memory);
  block->next = mine.heads[c];
  mine.heads[c] = block;
  if (++mine.counts[c] > frame_cached_max) [[unlikely]]
    mine.shrink(c);
}
#endif

frame_pool_stats frame_pool_statistics() noexcept {
  return {slab_bytes_total.load(std::memory_order_relaxed)};
}

}  // namespace weir::detail
