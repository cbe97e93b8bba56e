#include <weir/testing/internal/fibre.hpp>

#include <weir/base/assert.hpp>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define WEIR_FIBRE_IS_WATCHED 1
#include <sanitizer/common_interface_defs.h>
#endif
#endif

#include <cstdlib>
#include <utility>

// swapcontext() makes a system call for the mask of signals, 0.7 us. _longjmp() makes none; but its
// checked form takes a jump to another stack for an error, and AddressSanitizer thinks of ends.
#if !defined(WEIR_FIBRE_IS_WATCHED) && !defined(_FORTIFY_SOURCE)
#define WEIR_FIBRE_JUMPS 1
#endif

namespace weir::model::detail {

namespace {
// The last switch, for the stack that it begins.
thread_local fibre* left = nullptr;
thread_local fibre* entered = nullptr;
}  // namespace

fibre::fibre(void (*entry)(void*), void* argument)
    : stack_(new unsigned char[stack_size]),  // not zeroed: most of it is never touched
      entry_(entry),
      argument_(argument),
      bottom_(stack_.get()),
      size_(stack_size) {
  const int outcome = ::getcontext(&context_);
  WEIR_ASSERT(outcome == 0);
  has_begun_ = false;
  context_.uc_stack.ss_sp = stack_.get();
  context_.uc_stack.ss_size = stack_size;
  context_.uc_link = nullptr;
  ::makecontext(&context_, &fibre::begin, 0);
}

void fibre::switch_to(fibre& target) noexcept {
  left = this;
  entered = &target;
#if defined(WEIR_FIBRE_IS_WATCHED)
  __sanitizer_start_switch_fiber(&shadow_, target.bottom_, target.size_);
#endif
#if defined(WEIR_FIBRE_JUMPS)
  if (_setjmp(place_) == 0) {
    if (std::exchange(target.has_begun_, true)) _longjmp(target.place_, 1);
    ::setcontext(&target.context_);
  }
#else
  ::swapcontext(&context_, &target.context_);
#endif
#if defined(WEIR_FIBRE_IS_WATCHED)
  __sanitizer_finish_switch_fiber(shadow_, nullptr, nullptr);
#endif
}

void fibre::begin() noexcept {
#if defined(WEIR_FIBRE_IS_WATCHED)
  // Tells where the stack is that was left: of the thread's own nobody else knows.
  __sanitizer_finish_switch_fiber(nullptr, &left->bottom_, &left->size_);
#endif
  entered->entry_(entered->argument_);
  std::abort();
}

}  // namespace weir::model::detail
