// The typed part of a promise's state: room for the value, and the wait that gives it to a task.
// Templates over promise_core, kept thin.
#pragma once

#include <weir/core/scope.hpp>
#include <weir/flow/detail/handler_queue.hpp>
#include <weir/flow/detail/promise_core.hpp>

#include <exception>
#include <new>
#include <source_location>
#include <type_traits>
#include <utility>

namespace weir {

template <class T = void>
class future;
template <class T = void>
class shared_future;

namespace detail {

template <class T>
using stored_t = std::conditional_t<std::is_void_v<T>, unit, T>;

/// Room for the value of a promise, in front of what Base adds: promise_core, or reaction.
template <class T, class Base = promise_core>
class promise_value : public Base {
  static_assert(!std::is_reference_v<T>, "the value of a promise is no reference; use a pointer");
  static_assert(std::is_nothrow_move_constructible_v<stored_t<T>>,
                "the value of a promise moves without throwing");
  static_assert(alignof(stored_t<T>) <= frame_alignment,
                "the value of a promise is aligned to at most 16 bytes; use a std::unique_ptr");

 public:
  explicit promise_value(std::source_location place) noexcept : Base(room_, place) {}

 protected:
  ~promise_value() override {
    if (this->phase() == settled_as::fulfilled) static_cast<stored*>(this->value())->~stored();
  }
  void adopt_value(promise_core& from, reading how) override {
    auto& theirs = *static_cast<stored*>(from.value());
    if (how == reading::only) {
      ::new (this->value()) stored(std::move(theirs));
    } else if constexpr (std::is_copy_constructible_v<stored>) {
      ::new (this->value()) stored(std::as_const(theirs));
    } else {
      std::unreachable();  // a shared_future of it can't be followed: see resolve_claimed
    }
  }

 private:
  using stored = stored_t<T>;
  alignas(stored) unsigned char room_[sizeof(stored)];
};

/// Fulfils a claimed promise; what the construction throws is the reason of its rejection.
template <class T, class... V>
void fulfil(promise_core& which, V&&... from) noexcept {
  try {
    ::new (which.value()) stored_t<T>(std::forward<V>(from)...);
  } catch (...) {
    return which.settle_rejected(std::current_exception());
  }
  which.settle_fulfilled();
}
template <class T>
stored_t<T>& value_of(promise_core& which) noexcept {
  return *static_cast<stored_t<T>*>(which.value());
}

/// The claimed promise of a task's outcome: `cancelled` when the task, once begun, goes without
/// one.
class task_promise_handle {
 public:
  explicit task_promise_handle(core_handle of) noexcept : of_(std::move(of)) {}
  task_promise_handle(task_promise_handle&& other) noexcept
      : of_(std::move(other.of_)), has_begun_(other.has_begun_) {}
  task_promise_handle& operator=(task_promise_handle&&) = delete;
  ~task_promise_handle() {
    if (!of_ || !has_begun_) return;  // not begun: it could not be spawned, and the spawner says so
    reject(std::make_exception_ptr(exception(error(errc::cancelled, "its task was cancelled"))));
  }
  void begin() noexcept { has_begun_ = true; }
  template <class T, class... V>
  void fulfil(V&&... value) noexcept {
    const core_handle kept = std::move(of_);
    detail::fulfil<T>(*kept, std::forward<V>(value)...);
  }
  void reject(std::exception_ptr failure) noexcept {
    const core_handle kept = std::move(of_);
    kept->settle_rejected(std::move(failure));
  }

