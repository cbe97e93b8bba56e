#include <weir/core/frame_pool.hpp>

#include <weir/core/detail/frames_watched.hpp>

#include <sys/mman.h>

#include <atomic>
#include <cstdint>
#include <mutex>
#include <new>
#include <utility>

namespace weir::detail {

namespace {

constexpr std::size_t class_step = frame_class_step;
constexpr std::size_t class_count = frame_class_count;
using free_block = free_frame_block;
constexpr std::size_t slab_bytes = 64 * 1024;
// A program with many frames takes larger slabs, which the system may back with huge pages: among a
// million frames nearly each access would miss the table of pages, too.
constexpr std::size_t large_slab_bytes = 2 * 1024 * 1024;
constexpr std::size_t small_slabs_total = 8 * 1024 * 1024;
constexpr std::size_t batch_blocks = frame_cached_max / 2;

constexpr std::size_t block_bytes(std::size_t c) noexcept {
  constexpr std::size_t least = (sizeof(free_block) + class_step - 1) / class_step * class_step;
  return (c + 1) * class_step < least ? least : (c + 1) * class_step;
}

std::atomic<std::size_t> slab_bytes_total{0};

/// What a thread had left of its last slab when it ended; the next thread that needs one goes on
/// with it.
struct slab_rest {
  slab_rest* next;
  std::size_t size;
};

// Batches that threads gave up: on overflow, or at their end.
struct depot {
  std::mutex lock;
  free_block* batches[class_count] = {};
  slab_rest* rests = nullptr;

  void give_rest(char* from, std::size_t size) noexcept {
    if (size < sizeof(slab_rest)) return;
    const std::lock_guard guard(lock);
    rests = ::new (static_cast<void*>(from)) slab_rest{rests, size};
  }
  slab_rest* take_rest() noexcept {
    const std::lock_guard guard(lock);
    slab_rest* rest = rests;
    if (rest) rests = rest->next;
    return rest;
  }

  void give(std::size_t c, free_block* head, std::size_t size) noexcept {
    const std::lock_guard guard(lock);
    head->batch_size = size;
    head->next_batch = batches[c];
    batches[c] = head;
  }
  free_block* take(std::size_t c) noexcept {
    const std::lock_guard guard(lock);
    free_block* head = batches[c];
    if (head) batches[c] = head->next_batch;
    return head;
  }
};
depot& shared_depot() noexcept {
  // Never destroyed: threads may end after static destructors ran.
  alignas(depot) static std::byte memory[sizeof(depot)];
  static depot* const instance = new (memory) depot;
  return *instance;
}

// The rest of a thread's memory, beside its magazines. Neither overflow nor refill ever walks a
// list, and a thread that swings around the edge of a batch does not meet the depot at each turn.
struct thread_cache {
  char* slab = nullptr;
  std::size_t slab_left = 0;

  void give_up_all() noexcept {
    for (std::size_t c = 0; c < class_count; ++c) {
      frame_magazine& m = frame_magazines[c];
      if (m.loose) shared_depot().give(c, m.loose, m.loose_count);
      if (m.whole) shared_depot().give(c, m.whole, batch_blocks);
      m = {};
    }
    shared_depot().give_rest(std::exchange(slab, nullptr), std::exchange(slab_left, 0));
  }

  void* refill(std::size_t c) {
    frame_magazine& m = frame_magazines[c];
    if (m.whole) {
      m.loose = std::exchange(m.whole, nullptr);
      m.loose_count = batch_blocks;
    } else if (free_block* batch = shared_depot().take(c)) {
      m.loose = batch;
      m.loose_count = batch->batch_size;
    } else {
      m.loose_count = 0;
      return carve(block_bytes(c));
    }
    return pop(c);
  }
  void* pop(std::size_t c) noexcept {
    frame_magazine& m = frame_magazines[c];
    free_block* block = m.loose;
    m.loose = block->next;
    --m.loose_count;
    return block;
  }

  void take_slab(std::size_t needed) {
    if (slab_rest* rest = shared_depot().take_rest()) {
      slab_left = rest->size;
      slab = reinterpret_cast<char*>(rest);
      if (slab_left >= needed) return;  // else it is too small for anybody: at most 2 KiB
    }
    const bool is_large = slab_bytes_total.load(std::memory_order_relaxed) >= small_slabs_total;
    const std::size_t size = is_large ? large_slab_bytes : slab_bytes;
    const std::size_t alignment = is_large ? large_slab_bytes : 64;
    slab = static_cast<char*>(::operator new(size, std::align_val_t{alignment}));
    slab_left = size;
    slab_bytes_total.fetch_add(size, std::memory_order_relaxed);
    if (is_large) ::madvise(slab, size, MADV_HUGEPAGE);  // a wish: without it, small pages
  }

