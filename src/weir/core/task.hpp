// task<T>: a lazy coroutine that somebody awaits or spawns. The hard idea: a task never runs by
// itself and never outlives the expression that awaits it, so ownership, cancellation and the async
// stack follow the await chain.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/core/cancel_safety.hpp>
#include <weir/core/frame.hpp>
#include <weir/core/frame_pool.hpp>

#include <coroutine>
#include <exception>
#include <source_location>
#include <type_traits>
#include <utility>

// trivial_abi: a task is one pointer, and is passed and returned as one. In memory it would have a
// second place in the frame of whoever calls it, to be looked at once more after the await.
#if defined(__clang__)
#define WEIR_TASK_ATTRIBUTES \
  [[clang::coro_return_type, clang::coro_lifetimebound, clang::trivial_abi]]
/// Marks a function that is no coroutine itself but returns the task of another: clang refuses it
/// without.
#define WEIR_CORO_WRAPPER [[clang::coro_wrapper]]
#else
#define WEIR_TASK_ATTRIBUTES
#define WEIR_CORO_WRAPPER
#endif

namespace weir {

template <class T>
class task;

namespace detail {

/// What an awaitable must offer to know which task awaits it; leaf waits and boundaries do.
template <class A>
concept bindable = requires(A& a, frame_base& f) { a.bind(f); };
template <class A>
concept gives_bindable = requires(A&& a) {
  { static_cast<A&&>(a).operator co_await() } -> bindable;
};

template <class T>
inline constexpr bool is_task = false;
template <class T>
inline constexpr bool is_task<task<T>> = true;

struct promise_base : frame_base {
  using frame_base::frame_base;

  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* memory, std::size_t size) noexcept { free_frame(memory, size); }

  std::suspend_always initial_suspend() const noexcept { return {}; }

  struct final_awaiter {
    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> ended) const noexcept {
      frame_base& frame = ended.promise();
      running_leaf = frame.parent;  // (4) of frame.hpp
      if (frame.parent_is_boundary()) return frame.parent_boundary()->child_done(frame);
      return handle_of(frame.parent_frame());
    }
    void await_resume() const noexcept {}
  };
  final_awaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { fail(); }

  /// Notes the place and tells the awaitable who waits. What can be awaited: tasks, boundaries,
  /// waits, and types whose operator co_await gives one of these; a foreign awaitable would be
  /// invisible and could not be cancelled.
  template <class A>
  decltype(auto) await_transform(
      A&& awaited, std::source_location place = std::source_location::current()) noexcept {
    using plain = std::remove_cvref_t<A>;
    here = place;
    if constexpr (bindable<plain>) {
      tell(awaited);
      return std::forward<A>(awaited);
    } else if constexpr (is_task<plain>) {
      static_assert(!std::is_lvalue_reference_v<A>,
                    "weir: a task is awaited once, so it is moved: co_await std::move(t)");
      return std::forward<A>(awaited);
    } else {
      static_assert(gives_bindable<A>,
                    "weir: this type is not awaitable here; use a task, a wait, or a bridge");
      return bound(std::forward<A>(awaited).operator co_await());
    }
  }

  /// Throws what the coroutine ended with.
  [[noreturn]] void rethrow() {
    WEIR_ASSERT(has_failed());
    WEIR_ASSERT(failure && "the error of a task is raised once: its handle was awaited before");
    std::rethrow_exception(std::move(failure));
  }

 private:
  template <class W>
  void tell(W& awaitable) noexcept {
    static_assert(states_cancel_safety<W>,
                  "weir: an awaitable says what a cancellation leaves of it: static constexpr auto "
                  "when_cancelled = cancel_safety::...");
    awaitable.bind(*this);
  }
  template <class W>
  W bound(W&& made) noexcept {
    tell(made);
    return std::forward<W>(made);
  }
};

template <class T>
struct task_promise final : promise_base {
  static_assert(alignof(T) <= frame_alignment,
                "weir: a task's value is aligned to at most 16 bytes, as frames are; give a "
                "std::unique_ptr to it");

