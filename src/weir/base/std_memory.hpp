// The memory that lock-free parts of weir run on: std's atomics and fences. The hard idea: such a
// part takes its memory as a parameter, so that tests can give it one in which every interleaving
// and everything that C++ lets a thread read is tried (testing/model_atomic.hpp). It is the same
// source, and with this default the same instructions as without the parameter.
#pragma once

#include <atomic>

namespace weir {

struct std_memory {
  template <class T>
  using atomic = std::atomic<T>;
  static void fence(std::memory_order order) noexcept { std::atomic_thread_fence(order); }
};

}  // namespace weir
