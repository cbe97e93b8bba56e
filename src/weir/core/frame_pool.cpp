#include <weir/core/frame_pool.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/intrusive.hpp>
#include <weir/core/detail/frames_watched.hpp>

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>
#include <mutex>
#include <new>
#include <utility>

namespace weir::detail {

namespace {

constexpr std::size_t class_step = frame_class_step;
constexpr std::size_t class_count = frame_class_count;
using free_block = free_frame_block;
constexpr std::size_t batch_blocks = frame_cached_max / 2;
constexpr std::size_t page_bytes = 16 * 1024;
constexpr std::size_t slab_bytes = 2 * 1024 * 1024;
constexpr std::size_t slab_pages = slab_bytes / page_bytes;
// No more of a page that begins is written than is soon asked for: a small program has few frames
// of each size.
constexpr std::size_t first_bytes = 4096;

constexpr std::size_t block_bytes(std::size_t c) noexcept { return (c + 1) * class_step; }

std::atomic<std::size_t> used_bytes{0};   // of pages that ever had a size, and of the notes
std::atomic<std::size_t> sized_bytes{0};  // of pages that have one

/// What the depot knows of a page, whose blocks are of one size. It lies at the beginning of the
/// slab and not in the page: such places are all alike to a cache, which keeps few of them.
struct frame_page : list_hook<> {
  std::uint32_t per_byte;  // blocks, in 2^26ths, and a bit more than that: so offsets are divided
  std::uint16_t size;      // in blocks
  std::uint16_t free_count;
  std::uint64_t free[page_bytes / class_step / 64];  // a bit for each block

  static frame_page& of(const void* block) noexcept {
    const auto at = reinterpret_cast<std::uintptr_t>(block);
    return reinterpret_cast<frame_page*>(at & ~(slab_bytes - 1))[at % slab_bytes / page_bytes];
  }
  char* memory() noexcept {
    const auto at = reinterpret_cast<std::uintptr_t>(this);
    char* const slab = reinterpret_cast<char*>(at & ~(slab_bytes - 1));
    return slab + at % slab_bytes / sizeof(frame_page) * page_bytes;
  }

  void begin(std::size_t c) noexcept {
    per_byte = static_cast<std::uint32_t>(((1U << 26) - 1) / block_bytes(c) + 1);
    size = static_cast<std::uint16_t>(page_bytes / block_bytes(c));
    free_count = size;
    for (std::uint64_t& word : free) word = 0;
    for (std::size_t i = 0; i < size; ++i) set(i);
  }
  void set(std::size_t number) noexcept {
    const std::uint64_t bit = std::uint64_t{1} << (number % 64);
    WEIR_ASSERT((free[number / 64] & bit) == 0 && "a frame is freed once");
    free[number / 64] |= bit;
  }
  std::size_t number_of(const void* block) const noexcept {
    return (reinterpret_cast<std::uintptr_t>(block) % page_bytes * per_byte) >> 26;
  }
  /// Up to `wanted` blocks of `bytes` in the order of their addresses, linked behind `last`; how
  /// many.
  std::size_t take(std::size_t wanted, std::size_t bytes, free_block**& last) noexcept {
    const std::size_t taken = std::min<std::size_t>(wanted, free_count);
    char* at = memory();
    std::size_t left = taken;
    for (std::size_t w = 0; left != 0; ++w, at += 64 * bytes) {
      std::uint64_t word = free[w];
      for (; word != 0 && left != 0; --left, word &= word - 1) {
        auto* block = reinterpret_cast<free_block*>(at + std::countr_zero(word) * bytes);
        *last = block;
        last = &block->next;
      }
      free[w] = word;
    }
    free_count = static_cast<std::uint16_t>(free_count - taken);
    return taken;
  }
};
constexpr std::size_t pages_of_notes =
    (slab_pages * sizeof(frame_page) + page_bytes - 1) / page_bytes;  // at a slab's beginning

/// Null when the system has no more.
char* map_slab() noexcept {
  const auto map = [](std::size_t size) noexcept {
    void* const got =
        ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return got == MAP_FAILED ? nullptr : static_cast<char*>(got);
  };
  char* got = map(slab_bytes);
  const auto misplaced = [&] { return reinterpret_cast<std::uintptr_t>(got) % slab_bytes; };
  if (misplaced() == 0) return got;  // or null
  ::munmap(got, slab_bytes);
  got = map(2 * slab_bytes);
  if (!got) return nullptr;
  const std::size_t before = slab_bytes - misplaced();
  ::munmap(got, before);
  if (before != slab_bytes) ::munmap(got + before + slab_bytes, slab_bytes - before);
  return got + before;
}

/// Whether the first blocks of a batch lie near each other: then most do, since who ended in order
/// before them did so, too.
bool is_in_order(const free_block* batch) noexcept {
  constexpr int looks = 8;
  int far_apart = 0;
  for (int i = 0; i < looks; ++i, batch = batch->next) {
    const auto here = reinterpret_cast<std::uintptr_t>(batch);
    const auto next = reinterpret_cast<std::uintptr_t>(batch->next);
    if (std::max(here, next) - std::min(here, next) > page_bytes) ++far_apart;
  }
  return far_apart <= looks / 4;
}

// What threads gave up: on overflow, or at their end. Blocks that were freed in the order in which
// they lie stay together, and of their size. Others go back to their pages, one by one, and are
// handed out again in the order of their addresses: a task that is made after another lies beside
// it for as long as the program runs, and who walks through a million of them meets the cache.
struct depot {
  std::mutex lock;
  free_block* batches[class_count] = {};
  // First in, first out: who waited longest has the most back.
  intrusive_list<frame_page> with_free[class_count];
  // Of which all is free, for any class. Last in, first out: its blocks may lie in the cache yet.
  intrusive_list<frame_page> unused;
  char* slab = nullptr;
  std::size_t next_page = slab_pages;  // of the slab, which nobody has had
  std::size_t slab_count = 0;