 private:
  core_handle of_;
  bool has_begun_ = false;
};

template <class T>
task<> settle_with(task_promise_handle into, task<T> body) {
  into.begin();
  try {
    if constexpr (std::is_void_v<T>) {
      co_await std::move(body);
      into.template fulfil<T>();
    } else {
      into.template fulfil<T>(co_await std::move(body));
    }
  } catch (...) {
    into.reject(std::current_exception());
  }
}

/// Starts the task in `owner`; a claimed promise gets its outcome.
template <class T>
void settle_by_task(promise_core& which, scope& owner, task<T> body, std::source_location place) {
  which.keep();
  // Its frame is made here: without memory for it, spawn() would take that as the task's failure.
  task<> settling = settle_with<T>(task_promise_handle(core_handle(&which)), std::move(body));
  owner.spawn_at(place, given_task<void>{std::move(settling)});
}

template <class R>
inline constexpr bool is_future = false;
template <class T>
inline constexpr bool is_future<future<T>> = true;
template <class T>
inline constexpr bool is_future<shared_future<T>> = true;

template <class R>
struct resolved_type {
  using type = std::remove_cvref_t<R>;
};
template <class R>
  requires(is_future<std::remove_cvref_t<R>> || is_task<std::remove_cvref_t<R>>)
struct resolved_type<R> {
  using type = typename std::remove_cvref_t<R>::value_type;
};
/// What a promise holds that is resolved with an R: a value, or the value of a future or task.
template <class R>
using resolved_t = typename resolved_type<R>::type;

/// What a future reads, taken out of it.
template <class Future>
promise_core* source_of(Future from) noexcept {
  promise_core* const source = from.release();
  WEIR_ASSERT(source && "an empty future is used: its value was taken, or it was moved from");
  return source;
}

/// Resolves a claimed promise: with a value, or with what a future or a task comes to (A9, A10).
template <class T, class... V>
void resolve_claimed(promise_core& which, V&&... with) noexcept {
  using given = std::tuple<std::remove_cvref_t<V>..., void>;
  using first = std::tuple_element_t<0, given>;
  if constexpr (is_future<first>) {
    static_assert(std::is_same_v<typename first::value_type, T>, "a future of another type");
    static_assert(first::how == reading::only || std::is_copy_constructible_v<stored_t<T>>,
                  "the value of a shared_future is copied here");
    (which.follow(source_of(first(std::forward<V>(with))), first::how), ...);
  } else if constexpr (is_task<first>) {
    static_assert(std::is_same_v<typename first::value_type, T>, "a task of another type");
    try {
      (settle_by_task<T>(which, scope_here("a task as result"), std::forward<V>(with),
                         which.place()),
       ...);
    } catch (...) {
      which.settle_rejected(std::current_exception());
    }
  } else {
    fulfil<T>(which, std::forward<V>(with)...);
  }
}

/// Waits for the outcome of a future's source. A cancelled one leaves the future as it was.
template <class T, reading How>
class [[nodiscard]] future_wait final
    : public line_wait<future_wait<T, How>, T, promise_core, many_loops> {
  using base = line_wait<future_wait, T, promise_core, many_loops>;
  using gives = std::conditional_t<How == reading::only || std::is_void_v<T>, T,
                                   std::add_lvalue_reference_t<const T>>;

 public:
  /// `from`: the future to be emptied once its value has been taken; null when it is gone already.
  future_wait(core_handle of, core_handle* from) noexcept
      : base(kind_, of.get()), from_(from), kept_(std::move(of)) {
    WEIR_ASSERT(kept_ && "an empty future is awaited: its value was taken, or it was moved from");
  }
  future_wait(future_wait&& other) noexcept
      : base(static_cast<base&&>(other)), from_(other.from_), kept_(std::move(other.kept_)) {}

  bool admit(many_loops::wakes&) noexcept { return this->of_->is_settled(); }
  auto& line() noexcept { return this->of_->waits_; }
  void left(many_loops::wakes&) noexcept { this->of_->note_given_up(); }
  result<T> take() {  // a copy may throw
    if (from_) from_->release()->drop();
    if (kept_->phase() == settled_as::rejected)
      return std::unexpected<error>(error_of(kept_->hear_failure()));
    if constexpr (std::is_void_v<T>) {
      return {};
    } else if constexpr (How == reading::only) {
      return std::move(value_of<T>(*kept_));
    } else {
      return value_of<T>(*kept_);
    }
  }
  gives await_resume() {
    if (from_) from_->release()->drop();
    if (kept_->phase() == settled_as::rejected) std::rethrow_exception(kept_->hear_failure());
    if constexpr (std::is_void_v<T>) {
      return;
    } else if constexpr (How == reading::only) {
      return std::move(value_of<T>(*kept_));
    } else {
      return value_of<T>(*kept_);
    }
  }

 private:
  static constexpr wait_kind kind_{"a future", &base::leave};
  core_handle* from_;
  core_handle kept_;
};

}  // namespace detail
}  // namespace weir
