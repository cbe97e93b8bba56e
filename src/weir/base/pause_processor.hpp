// One pause of a loop that spins.
#pragma once

namespace weir::detail {

/// Tells the processor that it spins: some 45 ns on x86, which its other half may have.
inline void pause_processor() noexcept {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

}  // namespace weir::detail