  /// A whole batch of class c.
  void give_batch(std::size_t c, free_block* batch) noexcept {
    if (!is_in_order(batch)) return give_each(c, batch);
    const std::lock_guard guard(lock);
    batch->next_batch = batches[c];
    batches[c] = batch;
  }

  /// At most a batch.
  void give_each(std::size_t c, free_block* list) noexcept {
    free_block* blocks[batch_blocks];  // from here to there in the cache: others wait for the lock
    std::size_t count = 0;
    for (; list; list = list->next) blocks[count++] = list;
    const std::lock_guard guard(lock);
    for (std::size_t i = 0; i < count; ++i) {
      frame_page& to = frame_page::of(blocks[i]);
      to.set(to.number_of(blocks[i]));
      if (to.free_count++ == 0) with_free[c].push_back(to);
      if (to.free_count != to.size) continue;
      with_free[c].erase(to);
      unused.push_front(to);
      sized_bytes.fetch_sub(page_bytes, std::memory_order_relaxed);
    }
  }

  /// A list of at least one block and at most a batch; throws std::bad_alloc.
  free_block* take(std::size_t c, std::size_t& taken) {
    const std::lock_guard guard(lock);
    if (free_block* const whole = batches[c]) {
      batches[c] = whole->next_batch;
      taken = batch_blocks;
      return whole;
    }
    free_block* batch = nullptr;
    free_block** last = &batch;
    taken = 0;
    intrusive_list<frame_page>& list = with_free[c];
    std::size_t wanted = batch_blocks;
    if (list.is_empty()) {
      list.push_back(a_page_for(c));
      wanted = std::max<std::size_t>(first_bytes / block_bytes(c), 1);
    }
    while (!list.is_empty() && taken != wanted) {
      frame_page& from = list.front();
      taken += from.take(wanted - taken, block_bytes(c), last);
      if (from.free_count == 0) list.erase(from);
    }
    *last = nullptr;
    return batch;
  }

 private:
  frame_page& a_page_for(std::size_t c) {
    frame_page& one = unused.is_empty() ? fresh_page() : unused.pop_front();
    one.begin(c);
    sized_bytes.fetch_add(page_bytes, std::memory_order_relaxed);
    return one;
  }

  frame_page& fresh_page() {
    if (next_page == slab_pages) take_slab();
    used_bytes.fetch_add(page_bytes, std::memory_order_relaxed);
    return *::new (static_cast<void*>(slab + next_page++ * sizeof(frame_page))) frame_page;
  }

  void take_slab() {
    // A program with many frames gets huge pages where the system has them: among a million frames
    // nearly each access would miss the table of pages, too. A small one does not pay for them.
    constexpr std::size_t small_slabs = 4;
    char* const got = map_slab();
    if (!got) throw std::bad_alloc();
    ::madvise(got, slab_bytes, slab_count < small_slabs ? MADV_NOHUGEPAGE : MADV_HUGEPAGE);
    slab = got;
    ++slab_count;
    next_page = pages_of_notes;
    used_bytes.fetch_add(pages_of_notes * page_bytes, std::memory_order_relaxed);
  }
};
depot& shared_depot() noexcept {
  // Never destroyed: threads may end after static destructors ran.
  alignas(depot) static std::byte memory[sizeof(depot)];
  static depot* const instance = new (memory) depot;
  return *instance;
}

void give_up_all() noexcept {
  for (std::size_t c = 0; c < class_count; ++c) {
    frame_magazine& m = frame_magazines[c];
    if (m.loose) shared_depot().give_each(c, m.loose);
    if (m.whole) shared_depot().give_each(c, m.whole);
    m = {};
  }
}

// The first refill of a thread, or its first free, registers the clean-up.
struct thread_end {
  bool registered = false;
  ~thread_end() { give_up_all(); }
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

free_block* pop(frame_magazine& m) noexcept {
  --m.loose_count;
  return std::exchange(m.loose, m.loose->next);
}

void refill(frame_magazine& m, std::size_t c) {
  if (m.whole) {
    m.loose = std::exchange(m.whole, nullptr);
    m.loose_count = batch_blocks;
  } else {
    m.loose = shared_depot().take(c, m.loose_count);
  }
}

// Before a block joins a full loose list. A thread that swings around the edge of a batch does not
// meet the depot at each turn.
void rotate(frame_magazine& m, std::size_t c) noexcept {
  if (m.whole) shared_depot().give_batch(c, m.whole);
  m.whole = std::exchange(m.loose, nullptr);
  m.loose_count = 0;
}

void* take_from_pool(std::size_t c) {
  at_thread_end.registered = true;
  frame_magazine& m = frame_magazines[c];
  if (!m.loose)
    refill(m, c);  // code that was built with AddressSanitizer comes here for every block
  return pop(m);
}
void give_to_pool(std::size_t c, void* memory) noexcept {
  at_thread_end.registered = true;
  frame_magazine& m = frame_magazines[c];
  if (m.loose_count == batch_blocks) rotate(m, c);
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
  return {.slab_bytes = used_bytes.load(std::memory_order_relaxed),
          .sized_bytes = sized_bytes.load(std::memory_order_relaxed)};
}

}  // namespace weir::detail
