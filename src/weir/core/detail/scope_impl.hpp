// Bodies of scope.hpp's templates: spawned tasks, their handles, and the boundary that with_scope
// awaits.
#pragma once

#include <weir/core/scope.hpp>
#include <weir/core/task.hpp>
#include <weir/core/wait.hpp>

namespace weir::detail {

/// A callable that gives a task which exists already, for spawn().
template <class T>
struct given_task {
  task<T> body;
  WEIR_CORO_WRAPPER task<T> operator()() noexcept { return std::move(body); }
};

/// A wait for the end of a scope's tasks, or for a place among them, which is then kept for the
/// waiter.
struct room_wait final : leaf_wait<room_wait, void> {
  scope* of;
  bool is_for_end;
  room_wait* next = nullptr;

  room_wait(scope& s, bool for_end) noexcept;
  bool can_go_on() const noexcept;
  void go_on() noexcept;
  bool try_now() noexcept;
  void enlist() noexcept;
  result<void> take() noexcept { return {}; }
  static room_wait** queue_of(scope& s) noexcept;
};

enum class task_end : std::uint8_t { running, value, failed, stopped };

/// The part of a spawned task that depends on its result only.
template <class T>
struct spawned_state : task_header {
  task<T> child;
  wait* waiter = nullptr;  // one at a time: the handle is awaited by its owner
  task_end end = task_end::running;

  std::coroutine_handle<> child_done() noexcept final {
    std::exception_ptr failure = failure_of(child.promise());
    end = failure ? task_end::failed : task_end::value;
    return finish(static_cast<std::exception_ptr&&>(failure));
  }
  std::coroutine_handle<> child_stopped() noexcept final {
    child.reset();
    end = task_end::stopped;
    return finish(nullptr);
  }
  std::coroutine_handle<> finish(std::exception_ptr failure) noexcept;

 protected:
  ~spawned_state() = default;
};

/// f(args...), also for pointers to member functions: `spawn(&server::run, this)`. std::invoke
/// would cost the header the weight of <functional>.
template <class F, class... A>
WEIR_CORO_WRAPPER auto invoke_body(F& f, A&&... args) {
  return f(static_cast<A&&>(args)...);
}
template <class R, class C, class O, class... P, class... A>
WEIR_CORO_WRAPPER R invoke_body(R (C::*f)(P...), O* on, A&&... args) {
  return (on->*f)(static_cast<A&&>(args)...);
}

template <class T, class F, class... A>
struct spawned_task final : spawned_state<T> {
  [[no_unique_address]] F function;
  [[no_unique_address]] std::tuple<A...> arguments;

  explicit spawned_task(F f, A... args) : function(std::move(f)), arguments(std::move(args)...) {}
  static void* operator new(std::size_t size) { return allocate_frame(size); }
  static void operator delete(void* memory, std::size_t size) noexcept { free_frame(memory, size); }

  std::coroutine_handle<> start() noexcept override {
    try {
      call(std::index_sequence_for<A...>{});
    } catch (...) {  // the function itself threw before there was a coroutine: the task has failed
      this->end = task_end::failed;
      return this->finish(std::current_exception());
    }
    return this->child.begin_under(*this);
  }
  void destroy() noexcept override { delete this; }

 private:
  template <std::size_t... Index>
  void call(std::index_sequence<Index...>) {
    this->child = invoke_body(function, std::move(std::get<Index>(arguments))...);
  }
};

/// Tells the scope that a task ended, and takes it out; shared by all result types.
void leave_scope(task_header& ended, std::exception_ptr failure) noexcept;

template <class T>
std::coroutine_handle<> spawned_state<T>::finish(std::exception_ptr failure) noexcept {
  if (this->references == 1) child.reset();  // nobody keeps a handle: the frame goes now
  leave_scope(*this, static_cast<std::exception_ptr&&>(failure));
  if (waiter) std::exchange(waiter, nullptr)->complete();
  this->release();
  return std::noop_coroutine();
}

}  // namespace weir::detail

namespace weir {

/// What a task without a value gives in a place where a value is needed.
struct unit {
  friend bool operator==(unit, unit) = default;
};

/// A handle on a spawned task: await it for the result, or drop it (the scope owns the task).
///
/// Cancel:  a cancelled await leaves the task alone.
/// Order:   the awaiter goes on after the task has left its scope.
/// Bound:   one awaiter at a time.
/// Errors:  rethrows the task's error (which its scope has heard too); `cancelled` when the task
///          was cancelled.
/// Threads: one loop.
template <class T>
class spawned {
 public:
  explicit spawned(detail::spawned_state<T>* state) noexcept : state_(state) {
    ++state_->references;
  }
  spawned(spawned&& other) noexcept : state_(std::exchange(other.state_, nullptr)) {}
  spawned& operator=(spawned&& other) noexcept {
    std::swap(state_, other.state_);
    return *this;
  }
  ~spawned() {
    if (state_) state_->release();
  }

  std::uint64_t id() const noexcept { return state_->id; }
  bool has_value() const noexcept { return state_->end == detail::task_end::value; }
  bool is_done() const noexcept { return state_->end != detail::task_end::running; }

  /// The result of a task that is done: moved out, or its error thrown. For combinators; others
  /// await.
  auto take_value() {
    WEIR_ASSERT(is_done());
    if (state_->end == detail::task_end::stopped)
      raise(error(errc::cancelled, "the task was cancelled"));
    if constexpr (std::is_void_v<T>) {
      state_->child.promise().take();
      return unit{};
    } else {
      return state_->child.promise().take();
    }
  }

  class awaiter final : public detail::leaf_wait<awaiter, T> {
   public:
    awaiter(awaiter&&) noexcept = default;
    explicit awaiter(detail::spawned_state<T>& state) noexcept
        : detail::leaf_wait<awaiter, T>(kind_), state_(state) {}
    bool try_now() noexcept { return state_.end != detail::task_end::running; }
    void enlist() noexcept {
      WEIR_ASSERT(!state_.waiter && "a spawned task's handle has one awaiter at a time");
      state_.waiter = this;
    }
    result<T> take() noexcept { return fail(errc::internal); }
    T await_resume() {
      if (state_.end == detail::task_end::stopped)
        raise(error(errc::cancelled, "the awaited task was cancelled"));
      return state_.child.promise().take();
    }

   private:
    static void leave(detail::wait& w) noexcept {
      auto& self = static_cast<awaiter&>(w);
      self.state_.waiter = nullptr;
      self.complete_cancelled();
    }
    static constexpr detail::wait_kind kind_{"task", &leave};
    detail::spawned_state<T>& state_;
  };
  awaiter operator co_await() const noexcept { return awaiter(*state_); }

 private:
  detail::spawned_state<T>* state_;
};

template <class F, class... A>
auto scope::spawn_at(std::source_location place, F f, A... args)
    -> spawned<detail::task_value_t<F, A...>> {
  using value = detail::task_value_t<F, A...>;
  auto* made = new detail::spawned_task<value, F, A...>(std::move(f), std::move(args)...);
  spawned<value> handle(made);
  try {
    add(*made, place);
  } catch (...) {
    made->release();
    throw;
  }
  return handle;
}

inline detail::room_wait scope::join() noexcept { return detail::room_wait(*this, true); }

template <class F, class... A>
task<> scope::spawn_when_room(F f, A... args) {
  co_await detail::room_wait(*this, false);
  --places_given_;
  try {
    spawn_at(std::source_location::current(), std::move(f), std::move(args)...);
  } catch (...) {
    wake_waiters();  // the place is free again
    throw;
  }
}

}  // namespace weir
