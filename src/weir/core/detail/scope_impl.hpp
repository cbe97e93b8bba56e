// Bodies of scope.hpp's templates: spawned tasks, their handles, and the boundary that with_scope
// awaits.
#pragma once

#include <weir/core/detail/awaited_at.hpp>
#include <weir/core/scope.hpp>
#include <weir/core/task.hpp>
#include <weir/core/wait.hpp>

#include <new>

namespace weir::detail {

/// A callable that gives a task which exists already, for spawn().
template <class T>
struct given_task {
  task<T> body;
  WEIR_CORO_WRAPPER task<T> operator()() noexcept { return std::move(body); }
};

/// A wait for the end of a scope's tasks, or for a place among them, which is then kept for the
/// waiter.
struct [[nodiscard]] room_wait final : leaf_wait<room_wait, void>, list_hook<> {
  static constexpr auto when_cancelled = cancel_safety::nothing_happened;
  scope* of;
  bool is_for_end;

  room_wait(scope& s, bool for_end) noexcept;
  room_wait(room_wait&& other) noexcept
      : leaf_wait(static_cast<leaf_wait&&>(other)), of(other.of), is_for_end(other.is_for_end) {}
  bool can_go_on() const noexcept;
  void go_on() noexcept;
  bool try_now() noexcept;
  void enlist() noexcept;
  result<void> take() noexcept { return {}; }
  void leave() noexcept;
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

/// Whether a call's coroutine has copies of all that it was called with, so that nothing else needs
/// to be kept for it: a function whose parameters are values of the very types that are given. A
/// std::string that is given for a std::string_view has to be kept.
template <class F, class... A>
inline constexpr bool takes_values = false;
template <class R, class... A>
inline constexpr bool takes_values<R (*)(A...), A...> = true;
template <class R, class... A>
inline constexpr bool takes_values<R (*)(A...) noexcept, A...> = true;
template <class R, class C, class O, class... A>
inline constexpr bool takes_values<R (C::*)(A...), O*, A...> = true;
template <class T>
inline constexpr bool takes_values<given_task<T>> = true;

/// A task that keeps the callable and the arguments for its coroutine.
template <class F, class... A>
struct keeping_task final : task_header {
  [[no_unique_address]] F function;
  [[no_unique_address]] std::tuple<A...> arguments;

  keeping_task(std::source_location place, F f, A... args)
      : task_header(place), function(std::move(f)), arguments(std::move(args)...) {}
  static void* operator new(std::size_t size) {
    static_assert(alignof(keeping_task) <= frame_alignment,
                  "weir: what is spawned is aligned to at most 16 bytes, as frames are; give a "
                  "std::unique_ptr to it");
    return allocate_frame(size);
  }
  static void operator delete(void* memory, std::size_t size) noexcept { free_frame(memory, size); }

  frame_base* call() {
    return std::apply(
        [this](A&... args) { return invoke_body(function, std::move(args)...).release(); },
        arguments);
  }
  void destroy() noexcept override { delete this; }
};

/// What a function that threw, instead of giving a task, would have given. Without memory for the
/// task it is spawn() that throws.
template <class T>
task<T> failed_task(std::exception_ptr failure) {
  if (failure) std::rethrow_exception(std::move(failure));
  co_return co_await failed_task<T>(nullptr);  // never reached: makes this a coroutine
}

template <class T, class Call>
frame_base* frame_of_call(Call call) {
  try {
    return call();
  } catch (const std::bad_alloc&) {
    throw;  // kept until its task begins, a flood of them would use up the memory for exceptions
  } catch (...) {
    return failed_task<T>(std::current_exception()).release();
  }
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
  /// Takes over the reference that a new task has for its handle.
  explicit spawned(detail::task_header& state) noexcept : state_(&state) {}
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
  bool is_done() const noexcept { return state_->is_done(); }

  /// The result of a task that is done: moved out, or its error thrown. For combinators; others
  /// await.
  auto take_value() {
    WEIR_ASSERT(is_done());
    if constexpr (std::is_void_v<T>) {
      take(*state_);
      return unit{};
    } else {
      return take(*state_);
    }
  }

  class awaiter final : public detail::leaf_wait<awaiter, T> {
   public:
    static constexpr auto when_cancelled = cancel_safety::nothing_happened;
    awaiter(awaiter&&) noexcept = default;
    explicit awaiter(detail::task_header& state) noexcept
        : detail::leaf_wait<awaiter, T>(kind_), state_(state) {}
    bool try_now() noexcept { return state_.is_done(); }
    void enlist() noexcept {
      WEIR_ASSERT(!state_.awaiter && "a spawned task's handle has one awaiter at a time");
      state_.awaiter = this;
    }
    result<T> take() noexcept { return fail(errc::internal); }
    T await_resume() { return spawned::take(state_); }

   private:
    static void leave(detail::wait& w) noexcept {
      auto& self = static_cast<awaiter&>(w);
      self.state_.awaiter = nullptr;
      self.complete_cancelled();
    }
    static constexpr detail::wait_kind kind_{"task", &leave};
    detail::task_header& state_;
  };
  awaiter operator co_await() const noexcept { return awaiter(*state_); }

 private:
  static T take(detail::task_header& ended) {
    if (ended.end == detail::task_end::stopped) [[unlikely]]
      raise(error(errc::cancelled, "the awaited task was cancelled"));
    return static_cast<detail::task_promise<T>&>(*ended.body()).take();
  }

  detail::task_header* state_;
};

template <class F, class... A>
auto scope::spawn_at(std::source_location place, F f, A... args)
    -> spawned<detail::task_value_t<F, A...>> {
  using value = detail::task_value_t<F, A...>;
  if constexpr (detail::takes_values<F, A...>) {
    return spawned<value>(detail::start_task(*this, place, detail::frame_of_call<value>([&] {
      return detail::invoke_body(f, std::move(args)...).release();
    })));
  } else {
    auto* made = new detail::keeping_task<F, A...>(place, std::move(f), std::move(args)...);
    try {
      detail::start_task(*this, *made,
                         detail::frame_of_call<value>([made] { return made->call(); }));
    } catch (...) {
      made->destroy();
      throw;
    }
    return spawned<value>(*made);
  }
}

inline detail::room_wait scope::join() noexcept { return detail::room_wait(*this, true); }

template <class F, class... A>
auto scope::spawn_when_room_at(std::source_location place, F f, A... args)
    -> task<spawned<detail::task_value_t<F, A...>>> {
  co_await detail::room_wait(*this, false);
  --places_given_;
  try {
    if (place.line() == 0) place = detail::awaited_at();
    co_return spawn_at(place, std::move(f), std::move(args)...);
  } catch (...) {
    wake_waiters();  // the place is free again
    throw;
  }
}

}  // namespace weir
