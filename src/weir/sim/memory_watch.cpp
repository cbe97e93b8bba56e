#include <weir/sim/memory_watch.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/hash.hpp>
#include <weir/base/program_here.hpp>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <span>
#include <utility>

namespace weir {

namespace {

using detail::memory_account;

struct known_block {
  const void* at = nullptr;  // null: none
  memory_account* owner = nullptr;
  std::size_t size = 0;
  bool is_large = false;
};

void give_back(const known_block& one) noexcept {
  memory_account& owner = *one.owner;
  owner.bytes -= std::min<std::uint64_t>(owner.bytes, one.size);
  if (one.is_large) owner.large_bytes -= std::min<std::uint64_t>(owner.large_bytes, one.size);
}

// The blocks of programs, by their addresses: open addressing, at most half full, without
// tombstones. Its own memory comes from malloc(), so it may be asked by operator new.
class block_table {
 public:
  // True: there is room for one more.
  bool prepare() noexcept {
    if (2 * (count_ + 1) <= capacity_) return true;
    const std::size_t capacity = capacity_ == 0 ? capacity_first : 2 * capacity_;
    auto* const fresh = static_cast<known_block*>(std::calloc(capacity, sizeof(known_block)));
    if (!fresh) return false;
    const std::span<known_block> before(std::exchange(blocks_, fresh), capacity_);
    capacity_ = capacity;
    for (const known_block& one : before) {
      if (one.at) blocks_[place_of(one.at)] = one;
    }
    std::free(before.data());
    return true;
  }

  // An address that is known already was given back where nobody looked.
  void add(const known_block& fresh) noexcept {
    known_block& place = blocks_[place_of(fresh.at)];
    if (place.at) {
      give_back(place);
    } else {
      ++count_;
    }
    place = fresh;
  }

  void remove(const void* at) noexcept {
    if (count_ == 0 || !at) return;
    const std::size_t place = place_of(at);
    if (!blocks_[place].at) return;
    give_back(blocks_[place]);
    empty(place);
  }

  void forget(const memory_account* owner) noexcept {
    for (std::size_t i = 0; i < capacity_;) {
      if (blocks_[i].owner == owner) {
        empty(i);  // another one may stand there now
      } else {
        ++i;
      }
    }
    if (count_ != 0) return;
    std::free(std::exchange(blocks_, nullptr));
    capacity_ = 0;
  }

 private:
  static constexpr std::size_t capacity_first = 1'024;

  std::size_t home_of(const void* at) const noexcept {
    return mix(reinterpret_cast<std::uintptr_t>(at)) & (capacity_ - 1);
  }
  // Where it is, or where it would go.
  std::size_t place_of(const void* at) const noexcept {
    std::size_t i = home_of(at);
    while (blocks_[i].at && blocks_[i].at != at) i = (i + 1) & (capacity_ - 1);
    return i;
  }
  // Those behind it move up, each no further than to its home.
  void empty(std::size_t hole) noexcept {
    const std::size_t mask = capacity_ - 1;
    for (std::size_t i = (hole + 1) & mask; blocks_[i].at; i = (i + 1) & mask) {
      const std::size_t from_home = (i - home_of(blocks_[i].at)) & mask;
      if (from_home < ((i - hole) & mask)) continue;
      blocks_[hole] = blocks_[i];
      hole = i;
    }
    blocks_[hole] = {};
    --count_;
  }

  known_block* blocks_ = nullptr;
  std::size_t capacity_ = 0;
  std::size_t count_ = 0;
};

struct watched_heap {
  bool is_heard = false;  // somebody watches or listens
  std::uint32_t watches = 0;
  detail::heap_listener listener = nullptr;
  block_table blocks;

