// Stacks that one thread switches between, so that code which knows nothing of being tested can be
// stopped in the middle of a function. The hard idea: a fibre is never ended, only left for good or
// used again, since a stack that is thrown away in the middle could run no destructors anyway.
#pragma once

#include <setjmp.h>
#include <ucontext.h>

#include <cstddef>
#include <memory>

namespace weir::model::detail {

/// A stack and where it was left.
class fibre {
 public:
  static constexpr std::size_t stack_size = std::size_t{128} * 1024;

  /// The stack that is running.
  fibre() = default;
  /// A new one; `entry` begins at the first switch to it and never returns.
  fibre(void (*entry)(void*), void* argument);
  fibre(const fibre&) = delete;
  fibre& operator=(const fibre&) = delete;
  ~fibre() = default;

  /// Leaves this one, the running one, and goes on with `target`.
  void switch_to(fibre& target) noexcept;

 private:
  static void begin() noexcept;

  ucontext_t context_{};                 // where a new one begins
  [[maybe_unused]] jmp_buf place_ = {};  // where it was left; AddressSanitizer uses the context
  bool has_begun_ = true;
  std::unique_ptr<unsigned char[]> stack_;
  void (*entry_)(void*) = nullptr;
  void* argument_ = nullptr;
  // What AddressSanitizer has to be told.
  [[maybe_unused]] void* shadow_ = nullptr;
  [[maybe_unused]] const void* bottom_ = nullptr;
  [[maybe_unused]] std::size_t size_ = 0;
};

}  // namespace weir::model::detail
