// Scopes around a body: with_scope, with_timeout, shield. The body runs in the same task; what it
// spawns are children. The hard idea: the block is left in one place only (scope_frame::finish),
// after the body and every child have ended, and there it is decided what the outcome means: a
// value, one group of errors, an absorbed or a passing cancellation.
#pragma once

#include <weir/base/error.hpp>
#include <weir/core/scope.hpp>

#include <exception>
#include <type_traits>
#include <utility>

namespace weir {

/// How a scope whose body has no value came to its end.
struct scope_end {
  cancel_reason reason{.kind = cancel_kind::none};  // of its own cancellation
  bool has_ended_work = false;  // which ended the body or a task before their own ends

  /// The scope itself was cancelled, by cancel() or its deadline.
  bool is_cancel_called() const noexcept { return reason.kind != cancel_kind::none; }
  /// That ended something inside. False when all was done already.
  bool was_cut_short() const noexcept { return has_ended_work; }
};

namespace detail {

/// The boundary around a scope's body, without the body's type.
class scope_frame : public inner_boundary {
 public:
  static constexpr auto when_cancelled = cancel_safety::as_its_waits;
  scope_frame(const scope_frame&) = delete;
  scope_frame& operator=(const scope_frame&) = delete;

  void bind(frame_base& from) noexcept {
    above = &from;
    owner_ = running_task;
  }
  bool await_ready() const noexcept { return false; }

  std::coroutine_handle<> child_done(frame_base& body) noexcept final;
  std::coroutine_handle<> child_stopped(frame_base* body) noexcept final;
  std::coroutine_handle<> resumed() noexcept final { return finish(); }
  const char* label() const noexcept final { return options_.name; }

 protected:
  explicit scope_frame(const scope_options& options) noexcept : options_(options) {}
  ~scope_frame() {}

  scope& enter() noexcept;
  /// The body could not be started: its error is the scope's.
  std::coroutine_handle<> fail_at_start(std::exception_ptr failure) noexcept;
  virtual void destroy_body() noexcept = 0;
  /// Rethrows the group if there is one; true: the body was cut short by the scope's own
  /// cancellation.
  bool is_body_cut();

  task_header* owner_ = nullptr;  // whose body the scope is part of
  scope_options options_;
  scope_end end_;

 private:
  struct exit_wait : wait {
    exit_wait() noexcept;
  };
  std::coroutine_handle<> after_body() noexcept;
  std::coroutine_handle<> finish() noexcept;

  union {
    scope scope_;
  };
  exit_wait exit_;
  std::exception_ptr failure_;
  bool is_stopped_ = false;
};

inline constexpr const char timeout_name[] = "timeout";  // of with_timeout()'s scope

enum class cut_short : std::uint8_t { tell, raise_error };

[[noreturn]] void raise_cut_short(const cancel_reason& reason, const scope_options& of = {});

template <class T, class Body, cut_short Cut>
class scope_awaiter final : public scope_frame {
 public:
  scope_awaiter(const scope_options& options, Body body)
      : scope_frame(options), body_(std::move(body)) {}

  template <class P>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<P>) noexcept {
    scope& inside = enter();
    try {
      child_ = body_(inside);
    } catch (...) {
      return fail_at_start(std::current_exception());
    }
    return child_.begin_under(*this);
  }
  auto await_resume() {
    const bool is_cut = is_body_cut();
    if constexpr (std::is_void_v<T> && Cut == cut_short::tell) {
      if (!is_cut) child_.promise().take();
      return end_;
    } else {
      if (is_cut) raise_cut_short(end_.reason, options_);
      return child_.promise().take();
    }
  }

 private:
  void destroy_body() noexcept override { child_.reset(); }

  Body body_;
  weir::task<T> child_;
};

}  // namespace detail

/// Runs body(scope&) and then waits for everything that was spawned into the scope:
/// `co_await with_scope({.tasks_max = 100}, [&](scope& s) -> task<> { ... });`
/// Cut short by its own cancel() or timeout, a body without a value just ends, which the scope_end
/// that the await gives tells; one with a value raises `cancelled` or `timed_out`. Errors of the
/// body and of children arrive as one error_group. Its timeout cuts it short as long as a child
/// lives; an outer cancellation that ends its children passes on, also when the body had returned.
/// Children outlive the body's locals: what they refer to stands outside of the body, or is given
/// to spawn() by value, or the body ends with `co_await s.join()`.
template <class Body>
[[nodiscard]] auto with_scope(const scope_options& options, Body body) {
  using value = detail::task_value_t<Body, scope&>;
  return detail::scope_awaiter<value, Body, detail::cut_short::tell>(options, std::move(body));
}
template <class Body>
[[nodiscard]] auto with_scope(Body body) {
  return with_scope(scope_options{}, std::move(body));
}

/// The task's value, or `timed_out` raised once it has been cancelled and has ended. An error of
/// the task itself is raised as it is, not as a group.
template <class T>
[[nodiscard]] WEIR_CORO_WRAPPER task<T> with_timeout(duration length, task<T> body);
template <class T>
[[nodiscard]] WEIR_CORO_WRAPPER task<T> with_deadline(time_point at, task<T> body);

/// The same for a single wait: `co_await with_timeout(1s, lines.receive())`.
template <class Leaf>
  requires std::is_base_of_v<detail::wait, Leaf>
[[nodiscard]] WEIR_CORO_WRAPPER auto with_timeout(duration length, Leaf&& leaf);
/// The same for a task that was spawned: too late ends the wait for it, and the task goes on.
template <class T>
[[nodiscard]] WEIR_CORO_WRAPPER task<T> with_timeout(duration length, const spawned<T>& handle);

/// Runs the task out of reach of outer cancellations; they are met at the first wait after it.
/// `timeout` bounds it.
template <class T>
[[nodiscard]] WEIR_CORO_WRAPPER task<T> shield(task<T> body, duration timeout = duration::max());
/// The same for a single wait: `co_await shield(sleep(1_s))`.
template <class Leaf>
  requires std::is_base_of_v<detail::wait, Leaf>
[[nodiscard]] WEIR_CORO_WRAPPER auto shield(Leaf&& leaf, duration timeout = duration::max());

}  // namespace weir

#include <weir/core/detail/with_scope_impl.hpp>
