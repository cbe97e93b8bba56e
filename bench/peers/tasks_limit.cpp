// The limit for tasks_bench: coroutines with nothing around them. No scope, no errors, no
// cancellation, no registry: a queue of handles and a free list of frames.
#include "../measure.hpp"

#include <coroutine>
#include <cstdint>
#include <exception>
#include <utility>
#include <vector>

namespace {

constexpr std::size_t frame_bytes_max = 256;

struct free_frame {
  free_frame* next;
};
free_frame* free_frames = nullptr;
char* slab = nullptr;
std::size_t slab_left = 0;

void* take_frame(std::size_t size) {
  if (size > frame_bytes_max) return ::operator new(size);
  if (free_frame* frame = free_frames) {
    free_frames = frame->next;
    return frame;
  }
  constexpr std::size_t block = 128;
  if (size > block) std::terminate();
  if (slab_left < block) {
    slab_left = 64 * 1024;
    slab = static_cast<char*>(::operator new(slab_left));
  }
  slab_left -= block;
  return std::exchange(slab, slab + block);
}

// Frames of one size class only: every coroutine below fits in it, but the drivers of a row, which
// are started once.
void* allocate(std::size_t size) { return size <= 128 ? take_frame(size) : ::operator new(size); }
void release(void* memory, std::size_t size) {
  if (size > 128) return ::operator delete(memory, size);
  free_frames = new (memory) free_frame{free_frames};
}

struct ready_queue {
  std::vector<std::coroutine_handle<>> ring{std::vector<std::coroutine_handle<>>(1 << 20)};
  std::size_t head = 0;
  std::size_t tail = 0;

  void push(std::coroutine_handle<> one) { ring[tail++ & (ring.size() - 1)] = one; }
  void run() {
    while (head != tail) ring[head++ & (ring.size() - 1)].resume();
  }
};
ready_queue ready;

template <class T>
struct basic_promise {
  std::coroutine_handle<> continuation = std::noop_coroutine();
  T value{};

  static void* operator new(std::size_t size) { return allocate(size); }
  static void operator delete(void* memory, std::size_t size) { release(memory, size); }
  std::suspend_always initial_suspend() noexcept { return {}; }
  struct final_awaiter {
    bool await_ready() noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> ended) noexcept {
      return ended.promise().continuation;
    }
    void await_resume() noexcept {}
  };
  final_awaiter final_suspend() noexcept { return {}; }
  void unhandled_exception() noexcept { std::terminate(); }
  void return_value(T given) noexcept { value = given; }
};

struct plain {
  struct promise_type : basic_promise<std::uint64_t> {
    plain get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
  };
  std::coroutine_handle<promise_type> handle;

  plain(std::coroutine_handle<promise_type> h) : handle(h) {}
  plain(plain&& other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  ~plain() {
    if (handle) handle.destroy();
  }
  bool await_ready() const noexcept { return false; }
  std::coroutine_handle<> await_suspend(std::coroutine_handle<> above) noexcept {
    handle.promise().continuation = above;
    return handle;
  }
  std::uint64_t await_resume() noexcept { return handle.promise().value; }
};

// A plain coroutine that was put into the queue; awaiting it waits for its end.
struct queued {
  plain body;
  explicit queued(plain started) : body(std::move(started)) { ready.push(body.handle); }
  bool await_ready() const noexcept { return body.handle.done(); }
  void await_suspend(std::coroutine_handle<> above) noexcept {
    body.handle.promise().continuation = above;
  }
  std::uint64_t await_resume() noexcept { return body.handle.promise().value; }
};

// A coroutine that nobody awaits: it goes when it ends.
struct detached {
  struct promise_type {
    static void* operator new(std::size_t size) { return allocate(size); }
    static void operator delete(void* memory, std::size_t size) { release(memory, size); }
    detached get_return_object() {
      ready.push(std::coroutine_handle<promise_type>::from_promise(*this));
      return {};
    }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void unhandled_exception() noexcept { std::terminate(); }
    void return_void() noexcept {}
  };
};

struct turn {
  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> me) noexcept { ready.push(me); }
  void await_resume() const noexcept {}
};

[[gnu::noinline]] plain number(std::uint64_t n) { co_return n; }
[[gnu::noinline]] detached add_one(std::uint64_t* sum) {
  ++*sum;
  co_return;
}

plain call_and_await(std::int64_t count) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) sum += co_await number(static_cast<std::uint64_t>(i));
  co_return sum;
}

plain spawn_and_await(std::int64_t count) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i)
    sum += co_await queued(number(static_cast<std::uint64_t>(i)));
  co_return sum;
}

detached take_turns(std::int64_t count, std::uint64_t* turns) {
  for (std::int64_t i = 0; i < count; ++i) {
    co_await turn();
    ++*turns;
  }
}

std::uint64_t run_body(plain body) {
  ready.push(body.handle);
  ready.run();
  return body.await_resume();
}

std::uint64_t spawn_many(std::int64_t count) {
  std::uint64_t sum = 0;
  for (std::int64_t i = 0; i < count; ++i) add_one(&sum);
  ready.run();
  return sum;
}

std::uint64_t yield_between_two(std::int64_t count) {
  std::uint64_t turns = 0;
  take_turns(count / 2, &turns);
  take_turns(count / 2, &turns);
  ready.run();
  return turns;
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t scale = bench::is_small(argc, argv) ? 1000 : 1;
  bench::measure("call_await", 10'000'000 / scale,
                 [](std::int64_t n) { return run_body(call_and_await(n)); });
  bench::measure("spawn_await", 2'000'000 / scale,
                 [](std::int64_t n) { return run_body(spawn_and_await(n)); });
  bench::measure("spawn_join/n=1000000", 1'000'000 / scale, spawn_many);
  bench::measure("yield", 8'000'000 / scale, yield_between_two);
}
