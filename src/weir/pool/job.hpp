// job<T>: a coroutine that computes, on the threads of a pool. It may await other jobs and forks of
// jobs, and nothing else, which the compiler checks: what waits for the world is a task<T>, and the
// task awaits the pool (pool.hpp). The hard idea: since a job never waits for anything but jobs, a
// thread that meets an unfinished one always has something else to do, and never blocks.
#pragma once

#include <weir/base/assert.hpp>
#include <weir/core/frame_pool.hpp>
#include <weir/core/task.hpp>
#include <weir/pool/detail/job_frame.hpp>

#include <coroutine>
#include <exception>
#include <source_location>
#include <type_traits>
#include <utility>

namespace weir {

template <class T>
class job;
template <class... T>
class fork_awaiter;

namespace detail {

template <class A>
inline constexpr bool is_job = false;
template <class T>
inline constexpr bool is_job<job<T>> = true;
/// What a job may await beside jobs says so: `using awaited_by = job_frame;`.
template <class A>
concept awaited_by_jobs = requires { requires std::is_same_v<typename A::awaited_by, job_frame>; };

struct job_promise_base : job_frame {
  using job_frame::job_frame;

  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* memory, std::size_t size) noexcept { free_frame(memory, size); }

  std::suspend_always initial_suspend() const noexcept { return {}; }
  struct final_awaiter {
    bool await_ready() const noexcept { return false; }
    template <class P>
    [[gnu::always_inline]] std::coroutine_handle<> await_suspend(
        std::coroutine_handle<P> ended) const noexcept {
      return job_ended(ended.promise());
    }
    void await_resume() const noexcept {}
  };
  final_awaiter final_suspend() const noexcept { return {}; }
  void unhandled_exception() noexcept { fail(); }

  template <class A>
  A&& await_transform(A&& awaited) noexcept {
    using plain = std::remove_cvref_t<A>;
    static_assert(is_job<plain> || awaited_by_jobs<plain>,
                  "weir: a job runs on a pool, where nothing can wait: it awaits jobs and forks; "
                  "await other things in the task that awaits the pool");
    static_assert(!is_job<plain> || !std::is_lvalue_reference_v<A>,
                  "weir: a job is awaited once, so it is moved: co_await std::move(j)");
    return static_cast<A&&>(awaited);
  }

  [[noreturn]] void rethrow() {
    WEIR_ASSERT(has_failed());
    std::rethrow_exception(std::move(failure));
  }
};

template <class T>
struct job_promise final : job_promise_base {
  static_assert(alignof(T) <= frame_alignment,
                "weir: a job's value is aligned to at most 16 bytes, as frames are; give a "
                "std::unique_ptr to it");

  // NOLINTNEXTLINE(google-explicit-constructor)
  job_promise(std::source_location name = std::source_location::current()) noexcept
      : job_promise_base(name) {}
  ~job_promise() {
    if constexpr (!std::is_trivially_destructible_v<T>) {
      if (has_value()) stored.~T();
    }
  }
  job<T> get_return_object() noexcept;
  void unhandled_exception() noexcept {
    if constexpr (!std::is_trivially_destructible_v<T>) {
      if (has_value()) stored.~T();  // the destructor of a local threw, after the value was made
    }
    fail();
  }
  template <class U = T>
    requires std::is_constructible_v<T, U&&>
  void return_value(U&& value) noexcept(std::is_nothrow_constructible_v<T, U&&>) {
    ::new (static_cast<void*>(&stored)) T(std::forward<U>(value));
    state |= value_bit;
  }
  T take() {
    if (!has_value()) [[unlikely]]
      rethrow();
    return value();
  }
  T value() { return std::move(stored); }  // of one that has a value

  union {
    T stored;
  };
};

template <>
struct job_promise<void> final : job_promise_base {
  // NOLINTNEXTLINE(google-explicit-constructor)
  job_promise(std::source_location name = std::source_location::current()) noexcept
      : job_promise_base(name) {}
  job<void> get_return_object() noexcept;
  void return_void() noexcept { state |= value_bit; }
  void take() {
    if (!has_value()) [[unlikely]]
      rethrow();
  }
};

}  // namespace detail

/// A computation that has been called but not yet begun.
///
/// Cancel:  when the task that awaits the pool is cancelled, what has not begun never does, and
///          what runs ends at its next await, innermost first.
/// Order:   begins when awaited, forked or run; whoever awaits it goes on after it.
/// Bound:   one frame from the frame pool; nothing else is allocated.
/// Errors:  an exception that leaves the body is thrown by the await.
/// Threads: may go on on another thread of its pool after each await.
template <class T = void>
class WEIR_TASK_ATTRIBUTES [[nodiscard]] job {
 public:
  using promise_type = detail::job_promise<T>;
  using value_type = T;

  job() = default;
  job(job&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  job& operator=(job&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~job() {
    if (handle_) handle_.destroy();
  }

  /// False after it was moved from.
  explicit operator bool() const noexcept { return handle_ != nullptr; }

  struct awaiter {
    static constexpr auto when_cancelled = cancel_safety::point_of_no_return;
    std::coroutine_handle<promise_type> child;

    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P> parent) const noexcept {
      detail::pool_worker& on = *detail::this_worker;
      if (on.is_alarmed()) [[unlikely]] {
        std::coroutine_handle<> next;
        if (detail::heed_alarm(on, parent.promise(), nullptr, next)) return next;
      }
      detail::job_frame& below = child.promise();
      below.give(detail::job_role::called);
      below.caller = &parent.promise();
      return child;
    }
    T await_resume() const { return child.promise().take(); }
  };
  /// Runs it here and now. Awaits once, so only an rvalue can be awaited.
  awaiter operator co_await() && noexcept {
    WEIR_ASSERT(handle_ && "a job is awaited once, and not after it was moved from");
    return awaiter{handle_};
  }

  // For forks and pools, which run it.
  promise_type& promise() const noexcept { return handle_.promise(); }
  detail::job_frame* release() noexcept {
    WEIR_ASSERT(handle_ && "a job is run once, and not after it was moved from");
    return &std::exchange(handle_, nullptr).promise();
  }

 private:
  friend promise_type;
  explicit job(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}

  std::coroutine_handle<promise_type> handle_;
};

template <class T>
WEIR_CORO_WRAPPER job<T> detail::job_promise<T>::get_return_object() noexcept {
  return job<T>(std::coroutine_handle<job_promise>::from_promise(*this));
}
WEIR_CORO_WRAPPER inline job<void> detail::job_promise<void>::get_return_object() noexcept {
  return job<void>(std::coroutine_handle<job_promise>::from_promise(*this));
}

namespace detail {
/// Threads of the pool around the calling job; 1 elsewhere.
unsigned pool_width() noexcept;

template <class F>
job<std::invoke_result_t<F&>> job_of_call(F f) {
  co_return f();
}
}  // namespace detail

/// True when the work around the calling code was cancelled: for long loops of plain functions on a
/// pool, which reach no await. False elsewhere.
bool is_work_cancelled() noexcept;

}  // namespace weir