  void* carve(std::size_t size) {
    if (slab_left < size) take_slab(size);
    slab_left -= size;
    return std::exchange(slab, slab + size);
  }

  // Before a block joins a full loose list.
  void rotate(std::size_t c) noexcept {
    frame_magazine& m = frame_magazines[c];
    if (m.whole) shared_depot().give(c, m.whole, batch_blocks);
    m.whole = std::exchange(m.loose, nullptr);
    m.loose_count = 0;
  }
};

// Trivially destroyed, so that the fast path has no guard; the first refill of a thread, or its
// first free, registers the clean-up.
constinit thread_local thread_cache cache;
struct thread_end {
  bool registered = false;
  ~thread_end() { cache.give_up_all(); }
};
thread_local thread_end at_thread_end;

}  // namespace

constinit thread_local frame_magazine frame_magazines[frame_class_count];

namespace {

constinit thread_local bool asks_for_frame = false;

void* take_from_heap(std::size_t size) {
  struct mark {
    mark() noexcept { asks_for_frame = true; }
    mark(const mark&) = delete;
    mark& operator=(const mark&) = delete;
    ~mark() { asks_for_frame = false; }
  } const while_asked;
  return ::operator new(size);
}

}  // namespace

bool is_frame_asked_for() noexcept { return asks_for_frame; }

#ifdef WEIR_FRAMES_UNPOOLED
void* allocate_frame_slowly(std::size_t size) { return take_from_heap(size); }
void free_frame_slowly(void* memory, std::size_t size) noexcept { ::operator delete(memory, size); }
frames_watched::frames_watched(listener) noexcept : outer_(nullptr) {}
frames_watched::~frames_watched() = default;
#else
namespace {

// While frames are watched the magazines are here, and those in their place look empty to who takes
// and full to who gives: both come to the slow paths, and the fast ones know of nothing.
constinit thread_local frames_watched::listener watcher = nullptr;
constinit thread_local int watches = 0;  // that have not ended
thread_local frame_magazine put_aside[class_count];

class magazine_back {
 public:
  explicit magazine_back(std::size_t c) noexcept : class_(c) { swap(); }
  magazine_back(const magazine_back&) = delete;
  magazine_back& operator=(const magazine_back&) = delete;
  ~magazine_back() { swap(); }

 private:
  void swap() noexcept { std::swap(frame_magazines[class_], put_aside[class_]); }
  std::size_t class_;
};

void* take_from_pool(std::size_t c) {
  at_thread_end.registered = true;
  // Code that was built with AddressSanitizer comes here for every block.
  return frame_magazines[c].loose ? cache.pop(c) : cache.refill(c);
}
void give_to_pool(std::size_t c, void* memory) noexcept {
  at_thread_end.registered = true;
  frame_magazine& m = frame_magazines[c];
  if (m.loose_count == batch_blocks) cache.rotate(c);
  auto* block = static_cast<free_block*>(memory);
  block->next = m.loose;
  m.loose = block;
  ++m.loose_count;
}

void swap_magazines() noexcept {
  for (std::size_t c = 0; c < class_count; ++c) std::swap(frame_magazines[c], put_aside[c]);
}

}  // namespace

frames_watched::frames_watched(listener asked) noexcept : outer_(std::exchange(watcher, asked)) {
  if (watches++ != 0) return;
  for (frame_magazine& one : put_aside) one = {nullptr, nullptr, batch_blocks};
  swap_magazines();
}
frames_watched::~frames_watched() {
  --watches;
  if (outer_) watcher = outer_;  // else it was the first one, which may end before others
  if (watches != 0) return;
  watcher = nullptr;
  swap_magazines();
}

void* allocate_frame_slowly(std::size_t size) {
  if (size > frame_size_max) return take_from_heap(size);
  const std::size_t c = (size - 1) / class_step;
  if (watcher) [[unlikely]] {
    watcher(static_cast<std::ptrdiff_t>(size));
    const magazine_back here(c);
    return take_from_pool(c);
  }
  return take_from_pool(c);
}

void free_frame_slowly(void* memory, std::size_t size) noexcept {
  if (size > frame_size_max) return ::operator delete(memory, size);
  const std::size_t c = (size - 1) / class_step;
  if (watcher) [[unlikely]] {
    {
      const magazine_back here(c);
      give_to_pool(c, memory);
    }
    return watcher(-static_cast<std::ptrdiff_t>(size));
  }
  give_to_pool(c, memory);
}
#endif

frame_pool_stats frame_pool_statistics() noexcept {
  return {slab_bytes_total.load(std::memory_order_relaxed)};
}

}  // namespace weir::detail
