// generator<T>: a coroutine that gives many values, one for each next(), and may wait between them.
// The hard idea: it runs inside the task that asks, as a callee does, so a slow consumer holds it
// back by itself, and scopes, deadlines and the async stack are the consumer's. A yield can't stand
// inside a with_scope body (that body is another coroutine), so no scope is ever left open between
// two values.
//
//   created -> asked -> runs -> yields -> asked -> ... -> ended (values are over, or it threw)
//                         \-- cancelled while it waits: its frames end, next() raises `cancelled`
#pragma once

#include <weir/base/result.hpp>
#include <weir/core/as_result.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/task.hpp>
#include <weir/core/wait.hpp>
#include <weir/core/with_scope.hpp>

#include <coroutine>
#include <exception>
#include <optional>
#include <source_location>
#include <utility>

namespace weir {

template <class T>
class generator;

namespace detail {

template <class T>
struct generator_promise final : promise_base {
  static_assert(alignof(T) <= frame_alignment,
                "weir: a generator's values are aligned to at most 16 bytes, as frames are; give "
                "std::unique_ptrs to them");

  // NOLINTNEXTLINE(google-explicit-constructor)
  generator_promise(std::source_location name = std::source_location::current()) noexcept
      : promise_base(name) {}
  generator<T> get_return_object() noexcept;

  /// Hands the value to the one who asked, and stands still until asked again.
  final_awaiter yield_value(T item) noexcept(std::is_nothrow_move_constructible_v<T>) {
    value.emplace(std::move(item));
    is_running = false;
    return {};
  }
  void return_void() noexcept { is_running = false; }
  void unhandled_exception() noexcept {
    fail();
    is_running = false;
  }

  std::optional<T> value;
  bool is_running = false;  // asked, and neither a value nor the end is there yet
};

}  // namespace detail

/// Many values, made one at a time on demand: `while (auto item = co_await lines.next())`.
///
/// Cancel:  a next() that was cancelled before it began has done nothing; one that was cancelled
///          inside the generator's body ended the generator: its locals are destroyed, and later
///          calls raise `cancelled`.
/// Order:   values in the order of their yields; the body runs only during next().
/// Bound:   one frame and at most one value.
/// Errors:  an exception that leaves the body is raised by next() once; after that, as after the
///          last value, next() gives nothing.
/// Threads: one loop; one next() at a time.
template <class T>
class WEIR_TASK_ATTRIBUTES [[nodiscard]] generator {
 public:
  using promise_type = detail::generator_promise<T>;
  using value_type = T;

  generator(generator&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  generator& operator=(generator&& other) noexcept {
    std::swap(handle_, other.handle_);
    return *this;
  }
  ~generator() {
    WEIR_ASSERT((!handle_ || !handle_.promise().is_running) && "a generator outlives its next()");
    if (handle_) handle_.destroy();
  }

  class next_awaiter {
   public:
    static constexpr auto when_cancelled = cancel_safety::as_its_waits;
    using value_type = std::optional<T>;

    explicit next_awaiter(generator& of) noexcept : of_(&of) {}
    next_awaiter(next_awaiter&& other) noexcept : of_(other.of_) {}  // only before it begins
    next_awaiter& operator=(next_awaiter&&) = delete;
    /// Destroyed while the body waits: the consumer was cancelled, and what runs for it ends too.
    ~next_awaiter() {
      if (has_begun_ && of_->handle_ && of_->handle_.promise().is_running) of_->end_cancelled();
    }

    void bind(detail::frame_base& above) noexcept { above_ = &above; }
    bool await_ready() const noexcept { return false; }
    template <class P>
    std::coroutine_handle<> await_suspend(std::coroutine_handle<P>) noexcept {
      detail::task_header& task = *detail::running_task;
      if (task.is_cancelled()) [[unlikely]] {
        task.leaf = reinterpret_cast<std::uintptr_t>(above_);
        return detail::unwind(task);
      }
      if (!of_->handle_ || of_->handle_.done()) {
        if (detail::may_finish_now(task)) [[likely]]
          return detail::handle_of(above_);
        task.leaf = reinterpret_cast<std::uintptr_t>(above_);
        return detail::requeue(task);
      }
      promise_type& body = of_->handle_.promise();
      WEIR_ASSERT(!body.is_running && "one next() of a generator at a time");
      body.parent = reinterpret_cast<std::uintptr_t>(above_);
      body.is_running = has_begun_ = true;
      const auto leaf = reinterpret_cast<std::uintptr_t>(static_cast<detail::frame_base*>(&body));
      if (detail::may_finish_now(task)) [[likely]] {
        detail::running_leaf = leaf;  // (4) of frame.hpp
        return of_->handle_;
      }
      task.leaf = leaf;
      return detail::requeue(task);
    }
    std::optional<T> await_resume() {
      if (!of_->handle_)
        raise(error(errc::cancelled, "the generator was cancelled, or moved away"));
      promise_type& body = of_->handle_.promise();
      if (body.has_failed() && body.failure) [[unlikely]]
        body.rethrow();  // once: it moves the error out
      return std::exchange(body.value, std::nullopt);
    }

   private:
    generator* of_;
    detail::frame_base* above_ = nullptr;
    bool has_begun_ = false;
  };

  /// The next value; nothing after the last one.
  [[nodiscard]] next_awaiter next() noexcept { return next_awaiter(*this); }

 private:
  friend promise_type;
  explicit generator(std::coroutine_handle<promise_type> handle) noexcept : handle_(handle) {}
  void end_cancelled() noexcept { std::exchange(handle_, nullptr).destroy(); }

  std::coroutine_handle<promise_type> handle_;
};

template <class T>
WEIR_CORO_WRAPPER generator<T> detail::generator_promise<T>::get_return_object() noexcept {
  return generator<T>(std::coroutine_handle<generator_promise>::from_promise(*this));
}

namespace detail {
template <class A>
concept next_of_generator = requires {
  typename A::value_type;
} && std::is_same_v<A, typename generator<typename A::value_type::value_type>::next_awaiter>;
}  // namespace detail

/// A next() with its error as a value, or with a time-out: both may end the generator, see its
/// card.
template <detail::next_of_generator Next>
[[nodiscard]] auto as_result(Next next) {
  return as_result(detail::awaited<Next>(std::move(next)));
}
template <detail::next_of_generator Next>
[[nodiscard]] WEIR_CORO_WRAPPER auto with_timeout(duration length, Next next) {
  return with_timeout(length, detail::awaited<Next>(std::move(next)));
}

}  // namespace weir
