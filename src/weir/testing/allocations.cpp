#include <weir/testing/allocations.hpp>

#include <weir/base/assert.hpp>
#include <weir/base/program_here.hpp>

#include <execinfo.h>
#include <fmt/format.h>

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <span>

namespace weir::testing {

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

// One more is asked for. False: it fails.
bool hear() noexcept {
  ++here.count;
  if (here.left == 0) return true;
  if (here.whose == allocating::program && !weir::detail::program_here) return true;
  if (--here.left != 0) return true;
  here.has_struck = true;
  here.place_depth = ::backtrace(here.place, place_depth_max);
  return false;
}

}  // namespace

bool are_allocations_ours() noexcept {
#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
  return false;
#endif
#endif
  return true;
}

std::uint64_t allocations() noexcept {
  weir::detail::set_heap_listener(&hear);
  return here.count;
}

failing_allocation::failing_allocation(std::uint64_t nth, allocating whose) noexcept
    : frames_(&weir::detail::ask_for_frame) {
  WEIR_ASSERT(here.left == 0 && "one at a time");
  weir::detail::set_heap_listener(&hear);
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

}  // namespace weir::testing
