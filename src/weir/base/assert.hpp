// Assertions of our own invariants, on in every build: a broken invariant in a program that keeps
// other people's messages must stop it, not spread. The failure hook lets the runtime print the
// task tree before the process ends.
#pragma once

namespace weir::detail {
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line,
                                   const char* function) noexcept;
/// Called once by a failing assertion before the process aborts; null for none. Returns the hook
/// before.
using assertion_hook = void (*)() noexcept;
assertion_hook set_assertion_hook(assertion_hook hook) noexcept;
}  // namespace weir::detail

/// Stops the process with the expression and its place when `condition` is false. Costs one
/// predicted branch.
#define WEIR_ASSERT(condition)                          \
  (__builtin_expect(static_cast<bool>(condition), true) \
       ? static_cast<void>(0)                           \
       : ::weir::detail::assertion_failed(#condition, __FILE__, __LINE__, __func__))
