// For tests only: a call that keeps a thread of a pool busy for as long as the test likes.
#pragma once

#include <semaphore>

namespace weir {

/// `co_await blocking(std::ref(busy))` or `co_await cpu.run(std::ref(busy))` in a task of its own;
/// then begun.acquire(), from where on the thread is busy until gate.release().
struct busy_thread {
  std::binary_semaphore begun{0};
  std::binary_semaphore gate{0};

  void operator()() {
    begun.release();
    gate.acquire();
  }
};

}  // namespace weir
