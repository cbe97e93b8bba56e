// What a sanitizer must find in a program that is compiled as tests are, by a plugin that takes
// away what can't be reached (tests/shared/trim_coroutines.cpp): one error by its name, behind a
// suspension of a coroutine. ctest asks for the report, the function and the line.
#include <atomic>
#include <coroutine>
#include <cstdio>
#include <limits>
#include <memory>
#include <string_view>
#include <thread>
#include <utility>

namespace {

struct started {
  struct promise_type {
    started get_return_object() {
      return {std::coroutine_handle<promise_type>::from_promise(*this)};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void unhandled_exception() {}
    void return_void() {}
  };
  std::coroutine_handle<promise_type> frame;
};

struct counter {
  int one() { return 1; }  // NOLINT(readability-convert-member-functions-to-static)
};

int* outside = nullptr;
int shared = 0;
alignas(8) std::atomic<bool> changed = false;

void keep_a_local() {
  int local = 3;
  outside = &local;  // NOLINT(clang-analyzer-core.StackAddressEscape)
}

started after_free(const int* freed) {
  co_await std::suspend_always{};
  std::printf("%d\n", *freed);  // planted: heap-use-after-free
}

started after_return() {
  keep_a_local();
  co_await std::suspend_always{};
  std::printf("%d\n", *outside);  // planted: stack-use-after-return
}

started of_nobody(counter* nobody) {
  co_await std::suspend_always{};
  std::printf("%d\n", nobody->one());  // planted: member call on null pointer
}

started overflow(int most) {
  co_await std::suspend_always{};
  std::printf("%d\n", most + 1);  // planted: signed integer overflow
}

// ThreadSanitizer misses two accesses of the same moment, and remembers four of each eight bytes.
// So the second waits for the first, by looks at other bytes which order nothing: relaxed ones.
started race() {
  co_await std::suspend_always{};
  while (!changed.load(std::memory_order_relaxed)) std::this_thread::yield();
  ++shared;  // planted: data race
}

void run(started begun, std::unique_ptr<int> freed) {
  begun.frame.resume();
  freed.reset();
  begun.frame.resume();
}

}  // namespace

int main(int, char** arguments) {
  const std::string_view wanted = arguments[1];
  auto freed = std::make_unique<int>(1);
  const int* seen = freed.get();
  if (wanted == "after_free") run(after_free(seen), std::move(freed));
  if (wanted == "after_return") run(after_return(), std::move(freed));
  if (wanted == "of_nobody") run(of_nobody(nullptr), std::move(freed));
  if (wanted == "overflow") run(overflow(std::numeric_limits<int>::max()), std::move(freed));
  if (wanted == "race") {
    std::thread other([] { run(race(), nullptr); });
    ++shared;
    changed.store(true, std::memory_order_relaxed);
    other.join();
  }
}
