#include <weir/testing/allocations.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/program_here.hpp>

#include <execinfo.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <utility>

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define WEIR_ALLOCATOR_IS_TAKEN 1
#endif
#endif

namespace weir::testing {

// What a program has taken. Blocks that outlive whoever counts keep it.
struct memory_account {
  std::uint64_t bytes = 0;
  std::uint64_t bytes_highest = 0;
  std::uint64_t bytes_max = UINT64_MAX;
  std::uint64_t refused = 0;
  std::uint64_t blocks = 0;
  bool is_watched = true;

  void leave() noexcept {
    if (blocks == 0 && !is_watched) {
      this->~memory_account();
      std::free(this);
    }
  }
};

namespace {

constexpr int place_depth_max = 40;

struct thread_account {
  std::uint64_t count = 0;
  std::uint64_t left = 0;  // until one fails; 0: none does
  allocating whose = allocating::anybody;
  bool has_struck = false;
  int place_depth = 0;
  void* place[place_depth_max] = {};
};
constinit thread_local thread_account here;

memory_account* account_here() noexcept {
  const auto* program = weir::detail::program_here;
  return program ? static_cast<memory_account*>(program->memory) : nullptr;
}

// One more allocation is asked for, of which an account may know.
bool must_fail(memory_account* by, std::size_t size) noexcept {
  ++here.count;
  if (by && size > by->bytes_max - std::min(by->bytes, by->bytes_max)) {
    ++by->refused;
    return true;
  }
  if (here.left == 0) return false;
  if (here.whose == allocating::program && !weir::detail::program_here) return false;
  if (--here.left != 0) return false;
  here.has_struck = true;
  here.place_depth = ::backtrace(here.place, place_depth_max);
  return true;
}

void put(memory_account* by, std::size_t size) noexcept {
  if (!by) return;
  by->bytes += size;
  by->bytes_highest = std::max(by->bytes_highest, by->bytes);
}

// Frames belong to the program that runs when they are made and freed.
void frame_asked(std::ptrdiff_t bytes) {
  memory_account* const by = account_here();
  if (bytes < 0) {
    const auto size = static_cast<std::uint64_t>(-bytes);
    if (by) by->bytes -= std::min(by->bytes, size);  // made before it was counted
    return;
  }
  const auto size = static_cast<std::size_t>(bytes);
  if (must_fail(by, size)) throw std::bad_alloc();
  put(by, size);
}

}  // namespace

bool are_allocations_ours() noexcept {
#ifdef WEIR_ALLOCATOR_IS_TAKEN
  return false;
#else
  return true;
#endif
}

std::uint64_t allocations() noexcept { return here.count; }

failing_allocation::failing_allocation(std::uint64_t nth, allocating whose) noexcept
    : frames_(&frame_asked) {
  WEIR_ASSERT(here.left == 0 && "one at a time");
  ::backtrace(here.place, 1);  // the first call of a process loads a library
  here.place_depth = 0;
  here.has_struck = false;
  here.whose = whose;
  here.left = nth;
}
failing_allocation::~failing_allocation() { here.left = 0; }

bool failing_allocation::has_struck() const noexcept { return here.has_struck; }

std::string failing_allocation::place() {
  const std::unique_ptr<char*, void (*)(void*)> lines(
      ::backtrace_symbols(here.place, here.place_depth), &std::free);
  std::string text;
  if (!lines) return text;
  for (const char* line : std::span(lines.get(), static_cast<std::size_t>(here.place_depth))) {
    text += fmt::format("  {}\n", line);
  }
  return text;
}

void failing_allocation::print_place() noexcept {
  ::backtrace_symbols_fd(here.place, here.place_depth, 2);
}

memory_watch::memory_watch(virtual_world& of, std::uint64_t bytes_max)
    : frames_(&frame_asked), world_(of) {
  WEIR_ASSERT(!of.program().memory && "one counts");
  void* memory = std::malloc(sizeof(memory_account));
  if (!memory) throw std::bad_alloc();
  account_ = new (memory) memory_account{.bytes_max = bytes_max};
  of.program().memory = account_;
}
memory_watch::~memory_watch() {
  world_.program().memory = nullptr;
  account_->is_watched = false;
  account_->leave();
}
std::uint64_t memory_watch::bytes() const noexcept { return account_->bytes; }
std::uint64_t memory_watch::bytes_highest() const noexcept { return account_->bytes_highest; }
std::uint64_t memory_watch::refused() const noexcept { return account_->refused; }

}  // namespace weir::testing

#ifndef WEIR_ALLOCATOR_IS_TAKEN

namespace {

using weir::testing::memory_account;

// Before each block.
struct alignas(std::max_align_t) block_head {
  memory_account* owner = nullptr;
  std::size_t size = 0;
};
static_assert(sizeof(block_head) == __STDCPP_DEFAULT_NEW_ALIGNMENT__);

void* allocate(std::size_t size) noexcept {
  memory_account* const by = weir::testing::account_here();
  if (weir::testing::must_fail(by, size) || size > SIZE_MAX - sizeof(block_head)) return nullptr;
  void* const memory = std::malloc(sizeof(block_head) + size);
  if (!memory) return nullptr;
  weir::testing::put(by, size);
  if (by) ++by->blocks;
  return new (memory) block_head{by, size} + 1;
}
void* allocate_or_throw(std::size_t size) {
  void* const memory = allocate(size);
  if (!memory) throw std::bad_alloc();
  return memory;
}
void give_back(void* memory) noexcept {
  if (!memory) return;
  auto* const head = static_cast<block_head*>(memory) - 1;
  if (memory_account* const owner = head->owner) {
    owner->bytes -= std::min<std::uint64_t>(owner->bytes, head->size);
    --owner->blocks;
    owner->leave();
  }
  std::free(head);
}

}  // namespace

void* operator new(std::size_t size) { return allocate_or_throw(size); }
void* operator new[](std::size_t size) { return allocate_or_throw(size); }
void* operator new(std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void* operator new[](std::size_t size, const std::nothrow_t&) noexcept { return allocate(size); }
void operator delete(void* memory) noexcept { give_back(memory); }
void operator delete[](void* memory) noexcept { give_back(memory); }
void operator delete(void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete[](void* memory, std::size_t) noexcept { give_back(memory); }
void operator delete(void* memory, const std::nothrow_t&) noexcept { give_back(memory); }
void operator delete[](void* memory, const std::nothrow_t&) noexcept { give_back(memory); }

#endif