  // NOLINTNEXTLINE(google-explicit-constructor)
  task_promise(std::source_location name = std::source_location::current()) noexcept
      : promise_base(name) {}
  ~task_promise() {
    if constexpr (!std::is_trivially_destructible_v<T>) {
      if (has_value()) stored.~T();
    }
  }
  task<T> get_return_object() noexcept;
  template <class U = T>
    requires std::is_constructible_v<T, U&&>
  void return_value(U&& value) noexcept(std::is_nothrow_constructible_v<T, U&&>) {
    ::new (static_cast<void*>(&stored)) T(std::forward<U>(value));
    parent |= value_bit;
  }
  // Also after the value, from the destructor of a local: then it is the error that is heard.
  void unhandled_exception() noexcept {
    if (has_value()) [[unlikely]] {
      stored.~T();
      parent &= ~value_bit;
    }
    fail();
  }
  T take() {
    if (!has_value()) [[unlikely]]
      rethrow();
    return std::move(stored);
  }

  union {
    T stored;
  };
};

template <>
struct task_promise<void> final : promise_base {
  // NOLINTNEXTLINE(google-explicit-constructor)
  task_promise(std::source_location name = std::source_location::current()) noexcept
      : promise_base(name) {}
  task<void> get_return_object() noexcept;
  void return_void() const noexcept {}
  void take() {
    if (has_failed()) [[unlikely]]
      rethrow();
  }
};

}  // namespace detail

/// An asynchronous function that has been called but not yet started.
///
/// Cancel:  when the scope around it is cancelled, its frames end at their next wait, innermost
///          first.
/// Order:   runs when awaited or spawned, on the loop of whoever does; the awaiter goes on after
///          it.
/// Bound:   one frame from the frame pool; nothing else is allocated.
/// Errors:  an exception that leaves the body is thrown by the await.
/// Threads: one loop; a task that was not started may be moved to another.
template <class T = void>
class WEIR_TASK_ATTRIBUTES [[nodiscard]] task {
 public:
  using promise_type = detail::task_promise<T>;
  using value_type = T;

  task() = default;
  task(task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  task& operator=(task&& other) noexcept {
    if (this != &other) {
      if (handle_) handle_.destroy();
      handle_ = std::exchange(other.handle_, nullptr);
    }
    return *this;
  }
  ~task() {
    if (handle_) handle_.destroy();
  }

  /// False after it was moved from.
  explicit operator bool() const noexcept { return handle_ != nullptr; }

  struct awaiter {
    static constexpr auto when_cancelled = cancel_safety::as_its_waits;
    std::coroutine_handle<promise_type> child;

    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> parent) const noexcept {
      detail::frame_base& above = parent.promise();
      detail::frame_base& below = child.promise();
      WEIR_ASSERT(below.parent == 0 && "a task is awaited once");
      below.parent = reinterpret_cast<std::uintptr_t>(&above);
      detail::running_leaf = reinterpret_cast<std::uintptr_t>(&below);  // (4) of frame.hpp
      return child;
    }
    T await_resume() const { return child.promise().take(); }
  };
  /// Starts the task by symmetric transfer. Awaits once, so only an rvalue can be awaited.
  awaiter operator co_await() && noexcept {
    WEIR_ASSERT(handle_ && "a task is awaited once, and not after it was moved from");
    return awaiter{handle_};
  }

  // For boundaries, which run a task as their body.
  std::coroutine_handle<> begin_under(detail::boundary& above) noexcept {
    WEIR_ASSERT(handle_);
    detail::frame_base& below = handle_.promise();
    below.parent = detail::as_parent(&above);
    detail::running_leaf = reinterpret_cast<std::uintptr_t>(&below);
    return handle_;
  }
  /// Gives the frame away, to a boundary that destroys it.
  detail::frame_base* release() noexcept {
    WEIR_ASSERT(handle_);
    return &std::exchange(handle_, nullptr).promise();
  }
  promise_type& promise() const noexcept { return handle_.promise(); }
  void reset() noexcept {
    if (handle_) std::exchange(handle_, nullptr).destroy();
  }

 private:
  friend promise_type;
  explicit task(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

template <class T>
WEIR_CORO_WRAPPER task<T> detail::task_promise<T>::get_return_object() noexcept {
  return task<T>(std::coroutine_handle<task_promise>::from_promise(*this));
}
WEIR_CORO_WRAPPER inline task<void> detail::task_promise<void>::get_return_object() noexcept {
  return task<void>(std::coroutine_handle<task_promise>::from_promise(*this));
}

}  // namespace weir