  void look() noexcept { is_heard = watches != 0 || listener; }
};
constinit thread_local watched_heap heap_here;

memory_account* account_here() noexcept {
  const auto* program = detail::program_here;
  return program ? static_cast<memory_account*>(program->memory) : nullptr;
}

bool must_fail(memory_account& by, std::size_t size, bool is_large) noexcept {
  if (size > by.bytes_max - std::min(by.bytes, by.bytes_max)) return true;
  if (!is_large) return false;
  ++by.large_requests;
  if (by.large_left != 0 && --by.large_left == 0) return true;
  return size > by.large_bytes_max - std::min(by.large_bytes, by.large_bytes_max);
}

bool is_refused(memory_account* by, std::size_t size, bool is_large) noexcept {
  if (heap_here.listener && !heap_here.listener()) return true;
  if (!by || !must_fail(*by, size, is_large)) return false;
  ++by->refused;
  return true;
}

void take(memory_account& by, std::size_t size, bool is_large) noexcept {
  by.bytes += size;
  by.bytes_highest = std::max(by.bytes_highest, by.bytes);
  if (is_large) by.large_bytes += size;
}

void* allocate_plainly(std::size_t size) noexcept { return std::malloc(size == 0 ? 1 : size); }

void* allocate_heard(std::size_t size) noexcept {
  memory_account* const by = account_here();
  const bool is_large = size >= memory_watch::large_min && !detail::is_frame_asked_for();
  if (is_refused(by, size, is_large) || (by && !heap_here.blocks.prepare())) return nullptr;
  void* const memory = allocate_plainly(size);
  if (!memory || !by) return memory;
  heap_here.blocks.add({.at = memory, .owner = by, .size = size, .is_large = is_large});
  take(*by, size, is_large);
  return memory;
}

// As the standard wants it: a handler may find memory, or throw.
void* allocate_or_throw(std::size_t size) {
  if (heap_here.is_heard) [[unlikely]] {
    if (void* const memory = allocate_heard(size)) return memory;
    throw std::bad_alloc();
  }
  for (;;) {
    if (void* const memory = allocate_plainly(size)) [[likely]]
      return memory;
    const std::new_handler handler = std::get_new_handler();
    if (!handler) throw std::bad_alloc();
    handler();
  }
}

void* allocate(std::size_t size) noexcept {
  try {
    return allocate_or_throw(size);
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

void give_back(void* memory) noexcept {
  if (heap_here.is_heard) [[unlikely]]
    heap_here.blocks.remove(memory);
  std::free(memory);
}

}  // namespace

void detail::set_heap_listener(heap_listener asked) noexcept {
  heap_here.listener = asked;
  heap_here.look();
}

// Frames belong to the program that runs when they are made and freed.
void detail::ask_for_frame(std::ptrdiff_t bytes) {
  memory_account* const by = account_here();
  if (bytes < 0) {
    const auto size = static_cast<std::uint64_t>(-bytes);
    if (by) by->bytes -= std::min(by->bytes, size);  // made before it was counted
    return;
  }
  const auto size = static_cast<std::size_t>(bytes);
  if (is_refused(by, size, false)) throw std::bad_alloc();
  if (by) take(*by, size, false);
}

memory_watch::memory_watch(virtual_world& of, std::uint64_t bytes_max) noexcept
    : frames_(&detail::ask_for_frame), world_(of), account_{.bytes_max = bytes_max} {
  WEIR_ASSERT(!of.program().memory && "one counts");
  of.program().memory = &account_;
  ++heap_here.watches;
  heap_here.look();
}

memory_watch::~memory_watch() {
  world_.program().memory = nullptr;
  heap_here.blocks.forget(&account_);
  --heap_here.watches;
  heap_here.look();
}

}  // namespace weir

void* operator new(std::size_t size) { return weir::allocate_or_throw(size); }
void* operator new[](std::size_t size) { return weir::allocate_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return weir::allocate(size);
}
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept {
  return weir::allocate(size);
}
void operator delete(void* memory) noexcept { weir::give_back(memory); }
void operator delete[](void* memory) noexcept { weir::give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { weir::give_back(memory); }
void operator delete[](void* memory, std::size_t) noexcept { weir::give_back(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { weir::give_back(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { weir::give_back(memory); }
